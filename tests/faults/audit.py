"""The judge: reads a database that no server uses any more, and holds it to the promises.

It shares no code with the store: SQL and JSON only, and the table of states.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import orjson

from progresshub.model import FINAL, EventType, State
from progresshub.states import after

DATABASE = "progresshub.db"
EventId = tuple[int, int]


class Happened(NamedTuple):
    id: EventId
    type: EventType
    task: dict[str, Any]


class Record(NamedTuple):
    """A task as it is kept, and its history, oldest first."""

    spec: dict[str, Any]
    task: dict[str, Any]
    history: list[Happened]

    def count(self, kind: EventType) -> int:
        return sum(event.type is kind for event in self.history)


class Kept(NamedTuple):
    """All that a database holds."""

    tasks: dict[str, Record]
    ids: list[EventId]


def read(data: Path, copy: Path) -> Kept:
    """What a copy of the database holds; raises AssertionError where it contradicts itself.

    A copy, because whoever opens the database after a crash also tidies it up.
    """
    with _opened(data, copy) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        _counts_are_right(db)
        histories: dict[int, list[Happened]] = {}
        ids = []
        for ms, n, seq, kind, body in db.execute("SELECT ms, n, task, type, body FROM events ORDER BY ms, n"):
            ids.append((ms, n))
            histories.setdefault(seq, []).append(Happened((ms, n), EventType(kind), orjson.loads(body)))
        tasks = {
            str(UUID(bytes=key)): Record(orjson.loads(spec), orjson.loads(body), histories.pop(seq, []))
            for seq, key, spec, body in db.execute("SELECT seq, id, spec, body FROM tasks")
        }
    assert not histories, "there are events of tasks that are not there"
    for record in tasks.values():
        is_legal(record)
    return Kept(tasks, ids)


def is_legal(record: Record) -> None:
    """Every event may follow the one before it, one end at most, and the task is as its last event left it."""
    state: State | None = None
    ends = 0
    for event in record.history:
        state = after(state, event.type)
        assert state.value == event.task["state"], record.history
        ends += state in FINAL
    assert ends <= 1, record.history
    assert state is not None
    assert state.value == record.task["state"], record
    attempts = [event.task["attempt"] for event in record.history if event.type is EventType.STARTED]
    assert attempts == list(range(1, len(attempts) + 1)), attempts


def _counts_are_right(db: sqlite3.Connection) -> None:
    told = {number: tasks for number, tasks in db.execute("SELECT id, tasks FROM places") if tasks}
    states = dict(db.execute("SELECT id, state FROM places"))
    counted: Counter[int] = Counter()
    for number, body in db.execute("SELECT place, body FROM tasks"):
        counted[number] += 1
        assert orjson.loads(body)["state"] == states[number]
    assert told == counted


@contextmanager
def _opened(data: Path, copy: Path) -> Iterator[sqlite3.Connection]:
    copy.mkdir()
    for suffix in ("", "-wal"):
        source = data / f"{DATABASE}{suffix}"
        if source.exists():
            shutil.copyfile(source, copy / source.name)
    db = sqlite3.connect(copy / DATABASE)
    try:
        yield db
    finally:
        db.close()
        shutil.rmtree(copy)
