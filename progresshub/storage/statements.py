"""What the SQLite store says to its database: plain functions over an open connection.

None of them begins or ends a transaction but `transaction`, and none scans what grows with history.
"""

from __future__ import annotations

import fcntl
import os
import re
import sqlite3
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

import msgspec

from progresshub.errors import HubError, StorageFull, StoreLocked, StoreTooNew, StoreUnreadable, Unavailable
from progresshub.model import Event, EventId, EventType, Spec, Task
from progresshub.storage.persistence import THINNED, Accepted, Answer, Page, Reach, holds, tokens, words

SCRIPTS = ("schema.sql", "names.sql")
SCHEMA = len(SCRIPTS)
LOOKED_AT = 500
MERGED = 100
"""Of so many places at most the lists are merged as they are read, which needs no sorting."""
SEARCH_SCANS = 2_000
"""How many candidates one page of a search looks at before it is handed out as it is."""

_UUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

encode = msgspec.json.Encoder().encode
decode_spec = msgspec.json.Decoder(Spec).decode
decode_accepted = msgspec.json.Decoder(tuple[Accepted, ...]).decode
_decode_task = msgspec.json.Decoder(Task).decode
_NO_SPEC = Spec(id="", seq=0, kind="", payload={}, origin="", created_ms=0)
_FULL = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_SHMSIZE}
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def lock(path: Path) -> int:
    """Take the lock that keeps a second server away; returns the descriptor that holds it."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreUnreadable(path=path, reason=error.strerror) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        pid = os.read(descriptor, 32).decode(errors="replace").strip() or "unknown"
        os.close(descriptor)
        raise StoreLocked(pid=pid, path=path.parent) from None
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"{os.getpid()}\n".encode())
    return descriptor


@contextmanager
def startup_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise StoreUnreadable(path=path, reason=str(error)) from None


@contextmanager
def trouble() -> Iterator[None]:
    """SQLite's refusals in the hub's words."""
    try:
        yield
    except sqlite3.Error as error:
        raise _refusal(error) from error


def _refusal(error: sqlite3.Error) -> HubError:
    code = getattr(error, "sqlite_errorcode", 0)
    if code in _FULL:
        return StorageFull()
    if code & 0xFF in _BUSY:
        return Unavailable(reason="the database is locked by another program")
    return Unavailable(reason=f"the database can't be used ({error})")


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


@contextmanager
def snapshot(db: sqlite3.Connection) -> Iterator[None]:
    """Have several questions answered from one moment: a task that moves between two of them would be missed."""
    db.execute("BEGIN")
    try:
        db.execute("SELECT 1 FROM places LIMIT 1").fetchone()  # the moment is that of the first question
        yield
    finally:
        db.execute("ROLLBACK")


def check_version(db: sqlite3.Connection, path: Path) -> None:
    """Refuse a file that a newer version wrote, before anything in it is touched."""
    found = db.execute("PRAGMA user_version").fetchone()[0]
    if found > SCHEMA:
        raise StoreTooNew(path=path, found=found, known=SCHEMA)


def prepare(db: sqlite3.Connection) -> None:
    """The tables still missing, in the transaction that is open: version n is what the first n scripts make."""
    (found,) = db.execute("PRAGMA user_version").fetchone()
    for script in SCRIPTS[found:]:
        _run(db, files("progresshub.storage").joinpath(script).read_text())
    db.execute(f"PRAGMA user_version = {SCHEMA}")


def _run(db: sqlite3.Connection, script: str) -> None:
    """Like `executescript`, but within the transaction that is open."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            db.execute(statement)
            statement = ""


def key(task_id: str) -> bytes | None:
    """A task's id as it is kept; None for what is no UUID and so names no task."""
    return bytes.fromhex(task_id.replace("-", "")) if _UUID.fullmatch(task_id) else None


def body(task: Task) -> bytes:
    """The part of a task that changes."""
    return encode(msgspec.structs.replace(task, spec=_NO_SPEC))


def task_of(spec: bytes, body: bytes) -> Task:
    return msgspec.structs.replace(_decode_task(body), spec=decode_spec(spec))


def beginning(db: sqlite3.Connection, digits: str, limit: int) -> list[Task]:
    """Tasks whose id begins with these hexadecimal digits."""
    ends = tuple(bytes.fromhex(digits.ljust(32, edge)) for edge in "0f")
    rows = db.execute("SELECT spec, body FROM tasks WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?", (*ends, limit))
    return [task_of(*row) for row in rows]


def named(db: sqlite3.Connection, name: str, limit: int) -> list[Task]:
    """The tasks of that name, newest first."""
    rows = db.execute(
        "SELECT t.spec, t.body FROM names n JOIN tasks t ON t.seq = n.task "
        "WHERE n.name = ? ORDER BY n.task DESC LIMIT ?",
        (name, limit),
    )
    return [task_of(*row) for row in rows]


def call(db: sqlite3.Connection, tasks: Iterable[Task]) -> None:
    """Keep what new tasks are called."""
    db.executemany("INSERT OR IGNORE INTO names VALUES (?, ?)", _names(tasks))


def uncall(db: sqlite3.Connection, tasks: Iterable[Task]) -> None:
    db.executemany("DELETE FROM names WHERE (name, task) = (?, ?)", _names(tasks))


def _names(tasks: Iterable[Task]) -> list[tuple[str, int]]:
    return [(name, task.spec.seq) for task in tasks for name in task.spec.names]


def event_of(ms: int, n: int, kind: str, body: bytes, spec: Spec) -> Event:
    return Event(EventId(ms, n), EventType(kind), msgspec.structs.replace(_decode_task(body), spec=spec))


def marks(values: Collection[object]) -> str:
    return ", ".join("?" * len(values))


class Bodies:
    """The bodies of a batch's tasks. A task is mostly kept twice, as it is now and with its last event."""

    def __init__(self) -> None:
        self._made: dict[str, tuple[Task, bytes]] = {}

    def of(self, task: Task) -> bytes:
        known = self._made.get(task.id)
        if known is not None and known[0] is task:
            return known[1]
        made = body(task)
        self._made[task.id] = task, made
        return made


def write_events(db: sqlite3.Connection, events: list[Event], bodies: Bodies) -> None:
    db.executemany(
        "INSERT INTO events VALUES (?, ?, ?, ?, ?)",
        [(*event.id, event.task.spec.seq, event.type, bodies.of(event.task)) for event in events],
    )


def write_answers(db: sqlite3.Connection, answers: Iterable[Answer]) -> None:
    db.executemany(
        "INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?)",
        [(answer.key, answer.digest, encode(answer.accepted), answer.expires_ms) for answer in answers],
    )


def count(db: sqlite3.Connection, moved: Counter[int]) -> None:
    """Add to the counts of places what came to them, take away what left."""
    db.executemany(
        "UPDATE places SET tasks = tasks + ? WHERE id = ?", [(n, number) for number, n in moved.items() if n]
    )


def count_reached(db: sqlite3.Connection, moved: Iterable[tuple[Reach | None, Reach | None]]) -> None:
    """Keep count of how far tasks came that ended without being completed: where each was counted, where it is now."""
    change: Counter[Reach] = Counter()
    for before, after in moved:
        if before is not None:
            change[before] -= 1
        if after is not None:
            change[after] += 1
    db.executemany(
        "INSERT INTO reached VALUES (?, ?, ?) ON CONFLICT (state, tenths) DO UPDATE SET tasks = tasks + excluded.tasks",
        [(*reached, n) for reached, n in change.items() if n],
    )


def thin(db: sqlite3.Connection, tasks: list[Task]) -> None:
    """Take away every second progress entry of these tasks."""
    numbered = (
        "SELECT ms, n, row_number() OVER (ORDER BY ms, n) AS nth FROM events "  # noqa: S608 - only marks go in
        f"WHERE task = ? AND type IN ({marks(THINNED)})"
    )
    db.executemany(
        f"DELETE FROM events WHERE (ms, n) IN (SELECT ms, n FROM ({numbered}) WHERE nth % 2 = 0)",  # noqa: S608
        [(task.spec.seq, *THINNED) for task in tasks],
    )


def listed(db: sqlite3.Connection, places: list[int], before_seq: int, limit: int) -> Page:
    """The newest tasks of some places. The index tells each place's newest; of all those only the few that make the
    page are read."""
    seqs: list[int] = []
    for number in places:
        newest = "SELECT seq FROM tasks WHERE place = ? AND seq < ? ORDER BY seq DESC LIMIT ?"
        seqs += (seq for (seq,) in db.execute(newest, (number, before_seq, limit + 1)))
    seqs.sort(reverse=True)
    shown, more = seqs[:limit], len(seqs) > limit
    rows = (db.execute("SELECT spec, body FROM tasks WHERE seq = ?", (seq,)).fetchone() for seq in shown)
    return Page([task_of(spec, body) for spec, body in rows], shown[-1] if more else None)


def after_newest(db: sqlite3.Connection, places: list[int], count: int) -> int:
    """The `seq` of the last of that many, newest first; 0 when there are fewer. Only the index is read."""
    if not places:
        return 0
    if len(places) <= MERGED:
        chosen = " UNION ALL ".join(["SELECT seq FROM tasks WHERE place = ?"] * len(places))
    else:
        chosen = f"SELECT seq FROM tasks WHERE place IN ({marks(places)})"  # noqa: S608 - only marks go in
    query = f"{chosen} ORDER BY seq DESC LIMIT 1 OFFSET ?"
    row = db.execute(query, (*places, count - 1)).fetchone()
    return 0 if row is None else int(row[0])


def set_all(db: sqlite3.Connection, settings: Mapping[str, str]) -> None:
    """Keep settings; those that are empty go."""
    db.executemany("INSERT OR REPLACE INTO settings VALUES (?, ?)", [pair for pair in settings.items() if pair[1]])
    db.executemany("DELETE FROM settings WHERE name = ?", [(name,) for name, value in settings.items() if not value])


def found(db: sqlite3.Connection, text: str, places: set[int], before_seq: int, limit: int) -> Page:
    """The newest tasks that hold all words of `text` as beginnings of words."""
    wanted = tokens(text)
    if not wanted:
        return Page([], None)
    rows: list[tuple[int, bytes, bytes]] = []
    candidates = _candidates(db, wanted, before_seq)
    for scanned, (seq, where, spec, task, hit) in enumerate(candidates, 1):
        if where in places and (hit or holds(words(decode_spec(spec)), wanted)):
            rows.append((seq, spec, task))
        if len(rows) == limit or scanned == SEARCH_SCANS:
            return Page([task_of(spec, task) for _, spec, task in rows], seq)
    return Page([task_of(spec, task) for _, spec, task in rows], None)


def _candidates(
    db: sqlite3.Connection, wanted: list[str], before_seq: int
) -> Iterator[tuple[int, int, bytes, bytes, bool]]:
    """First the newest tasks, each to be looked at: a common word fills a page from those, and the index, which
    may be behind them, would list all its tasks first. Then what the index finds among the others."""
    indexed = _indexed(db)
    rest = before_seq
    newest = db.execute("SELECT seq, place, spec, body FROM tasks WHERE seq < ? ORDER BY seq DESC", (before_seq,))
    for seen, (seq, where, spec, task) in enumerate(newest):
        if seen >= LOOKED_AT and seq <= indexed:
            break
        rest = seq
        yield seq, where, spec, task, False
    query = " ".join(f'"{word}"*' for word in wanted)
    hits = db.execute(
        "SELECT t.seq, t.place, t.spec, t.body FROM words w JOIN tasks t ON t.seq = w.rowid "
        "WHERE words MATCH ? AND w.rowid < ? ORDER BY w.rowid DESC",
        (query, rest),
    )
    yield from ((*row, True) for row in hits)


def _indexed(db: sqlite3.Connection) -> int:
    row = db.execute("SELECT value FROM settings WHERE name = 'indexed'").fetchone()
    return 0 if row is None else int(row[0])


def index(db: sqlite3.Connection, limit: int) -> int:
    with transaction(db):
        rows = db.execute(
            "SELECT seq, spec FROM tasks WHERE seq > ? ORDER BY seq LIMIT ?", (_indexed(db), limit)
        ).fetchall()
        if rows:
            db.executemany(
                "INSERT INTO words (rowid, text) VALUES (?, ?)",
                [(seq, _indexable(decode_spec(spec))) for seq, spec in rows],
            )
            db.execute("INSERT OR REPLACE INTO settings VALUES ('indexed', ?)", (rows[-1][0],))
    return len(rows)


def unindex(db: sqlite3.Connection, tasks: list[Task]) -> None:
    indexed = _indexed(db)
    db.executemany(
        "INSERT INTO words (words, rowid, text) VALUES ('delete', ?, ?)",
        [(task.spec.seq, _indexable(task.spec)) for task in tasks if task.spec.seq <= indexed],
    )


def _indexable(spec: Spec) -> str:
    """A task's words as the index keeps them: taken apart as searches are, whatever the tokenizer would do."""
    return " ".join(tokens(words(spec)))
