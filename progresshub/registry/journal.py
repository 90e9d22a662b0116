"""Durability: what has happened is committed in groups, and shown to the world only then.

Whatever is noted while one commit is under way goes into the next. Until a task's change of state
is committed, others see the task as it was, and its later events wait behind it; plain progress
waits for nobody. A refused commit has told nobody anything: new tasks of it are refused with its
reason, everything else is kept and tried again.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from msgspec.structs import replace

from progresshub.clock import Clock
from progresshub.errors import HubError
from progresshub.model import Event, Task
from progresshub.storage.persistence import THINNED, Answer, Batch, Change, Place, Reach, Store, place, reach

log = logging.getLogger(__name__)

TRY_AGAIN_S = 0.5
LAST_TRIES = 4
"""How often a closing journal tries to write what is left."""


@dataclass(slots=True)
class _Group:
    """What one commit makes durable, and whom it lets go."""

    batch: Batch = field(default_factory=Batch)
    held: list[Event] = field(default_factory=list)
    noted: bool = False
    done: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def absorb(self, earlier: _Group, without: set[str]) -> None:
        """Take over what an earlier group could not make durable, with nothing of the tasks in `without`."""
        first, then = earlier.batch, self.batch
        changes = {**first.changes}
        for task_id, change in then.changes.items():
            before = changes[task_id].before if task_id in changes else change.before
            changes[task_id] = Change(before, change.after, change.expires_ms)
        then.changes = {task_id: change for task_id, change in changes.items() if task_id not in without}
        then.events = [event for event in (*first.events, *then.events) if event.task.id not in without]
        then.forgotten = [*first.forgotten, *then.forgotten]
        then.thinned = [*first.thinned, *then.thinned]
        answers = (*first.answers, *then.answers)
        then.answers = [a for a in answers if not without.intersection(task.task_id for task in a.accepted)]
        then.answers_until_ms = max(first.answers_until_ms, then.answers_until_ms)
        then.settings = {**first.settings, **then.settings}
        self.held = [event for event in (*earlier.held, *self.held) if event.task.id not in without]
        self.noted = bool(then.changes or then.forgotten or then.answers or then.settings or self.held)


class Journal:
    """The one way to the store. `publish` is given each event when others may know of it."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        publish: Callable[[Event], None],
        refused: Callable[[Iterable[Task]], None],
        *,
        write_behind_ms: int,
    ) -> None:
        self._store = store
        self._clock = clock
        self._publish = publish
        self._refused = refused
        self._write_behind_s = write_behind_ms / 1000
        self._writing = self._next = _Group()
        self._committed: dict[str, tuple[Task | None, _Group]] = {}
        self._wake = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._closing = False
        self.counts: Counter[Place] = Counter()
        self.reached: Counter[Reach] = Counter()
        self.trouble: HubError | None = None

    def note(self, event: Event, before: Task | None, *, expires_ms: int | None, keep: bool, durable: bool) -> None:
        """Take an event: `keep` stores it, `durable` hides it until it is stored. Never waits."""
        task = event.task
        waits = durable or task.id in self._committed
        if waits:
            shown = self._committed[task.id][0] if task.id in self._committed else before
            self._committed[task.id] = (shown, self._next)
            self._next.held.append(event)
        if keep:
            known = self._next.batch.changes.get(task.id)
            self._next.batch.changes[task.id] = Change(known.before if known else before, task, expires_ms)
            self._next.batch.events.append(event)
        if keep or waits:
            self._write_soon(urgent=waits)
        if not waits:
            self._publish(self._resumable(event))

    def answer(self, answer: Answer) -> None:
        self._next.batch.answers.append(answer)
        self._write_soon(urgent=True)

    def setting(self, name: str, value: str) -> None:
        self._next.batch.settings[name] = value
        self._write_soon(urgent=True)

    def thin(self, task: Task) -> None:
        """Drop every second progress entry of a task, kept or still to be kept."""
        batch = self._next.batch
        batch.thinned.append(task)
        entries = [event.id for event in batch.events if event.task.id == task.id and event.type in THINNED]
        gone = set(entries[1::2])
        batch.events = [event for event in batch.events if event.id not in gone]

    def forget(self, tasks: Iterable[Task]) -> None:
        self._next.batch.forgotten.extend(tasks)
        self._write_soon(urgent=True)

    def forget_answers(self, until_ms: int) -> None:
        self._next.batch.answers_until_ms = until_ms

    def shown(self, task_id: str, newest: Task | None) -> Task | None:
        """The task as others may see it now."""
        return self._committed[task_id][0] if task_id in self._committed else newest

    async def committed(self) -> None:
        """Wait until all that has been noted so far is durable; raises the reason when it can't be."""
        if self._next.noted:
            self._write_soon(urgent=True)
            await asyncio.shield(self._next.done)
        elif self._writing.noted and not self._writing.done.done():
            await asyncio.shield(self._writing.done)

    async def settled(self, task_id: str) -> None:
        """Wait until nothing of a task is hidden, however long the store is in trouble."""
        while task_id in self._committed:
            try:
                await asyncio.shield(self._committed[task_id][1].done)
            except HubError:
                continue

    async def run(self) -> None:
        """Commit group after group until closed; what is noted before `close` is still written, if it can be."""
        last_tries = LAST_TRIES
        while self._next.noted or not self._closing:
            await self._wake.wait()
            await asyncio.sleep(0)  # what follows at once, such as the start of a task that has just come, joins it
            self._wake.clear()
            self._stop_timer()
            self._writing, self._next = self._next, _Group()
            if await self._commit(self._writing):
                continue
            last_tries -= self._closing
            if last_tries == 0:
                log.error("what happened to %d tasks could not be kept", len(self._next.batch.changes))
                break
            await asyncio.sleep(TRY_AGAIN_S)
            self._wake.set()
        self._next.done.cancel()

    def close(self) -> None:
        self._closing = True
        self._wake.set()

    def _resumable(self, event: Event) -> Event:
        """The event as it may be shown ahead of older ones that wait for their commit."""
        for group in (self._writing, self._next):
            if group.held:
                return replace(event, resume=group.held[0].id.before())
        return event

    def _write_soon(self, *, urgent: bool) -> None:
        self._next.noted = True
        if urgent:
            self._wake.set()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._write_behind_s, self._wake.set)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def _commit(self, group: _Group) -> bool:
        group.batch.seen_ms = self._clock.now_ms()
        try:
            await self._store.commit(group.batch)
        except HubError as error:
            self._refuse(group, error)
            return False
        if self.trouble is not None:
            log.warning("the store works again")
            self.trouble = None
        self._let_go(group)
        return True

    def _let_go(self, group: _Group) -> None:
        for change in group.batch.changes.values():
            if change.before is not None:
                self._count(change.before, -1)
            self._count(change.after, 1)
        for task in group.batch.forgotten:
            self._count(task, -1)
        for event in group.held:
            task_id = event.task.id
            if task_id in self._committed:
                if self._committed[task_id][1] is group:
                    del self._committed[task_id]
                else:
                    self._committed[task_id] = (event.task, self._committed[task_id][1])
            self._publish(event)
        group.held.clear()
        group.done.set_result(None)

    def _count(self, task: Task, tasks: int) -> None:
        self.counts[place(task)] += tasks
        if (end := reach(task)) is not None:
            self.reached[end] += tasks

    def _refuse(self, group: _Group, error: HubError) -> None:
        """Nothing of the group was kept: its new tasks never were, the rest goes into the next group."""
        if self.trouble is None:
            log.error("the store refuses: %s", error.message)
        self.trouble = error
        new = {task_id for task_id, change in group.batch.changes.items() if change.before is None}
        changes = (*group.batch.changes.values(), *self._next.batch.changes.values())
        dropped = [change.after for change in changes if change.after.id in new]
        for task_id in new:
            self._committed.pop(task_id, None)
        self._next.absorb(group, without=new)
        for task_id, (shown, waiting) in self._committed.items():
            if waiting is group:
                self._committed[task_id] = (shown, self._next)
        group.held.clear()
        self._refused(dropped)
        group.done.set_exception(error)
        group.done.exception()  # nobody may be waiting
