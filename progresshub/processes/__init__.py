"""Child processes: started, heard, stopped and cleared away; only `runner` is for others to use."""
