-- Version 2. Names that clients know tasks by; a name belongs to the newest of its tasks.

CREATE TABLE names (
    name TEXT NOT NULL,
    task INTEGER NOT NULL,
    PRIMARY KEY (name, task)
) WITHOUT ROWID;
