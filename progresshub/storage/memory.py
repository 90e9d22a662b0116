"""The store that forgets at exit: the SQLite store's twin for tests and for servers that keep nothing.

It passes the same suite, and is as plain as that allows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from itertools import islice

from progresshub.model import FIRST, Event, EventId, EventType, Task
from progresshub.storage.persistence import (
    THINNED,
    Answer,
    Batch,
    Extent,
    Filter,
    Opening,
    Page,
    Place,
    Reach,
    holds,
    place,
    reach,
    tokens,
    words,
)


@dataclass(slots=True)
class _Row:
    task: Task
    expires_ms: int | None
    events: list[Event] = field(default_factory=list)


class MemoryStore:
    """Tasks and events in dictionaries."""

    def __init__(self) -> None:
        self._rows: dict[str, _Row] = {}
        self._answers: dict[str, Answer] = {}

    async def open(self, now_ms: int) -> Opening:
        return Opening(1, FIRST, 0, {})

    async def close(self, now_ms: int) -> None:
        self._rows.clear()

    async def commit(self, batch: Batch) -> None:
        for task_id, change in batch.changes.items():
            row = self._rows.setdefault(task_id, _Row(change.after, None))
            row.task, row.expires_ms = change.after, change.expires_ms
        for task in batch.thinned:
            row = self._rows[task.id]
            extra = {event.id for event in [e for e in row.events if e.type in THINNED][1::2]}
            row.events = [event for event in row.events if event.id not in extra]
        for event in batch.events:
            self._rows[event.task.id].events.append(event)
        for task in batch.forgotten:
            self._rows.pop(task.id, None)
        self._answers.update({answer.key: answer for answer in batch.answers})
        for answer in [a for a in self._answers.values() if a.expires_ms <= batch.answers_until_ms]:
            del self._answers[answer.key]

    async def load(self, task_id: str) -> Task | None:
        row = self._rows.get(task_id)
        return None if row is None else row.task

    async def beginning(self, digits: str, limit: int) -> list[Task]:
        found = (row.task for row in self._rows.values() if row.task.id.replace("-", "").startswith(digits))
        return sorted(found, key=lambda task: task.id)[:limit]

    async def named(self, name: str, limit: int) -> list[Task]:
        return list(islice((row.task for row in reversed(self._rows.values()) if name in row.task.spec.names), limit))

    async def live(self) -> list[Task]:
        return [row.task for row in self._rows.values() if not row.task.final]

    async def counts(self) -> dict[Place, int]:
        return dict(Counter(place(row.task) for row in self._rows.values()))

    async def reached(self) -> dict[Reach, int]:
        ends = (reach(row.task) for row in self._rows.values())
        return dict(Counter(end for end in ends if end is not None))

    async def page(self, wanted: Filter, before_seq: int | None, limit: int) -> Page:
        asked = tokens(wanted.text)
        chosen = (
            row.task
            for row in reversed(self._rows.values())
            if (before_seq is None or row.task.spec.seq < before_seq)
            and wanted.takes(place(row.task))
            and (not wanted.text.strip() or (asked and holds(words(row.task.spec), asked)))
        )
        tasks = list(islice(chosen, limit + 1))
        return Page(tasks[:limit], tasks[limit - 1].spec.seq if len(tasks) > limit else None)

    async def after_newest(self, wanted: Filter, count: int) -> int:
        chosen = (row.task.spec.seq for row in reversed(self._rows.values()) if wanted.takes(place(row.task)))
        return next(islice(chosen, count - 1, None), 0)

    async def history(
        self, task: Task, *, start: EventId, types: Collection[EventType] | None, limit: int
    ) -> list[Event]:
        return [e for e in self._events(task) if e.id >= start and (types is None or e.type in types)][:limit]

    async def latest(self, task: Task, types: Collection[EventType], limit: int) -> list[Event]:
        return [event for event in self._events(task) if event.type in types][-limit:]

    async def extent(self, task: Task, types: Collection[EventType]) -> Extent:
        ids = [event.id for event in self._events(task) if event.type in types]
        return Extent(len(ids), ids[0], ids[-1]) if ids else Extent(0, None, None)

    async def since(self, start: EventId, limit: int) -> list[Event]:
        events = [event for row in self._rows.values() for event in row.events if event.id > start]
        return sorted(events, key=lambda event: event.id)[:limit]

    async def expired(self, now_ms: int, limit: int) -> list[Task]:
        due = (row.task for row in self._rows.values() if row.expires_ms is not None and row.expires_ms <= now_ms)
        return list(islice(due, limit))

    async def answer(self, key: str) -> Answer | None:
        return self._answers.get(key)

    async def index(self, limit: int) -> int:
        return 0

    def _events(self, task: Task) -> list[Event]:
        row = self._rows.get(task.id)
        return [] if row is None else row.events
