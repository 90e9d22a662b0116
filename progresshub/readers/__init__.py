"""Readers: each understands one kind of foreign progress output and turns it into reports."""
