"""The SQLite store: one file, one connection that writes, one that reads.

Everything of a batch is written in one transaction with `synchronous=FULL`, in the writer's thread;
what depends on the size of the history (counts, lists, searches) is kept in tables that grow with
it and never scanned whole.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TypeVar

import aiosqlite

from progresshub.errors import Unavailable
from progresshub.model import FINAL, FIRST, Event, EventId, EventType, State, Task
from progresshub.storage import statements as sql
from progresshub.storage.persistence import (
    Answer,
    Batch,
    Change,
    Extent,
    Filter,
    Opening,
    Page,
    Place,
    Reach,
    place,
    reach,
)

T = TypeVar("T")


class Connection(aiosqlite.Connection):
    """aiosqlite's thread and queue, used for a whole function at a time: a hop costs more than a statement."""

    async def run(self, function: Callable[[sqlite3.Connection], T]) -> T:
        result: T = await self._execute(function, self._conn)  # type: ignore[no-untyped-call]
        return result

    @classmethod
    async def to(cls, connector: Callable[[], sqlite3.Connection]) -> Connection:
        connection = cls(connector, iter_chunk_size=64)
        try:
            await connection
        except sqlite3.Error:
            await asyncio.to_thread(connection._thread.join)  # it still answers to this loop
            raise
        return connection


class SqliteStore:
    """Tasks and events in `path`, locked against a second server for as long as it is open."""

    def __init__(self, path: Path, *, busy_timeout_ms: int = 2_000, cache_bytes: int = 8_388_608) -> None:
        self._path = path
        self._busy_timeout_ms = busy_timeout_ms
        self._cache_kib = cache_bytes // 1024
        self._incarnation = 0
        self._places: dict[Place, int] = {}
        self._lock: int | None = None
        self._writer: Connection | None = None
        self._reader: Connection | None = None

    async def open(self, now_ms: int) -> Opening:
        self._lock = sql.lock(self._path.with_suffix(".lock"))
        try:
            with sql.startup_errors(self._path):
                self._writer = await Connection.to(self._connect)
                opening = await self._writer.run(lambda db: self._begin(db, now_ms))
                self._reader = await Connection.to(self._connect)
                await self._reader.run(self._only_reads)
        except BaseException:
            await self._shut()
            raise
        self._incarnation = opening.incarnation
        return opening

    async def close(self, now_ms: int) -> None:
        """Mark a clean stop and let go of the file; safe to call on a store that never opened."""
        try:
            if self._writer is not None:
                await self._writer.run(
                    lambda db: db.execute(
                        "UPDATE incarnations SET stopped_ms = ?1, seen_ms = ?1 WHERE id = ?2",
                        (now_ms, self._incarnation),
                    )
                )
        except sqlite3.Error:
            pass  # the mark only saves the next start some work
        finally:
            await self._shut()

    async def commit(self, batch: Batch) -> None:
        with sql.trouble():
            await _opened(self._writer).run(lambda db: self._write(db, batch))

    async def load(self, task_id: str) -> Task | None:
        key = sql.key(task_id)
        if key is None:
            return None
        row = await self._read(lambda db: db.execute("SELECT spec, body FROM tasks WHERE id = ?", (key,)).fetchone())
        return None if row is None else sql.task_of(*row)

    async def beginning(self, digits: str, limit: int) -> list[Task]:
        return await self._read(lambda db: sql.beginning(db, digits, limit))

    async def named(self, name: str, limit: int) -> list[Task]:
        return await self._read(lambda db: sql.named(db, name, limit))

    async def live(self) -> list[Task]:
        def select(db: sqlite3.Connection) -> list[Task]:
            rows: list[tuple[int, bytes, bytes]] = []
            for where, number in self._places.items():
                if where.state not in FINAL:
                    rows += db.execute("SELECT seq, spec, body FROM tasks WHERE place = ?", (number,))
            return [sql.task_of(spec, body) for _, spec, body in sorted(rows)]

        return await self._read(select)

    async def counts(self) -> dict[Place, int]:
        rows = await self._read(
            lambda db: db.execute("SELECT queue, kind, state, tasks FROM places WHERE tasks > 0").fetchall()
        )
        return {Place(queue, kind, State(state)): tasks for queue, kind, state, tasks in rows}

    async def reached(self) -> dict[Reach, int]:
        rows = await self._read(lambda db: db.execute("SELECT state, tenths, tasks FROM reached").fetchall())
        return {Reach(State(state), tenths): tasks for state, tenths, tasks in rows if tasks}

    async def page(self, wanted: Filter, before_seq: int | None, limit: int) -> Page:
        before = before_seq if before_seq is not None else 1 << 62

        def select(db: sqlite3.Connection) -> Page:
            with sql.snapshot(db):
                places = self._chosen(wanted)
                if wanted.text.strip():
                    return sql.found(db, wanted.text, set(places), before, limit)
                return sql.listed(db, places, before, limit)

        return await self._read(select)

    def _chosen(self, wanted: Filter) -> list[int]:
        """The places that fit. To be asked within a snapshot: those it holds are all known by then."""
        return [number for where, number in self._places.items() if wanted.takes(where)]

    async def after_newest(self, wanted: Filter, count: int) -> int:
        def select(db: sqlite3.Connection) -> int:
            with sql.snapshot(db):
                return sql.after_newest(db, self._chosen(wanted), count)

        return await self._read(select)

    async def history(
        self, task: Task, *, start: EventId, types: Collection[EventType] | None, limit: int
    ) -> list[Event]:
        chosen = "" if types is None else f"AND type IN ({sql.marks(types)})"
        rows = await self._read(
            lambda db: db.execute(
                "SELECT ms, n, type, body FROM events INDEXED BY events_of_task "  # noqa: S608 - only marks go in
                f"WHERE task = ? AND (ms, n) >= (?, ?) {chosen} ORDER BY ms, n LIMIT ?",
                (task.spec.seq, *start, *(types or ()), limit),
            ).fetchall()
        )
        return [sql.event_of(ms, n, kind, body, task.spec) for ms, n, kind, body in rows]

    async def latest(self, task: Task, types: Collection[EventType], limit: int) -> list[Event]:
        rows = await self._read(
            lambda db: db.execute(
                "SELECT ms, n, type, body FROM events INDEXED BY events_of_task "  # noqa: S608 - only marks go in
                f"WHERE task = ? AND type IN ({sql.marks(types)}) ORDER BY ms DESC, n DESC LIMIT ?",
                (task.spec.seq, *types, limit),
            ).fetchall()
        )
        return [sql.event_of(ms, n, kind, body, task.spec) for ms, n, kind, body in reversed(rows)]

    async def extent(self, task: Task, types: Collection[EventType]) -> Extent:
        def select(db: sqlite3.Connection) -> Extent:
            where = f"FROM events WHERE task = ? AND type IN ({sql.marks(types)})"
            given = (task.spec.seq, *types)
            length = db.execute(f"SELECT count(*) {where}", given).fetchone()[0]
            ends = [
                db.execute(f"SELECT ms, n {where} ORDER BY ms {way}, n {way} LIMIT 1", given).fetchone()
                for way in ("ASC", "DESC")
            ]
            first, last = (None if row is None else EventId(*row) for row in ends)
            return Extent(length, first, last)

        return await self._read(select)

    async def since(self, start: EventId, limit: int) -> list[Event]:
        rows = await self._read(
            lambda db: db.execute(
                "SELECT e.ms, e.n, e.type, e.body, t.spec FROM events e JOIN tasks t ON t.seq = e.task "
                "WHERE (e.ms, e.n) > (?, ?) ORDER BY e.ms, e.n LIMIT ?",
                (*start, limit),
            ).fetchall()
        )
        return [sql.event_of(ms, n, kind, body, sql.decode_spec(spec)) for ms, n, kind, body, spec in rows]

    async def expired(self, now_ms: int, limit: int) -> list[Task]:
        rows = await self._read(
            lambda db: db.execute(
                "SELECT spec, body FROM tasks WHERE expires_ms <= ? ORDER BY expires_ms LIMIT ?", (now_ms, limit)
            ).fetchall()
        )
        return [sql.task_of(*row) for row in rows]

    async def answer(self, key: str) -> Answer | None:
        row = await self._read(
            lambda db: db.execute("SELECT digest, accepted, expires_ms FROM answers WHERE key = ?", (key,)).fetchone()
        )
        return None if row is None else Answer(key, row[0], sql.decode_accepted(row[1]), row[2])

    async def index(self, limit: int) -> int:
        """Make up to `limit` more tasks searchable; returns how many it took."""
        with sql.trouble():
            return await _opened(self._writer).run(lambda db: sql.index(db, limit))

    async def _read(self, function: Callable[[sqlite3.Connection], T]) -> T:
        with sql.trouble():
            return await _opened(self._reader).run(function)

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self._path, isolation_level=None, timeout=self._busy_timeout_ms / 1000)

    def _only_reads(self, db: sqlite3.Connection) -> None:
        db.execute(f"PRAGMA cache_size = -{self._cache_kib}")
        db.execute("PRAGMA query_only = ON")

    def _writes(self, db: sqlite3.Connection) -> None:
        sql.check_version(db, self._path)
        db.execute(f"PRAGMA cache_size = -{self._cache_kib}")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA wal_autocheckpoint = 2000")

    def _begin(self, db: sqlite3.Connection, now_ms: int) -> Opening:
        self._writes(db)
        with sql.transaction(db):
            sql.prepare(db)
            row = db.execute("INSERT INTO incarnations (started_ms, seen_ms) VALUES (?, ?)", (now_ms, now_ms))
            incarnation = row.lastrowid or 0
        last = db.execute("SELECT ms, n FROM events ORDER BY ms DESC, n DESC LIMIT 1").fetchone()
        seen_ms = db.execute("SELECT max(seen_ms) FROM incarnations WHERE id < ?", (incarnation,)).fetchone()[0]
        last_seq = db.execute("SELECT max(seq) FROM tasks").fetchone()[0]
        settings = dict(db.execute("SELECT name, value FROM settings"))
        for number, queue, kind, state in db.execute("SELECT id, queue, kind, state FROM places"):
            self._places[Place(queue, kind, State(state))] = number
        highest = max(EventId(*last) if last else FIRST, EventId(seen_ms or 0, 0))
        return Opening(incarnation, highest, max(last_seq or 0, int(settings.get("last_seq", 0))), settings)

    def _write(self, db: sqlite3.Connection, batch: Batch) -> None:
        places = self._places
        try:
            self._write_batch(db, batch)
        except BaseException:
            self._places = places  # a place made in a transaction that did not last is not there
            raise

    def _write_batch(self, db: sqlite3.Connection, batch: Batch) -> None:
        with sql.transaction(db):
            bodies = sql.Bodies()
            self._write_tasks(db, batch.changes.values(), bodies)
            if batch.thinned:
                sql.thin(db, batch.thinned)
            sql.write_events(db, batch.events, bodies)
            self._forget(db, batch.forgotten)
            if batch.answers:
                sql.write_answers(db, batch.answers)
            if batch.answers_until_ms:
                db.execute("DELETE FROM answers WHERE expires_ms <= ?", (batch.answers_until_ms,))
            if batch.settings:
                sql.set_all(db, batch.settings)
            db.execute("UPDATE incarnations SET seen_ms = ? WHERE id = ?", (batch.seen_ms, self._incarnation))

    def _write_tasks(self, db: sqlite3.Connection, changes: Collection[Change], bodies: sql.Bodies) -> None:
        moved: Counter[int] = Counter()
        new, known = [], []
        for before, after, expires_ms in changes:
            where = self._place(db, place(after))
            moved[where] += 1
            if before is None:
                spec = sql.encode(after.spec)
                new.append((after.spec.seq, sql.key(after.id), where, expires_ms, spec, bodies.of(after)))
            else:
                moved[self._place(db, place(before))] -= 1
                known.append((where, expires_ms, bodies.of(after), after.spec.seq))
        db.executemany("INSERT INTO tasks VALUES (?, ?, ?, ?, ?, ?)", new)
        sql.call(db, [after for before, after, _ in changes if before is None])
        db.executemany("UPDATE tasks SET place = ?, expires_ms = ?, body = ? WHERE seq = ?", known)
        sql.count(db, moved)
        sql.count_reached(db, [(reach(before) if before else None, reach(after)) for before, after, _ in changes])

    def _forget(self, db: sqlite3.Connection, tasks: list[Task]) -> None:
        if not tasks:
            return
        sql.unindex(db, tasks)
        sql.uncall(db, tasks)
        sql.count(db, Counter({self._place(db, where): -n for where, n in Counter(map(place, tasks)).items()}))
        sql.count_reached(db, [(reach(task), None) for task in tasks])
        db.executemany("DELETE FROM tasks WHERE seq = ?", [(task.spec.seq,) for task in tasks])
        db.executemany("DELETE FROM events WHERE task = ?", [(task.spec.seq,) for task in tasks])
        last = max(task.spec.seq for task in tasks)
        db.execute(
            "INSERT INTO settings VALUES ('last_seq', ?1) ON CONFLICT (name) DO UPDATE "
            "SET value = max(CAST(value AS INTEGER), ?1)",
            (last,),
        )

    def _place(self, db: sqlite3.Connection, where: Place) -> int:
        number = self._places.get(where)
        if number is None:
            db.execute("INSERT OR IGNORE INTO places (queue, kind, state) VALUES (?, ?, ?)", where)
            number = db.execute("SELECT id FROM places WHERE (queue, kind, state) = (?, ?, ?)", where).fetchone()[0]
            self._places = {**self._places, where: number}
        return int(number)

    async def _shut(self) -> None:
        for connection in (self._reader, self._writer):
            if connection is not None:
                await connection.close()
        self._reader = self._writer = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _opened(connection: Connection | None) -> Connection:
    if connection is None:
        raise Unavailable(reason="the database is not open")
    return connection
