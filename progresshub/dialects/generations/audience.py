"""Those who watch generations: waiting for one to begin, hearing what changes, and told again how it stands.

One timer serves all of them, and the watchers of one task share what they are told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import takewhile
from typing import Protocol

from progresshub.bus import Encoding
from progresshub.dialects.generations import words
from progresshub.edge.sse import chunk
from progresshub.model import Event, EventId, EventType, Task
from progresshub.registry.hub import Hub

BIRTHS = frozenset({EventType.SUBMITTED, EventType.SCHEDULED})
BEAT_SLICES = 16
"""In so many parts of its interval a heartbeat goes out, to those who are due by then."""


class Telling:
    """What the watchers of one task hear, each thing once however often it is reported."""

    __slots__ = ("_beat", "_beat_of", "_hub", "_said", "_task_id", "_wrap", "watchers")

    def __init__(self, hub: Hub, task_id: str, *, chunked: bool) -> None:
        self.watchers = 0
        self._hub = hub
        self._task_id = task_id
        self._wrap = chunk if chunked else bytes
        self._said: words.Said | None = None
        self._beat = b""
        self._beat_of: tuple[EventId, int] | None = None

    @property
    def encoding(self) -> Encoding:
        return Encoding(self, self._wrap, b"", b"")

    def stands(self, task: Task) -> words.Said:
        """What somebody is told who has heard nothing yet."""
        said = self._said if self._said is not None and words.between_steps(task) else words.said(task)
        self._said = self._said or said
        return said

    def __call__(self, event: Event) -> bytes:
        task, at_ms = event.task, event.id.ms
        if event.type is EventType.DELETED:
            return b"" if task.final else words.farewell(words.DELETED, at_ms)
        if task.final:
            return words.last_frames(task, at_ms)
        if words.between_steps(task):
            return b""
        said, before = words.said(task), self._said
        self._said = said
        return b"" if said == before else words.frame(said, at_ms)

    def beat(self) -> bytes:
        """How it stands now; its end is told as an event."""
        task, now_ms = self._hub.find(self._task_id), self._hub.clock.now_ms()
        if task is None or task.final:
            return b""
        if self._beat_of != (of := (task.changed, now_ms // 1_000)):
            self._beat_of, self._beat = of, self._wrap(words.frame(self.stands(task), now_ms))
        return self._beat


class Hearer(Protocol):
    """Who gets heartbeats."""

    def beat(self) -> None: ...


class Pulse:
    """Heartbeats for many, each at its own time: so often after it joined."""

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._due_s: dict[Hearer, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    @contextmanager
    def felt_by(self, hearer: Hearer) -> Iterator[None]:
        """Heartbeats for as long as the block lasts."""
        self._put_last(hearer)
        if self._timer is None:
            self._wait()
        try:
            yield
        finally:
            del self._due_s[hearer]
            if not self._due_s and self._timer is not None:
                self._timer.cancel()
                self._timer = None

    def _put_last(self, hearer: Hearer) -> None:
        self._due_s[hearer] = asyncio.get_running_loop().time() + self._every_s

    def _wait(self) -> None:
        loop = asyncio.get_running_loop()
        first_s = next(iter(self._due_s.values()))
        self._timer = loop.call_at(max(first_s, loop.time() + self._every_s / BEAT_SLICES), self._go_round)

    def _go_round(self) -> None:
        now_s = asyncio.get_running_loop().time()
        due = [hearer for hearer, _ in takewhile(lambda one: one[1] <= now_s, self._due_s.items())]
        for hearer in due:
            del self._due_s[hearer]
            self._put_last(hearer)
            hearer.beat()
        self._wait()


class Audience:
    """What the streams of one server have in common."""

    def __init__(self, hub: Hub, heartbeat_s: float) -> None:
        self.pulse = Pulse(heartbeat_s)
        self._hub = hub
        self._bells: dict[str, dict[asyncio.Event, None]] = {}
        self._tellings: dict[tuple[str, bool], Telling] = {}
        hub.listen(self._hear)

    @contextmanager
    def telling(self, task_id: str, *, chunked: bool) -> Iterator[Telling]:
        """The one that all watchers of that task share while there are any."""
        shared = self._tellings.setdefault((task_id, chunked), Telling(self._hub, task_id, chunked=chunked))
        shared.watchers += 1
        try:
            yield shared
        finally:
            shared.watchers -= 1
            if not shared.watchers:
                del self._tellings[task_id, chunked]

    @contextmanager
    def expecting(self, name: str) -> Iterator[asyncio.Event]:
        """A bell that rings when a task of that name has been submitted, which may not be kept yet."""
        bell = asyncio.Event()
        bells = self._bells.setdefault(name, {})
        bells[bell] = None
        try:
            yield bell
        finally:
            del bells[bell]
            if not bells:
                del self._bells[name]

    def _hear(self, event: Event) -> None:
        if self._bells and event.type in BIRTHS:
            for name in event.task.spec.names:
                for bell in self._bells.get(name, ()):
                    bell.set()
