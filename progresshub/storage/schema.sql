-- Version 1. `seq` counts submissions; `place` names the (queue, kind, state) a task is in, whose
-- count is kept as it changes, so that lists and counts cost the same whatever the history;
-- `reached` counts by the percentage they came to those that failed or were cancelled.

CREATE TABLE incarnations (
    id INTEGER PRIMARY KEY,
    started_ms INTEGER NOT NULL,
    seen_ms INTEGER NOT NULL,
    stopped_ms INTEGER
);

CREATE TABLE places (
    id INTEGER PRIMARY KEY,
    queue TEXT NOT NULL,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    tasks INTEGER NOT NULL DEFAULT 0,
    UNIQUE (queue, kind, state)
);

CREATE TABLE reached (
    state TEXT NOT NULL,
    tenths INTEGER NOT NULL,
    tasks INTEGER NOT NULL,
    PRIMARY KEY (state, tenths)
) WITHOUT ROWID;

CREATE TABLE tasks (
    seq INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    place INTEGER NOT NULL REFERENCES places (id),
    expires_ms INTEGER,
    spec BLOB NOT NULL,
    body BLOB NOT NULL
);
CREATE INDEX tasks_of_place ON tasks (place, seq);
CREATE INDEX tasks_by_expiry ON tasks (expires_ms) WHERE expires_ms IS NOT NULL;

CREATE TABLE events (
    ms INTEGER NOT NULL,
    n INTEGER NOT NULL,
    task INTEGER NOT NULL,
    type TEXT NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (ms, n)
) WITHOUT ROWID;
CREATE INDEX events_of_task ON events (task, ms, n, type);

CREATE TABLE answers (
    key TEXT PRIMARY KEY,
    digest BLOB NOT NULL,
    accepted BLOB NOT NULL,
    expires_ms INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX answers_by_expiry ON answers (expires_ms);

CREATE TABLE settings (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

-- Words of a task for people's searches, filled in behind the tasks: rows up to
-- settings['indexed'] are in it.
CREATE VIRTUAL TABLE words USING fts5 (text, content = '', tokenize = "unicode61 remove_diacritics 0");
