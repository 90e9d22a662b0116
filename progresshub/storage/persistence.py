"""What a store is asked to keep and to find: the seam between the registry and its two stores.

A store knows tasks and events, not rules. Whatever is committed together is kept together or not
at all; nothing here says when.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from progresshub.model import Event, EventId, EventType, Spec, State, Task

ENTRIES = frozenset(
    {EventType.PROGRESSED, EventType.STAGED, EventType.COMPLETED, EventType.FAILED, EventType.CANCELLED}
)
"""The events that make up a task's progress history."""

THINNED = (EventType.PROGRESSED, EventType.STAGED)
"""The events that a history may lose when it grows too long."""

SEARCHED_CHARS = 2_000
ROUNDING = 1e-6
"""Less than this below a tenth of a percent is an error of the arithmetic."""

_WORD = re.compile(r"[^\W_]+")


class Place(NamedTuple):
    """Where a task stands; counts are kept for each."""

    queue: str
    kind: str
    state: State


def place(task: Task) -> Place:
    return Place(task.spec.queue, task.spec.kind, task.state)


class Reach(NamedTuple):
    """How far a task came that ended without being completed; those are counted, too."""

    state: State
    tenths: int


def tenths(percent: float | None) -> int:
    """Tenths of a percent, rounded down; nothing known is nothing done."""
    return int(10 * (percent or 0.0) + ROUNDING)


def reach(task: Task) -> Reach | None:
    if task.state not in (State.FAILED, State.CANCELLED):
        return None
    return Reach(task.state, tenths(task.progress.percent if task.progress else None))


def short(task_id: str) -> str:
    """The first 12 hexadecimal digits of a task's id: enough to tell it from the others that are kept."""
    return task_id.replace("-", "")[:12]


class Change(NamedTuple):
    """A task as it was last committed (None: not at all) and as it is to be now."""

    before: Task | None
    after: Task
    expires_ms: int | None


class Accepted(NamedTuple):
    """What a client is told of a task that was taken."""

    task_id: str
    queue: str
    state: State


class Answer(NamedTuple):
    """What was answered to a request that carried an Idempotency-Key; `digest` is of its body."""

    key: str
    digest: bytes
    accepted: tuple[Accepted, ...]
    expires_ms: int


@dataclass(slots=True)
class Batch:
    """What is committed together. `thinned` tasks lose every second progress entry kept before, once for each mention;
    answers that expired by `answers_until_ms` go, and so do settings that become empty."""

    changes: dict[str, Change] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    forgotten: list[Task] = field(default_factory=list)
    answers_until_ms: int = 0
    thinned: list[Task] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    settings: dict[str, str] = field(default_factory=dict)
    seen_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which tasks: None or empty means any. `words` are prefixes that must all occur."""

    queue: str | None = None
    kind: str | None = None
    states: frozenset[State] = frozenset()
    text: str = ""
    without_kind: str | None = None

    def takes(self, where: Place) -> bool:
        return (
            self.queue in (None, where.queue)
            and self.kind in (None, where.kind)
            and self.without_kind != where.kind
            and (not self.states or where.state in self.states)
        )


class Page(NamedTuple):
    """Tasks, newest first. `before_seq` continues the list; None ends it. A page may be short and yet not the last."""

    tasks: list[Task]
    before_seq: int | None


class Extent(NamedTuple):
    """How much of a history is kept; the ids are None when it is empty."""

    length: int
    first: EventId | None
    last: EventId | None


class Opening(NamedTuple):
    """What a store tells the server that opens it."""

    incarnation: int
    last_event: EventId
    last_seq: int
    settings: Mapping[str, str]


class Store(Protocol):
    """SQLite or memory; both pass one suite.

    `commit` raises StorageFull or Unavailable and then has kept nothing of the batch. Events are
    told oldest first: `history` the first ones from `start` on, `latest` the last ones there are.
    `beginning` finds tasks by the first hexadecimal digits of their ids; `after_newest` gives the
    `before_seq` with which a list goes on after so many; `named` gives tasks of a name, newest first.
    """

    async def open(self, now_ms: int) -> Opening: ...
    async def commit(self, batch: Batch) -> None: ...
    async def load(self, task_id: str) -> Task | None: ...
    async def beginning(self, digits: str, limit: int) -> list[Task]: ...
    async def named(self, name: str, limit: int) -> list[Task]: ...
    async def live(self) -> list[Task]: ...
    async def counts(self) -> dict[Place, int]: ...
    async def reached(self) -> dict[Reach, int]: ...
    async def page(self, wanted: Filter, before_seq: int | None, limit: int) -> Page: ...
    async def after_newest(self, wanted: Filter, count: int) -> int: ...
    async def history(
        self, task: Task, *, start: EventId, types: Collection[EventType] | None, limit: int
    ) -> list[Event]: ...
    async def latest(self, task: Task, types: Collection[EventType], limit: int) -> list[Event]: ...
    async def extent(self, task: Task, types: Collection[EventType]) -> Extent: ...
    async def since(self, start: EventId, limit: int) -> list[Event]: ...
    async def expired(self, now_ms: int, limit: int) -> list[Task]: ...
    async def answer(self, key: str) -> Answer | None: ...
    async def index(self, limit: int) -> int: ...
    async def close(self, now_ms: int) -> None: ...


def words(spec: Spec) -> str:
    """The text of a task that people search: its title, kind, and the texts of its payload and metadata."""
    parts = [spec.title, spec.kind]
    for value in (*spec.payload.values(), *spec.metadata.values()):
        if isinstance(value, str):
            parts.append(value)
        elif isinstance(value, list):
            parts.extend(item for item in value if isinstance(item, str))
    return " ".join(parts)[:SEARCHED_CHARS]


def tokens(text: str) -> list[str]:
    """The words of a text as searches compare them: without case and accents."""
    plain = "".join(char for char in unicodedata.normalize("NFD", text) if not unicodedata.combining(char))
    return _WORD.findall(unicodedata.normalize("NFC", plain).casefold())


def holds(text: str, wanted: Iterable[str]) -> bool:
    """Whether each of the wanted tokens begins a word of the text."""
    there = tokens(text)
    return all(any(token.startswith(word) for token in there) for word in wanted)
