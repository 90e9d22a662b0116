"""The registry of tasks: what they are asked, how they change, and when others may know."""
