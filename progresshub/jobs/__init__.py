"""Kinds: one module for each sort of task, and the functions that children run for them."""
