"""Where tasks and events are kept: the seam, and the two stores behind it."""
