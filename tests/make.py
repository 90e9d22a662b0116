"""Values for tests: tasks and events with only what a test cares about spelled out."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import msgspec

from progresshub.model import Event, EventId, EventType, Progress, Spec, State, Task
from progresshub.storage.persistence import Batch, Change


def spec(seq: int = 1, **given: Any) -> Spec:
    defaults: dict[str, Any] = {"kind": "demo", "payload": {}, "origin": "queues", "created_ms": 1_000}
    return Spec(seq=seq, **{"id": str(uuid4()), **defaults, **given})


def task(seq: int = 1, state: State = State.PENDING, *, changed: EventId | None = None, **given: Any) -> Task:
    known = {name: given.pop(name) for name in list(given) if name in Spec.__struct_fields__}
    return Task(spec=spec(seq, **known), state=state, changed=changed or EventId(1_000 + seq, 0), **given)


def progress(percent: float | None, **given: Any) -> Progress:
    return Progress(percent=percent, **given)


def event(of: Task, kind: EventType, ms: int, n: int = 0) -> Event:
    return Event(EventId(ms, n), kind, of)


def batch(*tasks: Task, events: list[Event] | None = None, expires_ms: int | None = None) -> Batch:
    """A batch in which these tasks are new."""
    changes = {task.id: Change(None, task, expires_ms) for task in tasks}
    return Batch(changes=changes, events=events or [])


def replaced(task: Task, **changes: Any) -> Task:
    return msgspec.structs.replace(task, **changes)
