"""What the registry holds: tasks, their steps and progress, and the events that changed them.

Values only, frozen: a change is a new value, and as none can refer to itself the garbage collector
need not look at them (`gc=False`). Times are integer milliseconds of the Unix epoch,
percentages 0.0 to 100.0, and `None` always means "not known", never zero.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, NamedTuple

import msgspec


class State(StrEnum):
    SCHEDULED = "scheduled"
    PENDING = "pending"
    RUNNING = "running"
    RETRYING = "retrying"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


FINAL = frozenset({State.COMPLETED, State.FAILED, State.CANCELLED})


class StepState(StrEnum):
    WAITING = "waiting"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    SKIPPED = "skipped"


class EventType(StrEnum):
    """What can happen to a task; `states` says what follows from it."""

    SUBMITTED = "submitted"
    SCHEDULED = "scheduled"
    DUE = "due"
    STARTED = "started"
    PROGRESSED = "progressed"
    STAGED = "staged"
    STALLED = "stalled"
    REVIVED = "revived"
    CANCELLING = "cancelling"
    COMPLETED = "completed"
    FAILED = "failed"
    RETRYING = "retrying"
    RECOVERED = "recovered"
    CANCELLED = "cancelled"
    DELETED = "deleted"


class EventId(NamedTuple):
    """`<ms>-<n>`: strictly increasing over the life of a store."""

    ms: int
    n: int

    def __str__(self) -> str:
        return f"{self.ms}-{self.n}"

    def before(self) -> EventId:
        """An id that is earlier than this one and later than all others that are."""
        return EventId(self.ms, self.n - 1) if self.n else EventId(self.ms - 1, 999_999_999)


FIRST = EventId(0, 0)


class Progress(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """How far a task is. `percent` is None while the total is unknown: that is not 0 %."""

    percent: float | None = None
    current: float | None = None
    total: float | None = None
    unit: str = ""
    stage: str = ""
    message: str = ""
    speed_bps: float | None = None
    eta_ms: int | None = None
    metadata: dict[str, Any] = {}
    at_ms: int = 0


class Step(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A named part of a task. `weight` is its share of the whole, in any unit common to its siblings."""

    name: str
    weight: float = 1.0
    state: StepState = StepState.WAITING
    percent: float | None = None
    message: str = ""
    started_ms: int | None = None
    finished_ms: int | None = None
    result: Any = None
    error: str = ""


class Failure(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Why a task, or its last attempt, did not end well. `type` is a stable word for programs."""

    type: str
    message: str
    details: dict[str, Any] = {}


class Spec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What somebody asked for: set when it is submitted, never changed.

    `seq` counts submissions and orders lists; `origin` is the dialect that took it;
    `timeout_ms` bounds one attempt, None means no bound; `names` are what it is called beside its id,
    and of several tasks of one name the newest is meant.
    """

    id: str
    seq: int
    kind: str
    payload: dict[str, Any]
    origin: str
    created_ms: int
    queue: str = "default"
    priority: int = 0
    title: str = ""
    max_retries: int = 3
    timeout_ms: int | None = None
    unique_key: str = ""
    unique_until_ms: int = 0
    metadata: dict[str, Any] = {}
    retry_of: str = ""
    names: tuple[str, ...] = ()


class Task(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One thing somebody asked for, as it is just after its last event.

    `changed` is the id of that event, `entry` of the last one that belongs to its progress history.
    `attempt` counts starts, `failures` the attempts that failed, `crashes` those that a server's
    death cut off; `owner` is the incarnation of the server that runs it; `due_ms` is when a
    scheduled or retrying task may go on.
    """

    spec: Spec
    state: State
    changed: EventId
    entry: EventId | None = None
    progress: Progress | None = None
    steps: tuple[Step, ...] = ()
    attempt: int = 0
    failures: int = 0
    crashes: int = 0
    owner: int = 0
    due_ms: int | None = None
    started_ms: int | None = None
    finished_ms: int | None = None
    cancelling: bool = False
    stalled: bool = False
    result: Any = None
    error: Failure | None = None

    @property
    def id(self) -> str:
        return self.spec.id

    @property
    def final(self) -> bool:
        return self.state in FINAL


class Event(msgspec.Struct, frozen=True, gc=False):
    """Something that happened, with the task as it was just after.

    `resume` is set where an older event of another task is still to be shown: somebody who watches
    all tasks and has seen this one would go on after that id.
    """

    id: EventId
    type: EventType
    task: Task
    resume: EventId | None = None
