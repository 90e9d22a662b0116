"""When each task runs, and what is looked after while nobody asks."""
