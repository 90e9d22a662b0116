"""HTTP plumbing that knows tasks and events, but none of the dialects' words."""
