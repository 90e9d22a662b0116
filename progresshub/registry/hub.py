"""The registry of tasks and its only writer.

`_record` is the one method that changes anything: it asks the table for the next state, gives the
event its id, replaces the task, notes the event in the journal and tells those who listen, with no
`await` inside. That is the critical section; there are no locks. Everything else here decides what
happened and waits, where others must be able to rely on it, until it is durable.

Live and recently finished tasks are in memory; older ones are read from the store when asked for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import count
from typing import Any

from msgspec.structs import replace

from progresshub import pace
from progresshub.bus import Bus
from progresshub.clock import Clock, EventClock
from progresshub.errors import (
    HubError,
    NotCancellable,
    NotDeletable,
    NotReportable,
    NotRetryable,
    UnknownTask,
)
from progresshub.files import Files
from progresshub.kinds import Kind, Outcome, kept_steps
from progresshub.model import FIRST, Event, EventId, EventType, Failure, Progress, State, Task
from progresshub.protocol import Report
from progresshub.registry.answers import Answers
from progresshub.registry.ids import ids
from progresshub.registry.journal import Journal
from progresshub.registry.queues import Queue, Queues
from progresshub.registry.recorder import Recorder, Verdict
from progresshub.registry.shelf import Registry
from progresshub.registry.submission import IdempotencyKey, Prepared, Submission, again, prepare, refuse_doubles
from progresshub.states import after
from progresshub.storage.persistence import ENTRIES, Accepted, Answer, Filter, Page, Store

ANSWER_KEPT_MS = 86_400_000
CANCELLED = Failure(type="cancelled", message="the task was cancelled")
_BIRTHS = frozenset({EventType.SUBMITTED, EventType.SCHEDULED})
_PROGRESS = frozenset({EventType.PROGRESSED, EventType.STAGED})


class Hub:
    """Takes, changes and finds tasks. Methods that wait return when what they did is durable."""

    def __init__(
        self,
        *,
        store: Store,
        bus: Bus,
        clock: Clock,
        files: Files,
        kinds: Mapping[str, Kind],
        queues: Queues,
        retention_ms: int = 604_800_000,
        recent: int = 1_000,
        write_behind_ms: int = 250,
        max_entries: int = 10_000,
    ) -> None:
        self.store = store
        self.bus = bus
        self.clock = clock
        self.files = files
        self.kinds = kinds
        self.queues = queues
        self.events = EventClock(clock)
        self.journal = Journal(store, clock, self._publish, self._refused, write_behind_ms=write_behind_ms)
        self.happened: Counter[tuple[str, EventType]] = Counter()
        self.incarnation = 0
        self.settings: Mapping[str, str] = {}
        self.opened_s = clock.monotonic_s()
        self._tasks = Registry(recent)
        self._retention_ms = retention_ms
        self._recorder = Recorder(max_entries)
        self.last_seq = 0
        self._ids = ids()
        self._answers = Answers(store, clock)
        self._leaving: set[str] = set()
        self._listeners: list[Callable[[Event], None]] = []

    async def open(self) -> list[Task]:
        """Open the store and take over its live tasks; returns them, oldest first."""
        opening = await self.store.open(self.clock.now_ms())
        self.incarnation = opening.incarnation
        # Progress was shown that is not kept: whoever saw its id last must be known when he comes again.
        self.events.saw(max(opening.last_event, EventId(self.clock.now_ms(), 0)))
        self.last_seq = opening.last_seq
        self.settings = opening.settings
        self.queues.restore(opening.settings)
        counts = await self.store.counts()
        self.journal.counts.update(counts)
        self.journal.reached.update(await self.store.reached())
        for where in counts:
            self.queues.use(where.queue)
        live = await self.store.live()
        for task in live:
            self._tasks.put(task)
        return live

    def listen(self, listener: Callable[[Event], None]) -> None:
        """Hear of every event as it is recorded, before the world does."""
        self._listeners.append(listener)

    # Finding

    async def get(self, task_id: str) -> Task:
        """The task as others may see it; UnknownTask if there is none."""
        task = self.find(task_id) or await self.store.load(task_id)
        if task is None:
            raise UnknownTask(task_id=task_id)
        return task

    async def beginning(self, digits: str) -> Task:
        """The task whose id begins with these 12 hexadecimal digits, as others may see it."""
        task = self._tasks.beginning(digits) or next(iter(await self.store.beginning(digits, 1)), None)
        if task is None:
            raise UnknownTask(task_id=digits)
        return await self.get(task.id)

    def find(self, task_id: str) -> Task | None:
        """The same for a task that is in memory."""
        return self.journal.shown(task_id, self._tasks.get(task_id))

    def newest(self, task_id: str) -> Task | None:
        """A task in memory as it is now, durable or not: for those who move it on."""
        return self._tasks.get(task_id)

    def live(self, state: State) -> list[Task]:
        """The tasks that are in this state now."""
        return [task for task in self._tasks if task.state is state]

    async def page(self, wanted: Filter, before_seq: int | None, limit: int) -> Page:
        """Tasks that fit, newest first, with their newest progress."""
        tasks, more = await self.store.page(wanted, before_seq, limit)
        return Page([max(task, self.find(task.id) or task, key=_changed) for task in tasks], more)

    async def kept(self) -> None:
        """Wait until the store has all that happened so far, or can't have it; then it may be read."""
        try:
            await self.journal.committed()
        except HubError:
            return  # reading goes on with what there is

    # What clients ask for

    async def submit(
        self, submissions: Sequence[Submission], idempotency: IdempotencyKey | None = None
    ) -> tuple[Accepted, ...]:
        """Take tasks, all of them or none. With a key that was used before, tell again what was told then."""
        if idempotency is None:
            return await self._take(submissions, None)
        return await self._answers.once(idempotency, lambda: self._take(submissions, idempotency))

    async def cancel(self, task_id: str) -> Task:
        """Stop a task: at once if it waits, else as soon as its processes are gone."""
        task = await self._current(task_id)
        if task.final or task.cancelling:
            raise NotCancellable(task_id=task_id, state="being cancelled" if task.cancelling else task.state)
        if task.state is State.RUNNING and not self._kind(task).external:
            task = self._record(EventType.CANCELLING, replace(task, cancelling=True))
        else:
            task = self._end(task, EventType.CANCELLED, error=CANCELLED)
        await self.journal.committed()
        return task

    async def delete(self, task_id: str) -> None:
        task = await self._current(task_id)
        if task.state is State.RUNNING:
            raise NotDeletable(task_id=task_id, state=task.state)
        await self.forget([task])

    async def retry(self, task_id: str) -> Accepted:
        """Do a failed or cancelled task over as a new one, which inherits its files."""
        task = await self._current(task_id)
        if task.state not in (State.FAILED, State.CANCELLED):
            raise NotRetryable(task_id=task_id, state=task.state)
        (accepted,) = await self.submit([again(task.spec, kept_steps(self.kinds, task))])
        return accepted

    async def report(self, task_id: str, report: Report) -> Task:
        """Take a report from whoever does the work of an external task; None of its fields is needed."""
        task = await self._current(task_id)
        if task.state is not State.RUNNING or not self._kind(task).external:
            raise NotReportable(task_id=task_id, state=task.state, kind=task.spec.kind)
        self._hear(task, report)
        if (verdict := pace.verdict(report)) is not None:
            failure = Failure(type=report.error_type or "reported", message=report.error or "reported as failed")
            self.finish(task_id, Outcome(status=verdict, result=report.result, failure=failure), retry_at_ms=None)
            await self.journal.committed()
        return self._tasks.get(task_id) or task

    def report_news(self, task_id: str, report: Report) -> Task | None:
        """The same for a report that needs no wait: of a task that is running, and not the last. None of any other."""
        task = self._tasks.get(task_id)
        if task is None or self.find(task_id) is None or task_id in self._leaving or pace.verdict(report) is not None:
            return None
        if task.state is not State.RUNNING or not self._kind(task).external:
            return None
        self._hear(task, report)
        return self._tasks.get(task_id)

    async def change_queue(self, queue: Queue) -> None:
        self.journal.setting(*self.queues.change(queue))
        await self.journal.committed()

    async def forget(self, tasks: Iterable[Task]) -> None:
        """Take tasks, their events and their files away for good."""
        gone = [task for task in tasks if task.id not in self._leaving]
        self._leaving.update(task.id for task in gone)
        for task in gone:
            self._record(EventType.DELETED, task)
        self.journal.forget(gone)
        await self.journal.committed()

    # What the scheduler and the runner say

    def due(self, task_id: str) -> None:
        self._move(task_id, EventType.DUE, due_ms=None)

    def start(self, task_id: str) -> None:
        """The next attempt begins, with nothing reported yet."""
        task = self._known(task_id)
        self._move(
            task_id,
            EventType.STARTED,
            attempt=task.attempt + 1,
            owner=self.incarnation,
            progress=None,
            steps=kept_steps(self.kinds, task),
            started_ms=self.clock.now_ms(),
        )

    def progressed(self, task_id: str, report: Report) -> None:
        """Take a report from a task's own processes; one that comes too late is dropped."""
        before = self._tasks.get(task_id)
        if before is None or before.state is not State.RUNNING:
            return
        if before.stalled:
            before = self._record(EventType.REVIVED, replace(before, stalled=False))
        task = pace.apply(before, report, self.clock.now_ms())
        if not pace.staged(before, task):
            self._record(EventType.PROGRESSED, task)
        else:
            self._record(
                EventType.STAGED, task, durable=report.status is not None and bool(kept_steps(self.kinds, task))
            )

    def stall(self, task_id: str) -> None:
        self._move(task_id, EventType.STALLED, stalled=True)

    def finish(self, task_id: str, outcome: Outcome, *, retry_at_ms: int | None) -> None:
        """An attempt has ended and nothing of it runs any more."""
        task = self._known(task_id)
        if task.cancelling or outcome.status == "cancelled":
            self._end(task, EventType.CANCELLED, error=CANCELLED)
        elif outcome.status == "done":
            progress = replace(task.progress or Progress(), percent=100.0, eta_ms=0, at_ms=self.clock.now_ms())
            self._end(task, EventType.COMPLETED, result=outcome.result, progress=progress, error=None)
        elif retry_at_ms is not None:
            self._move(
                task_id, EventType.RETRYING, failures=task.failures + 1, error=outcome.failure, due_ms=retry_at_ms
            )
        else:
            self._end(task, EventType.FAILED, error=outcome.failure, failures=task.failures + 1)

    def recover(self, task_id: str, *, crashed: bool) -> None:
        """The server went away under the task: it waits for its next attempt."""
        self._move(task_id, EventType.RECOVERED, crashes=self._known(task_id).crashes + crashed)

    # The one writer

    def _record(self, kind: EventType, task: Task, *, durable: bool = False) -> Task:
        born = kind in _BIRTHS
        before = None if born else self._tasks.get(task.id) or task
        state = after(None if born else task.state, kind)
        event_id = self.events.next()
        entry = event_id if kind in ENTRIES else task.entry
        steps = task.steps if state in (State.RUNNING, State.COMPLETED) else pace.interrupted(task.steps)
        task = replace(task, state=state, changed=event_id, entry=entry, steps=steps)
        event = Event(event_id, kind, task)
        self._tasks.put(task)
        progress = kind in _PROGRESS
        self.journal.note(
            event,
            before,
            expires_ms=self._expires_ms(task),
            keep=self._worth_keeping(task, kind) if progress else kind is not EventType.DELETED,
            durable=durable or not progress,
        )
        self.happened[task.spec.kind, kind] += 1
        if kind is EventType.DELETED:
            self._tasks.drop(task)
        if task.final:
            self._recorder.forget(task)
        for listener in self._listeners:
            listener(event)
        return task

    def _publish(self, event: Event) -> None:
        """Others may know now; a task that is gone for good takes its files along."""
        if event.type is EventType.DELETED:
            self.files.remove([event.task.id])
            self._leaving.discard(event.task.id)
        self.bus.publish(event)

    def _hear(self, task: Task, report: Report) -> None:
        if (news := pace.without_verdict(report)) != Report():
            self.progressed(task.id, pace.with_total(news, task.spec.payload))

    def _move(self, task_id: str, kind: EventType, **changes: Any) -> Task:
        return self._record(kind, replace(self._known(task_id), **changes))

    def _end(self, task: Task, kind: EventType, **changes: Any) -> Task:
        return self._record(
            kind,
            replace(task, finished_ms=self.clock.now_ms(), cancelling=False, stalled=False, due_ms=None, **changes),
        )

    async def _take(
        self, submissions: Sequence[Submission], idempotency: IdempotencyKey | None
    ) -> tuple[Accepted, ...]:
        if self.journal.trouble is not None:
            raise self.journal.trouble
        accepted = tuple(self._accept(prepared) for prepared in self._prepared(submissions))
        if idempotency is not None:
            expires_ms = self.clock.now_ms() + ANSWER_KEPT_MS
            self.journal.answer(Answer(idempotency.key, idempotency.digest, accepted, expires_ms))
        await self.journal.committed()
        return accepted

    def _prepared(self, submissions: Sequence[Submission]) -> list[Prepared]:
        """All that is asked, checked, before any of it is taken."""
        now_ms, room_bytes = self.clock.now_ms(), self.files.free_bytes()
        names = zip(self._ids, count(self.last_seq + 1))
        prepared = [prepare(one, self.kinds, next(names), now_ms, room_bytes) for one in submissions]
        refuse_doubles(prepared, lambda key: self._tasks.holder(key, now_ms))
        self.queues.check(asked.queue for asked in submissions)
        return prepared

    def _accept(self, prepared: Prepared) -> Accepted:
        spec, asked, due_ms = prepared
        self.last_seq = max(self.last_seq, spec.seq)
        self.queues.use(spec.queue)
        self.files.settle(spec.id, staged=asked.staged, retry_of=spec.retry_of)
        kind = EventType.SUBMITTED if due_ms is None else EventType.SCHEDULED
        task = self._record(kind, Task(spec=spec, state=State.PENDING, changed=FIRST, steps=asked.steps, due_ms=due_ms))
        return Accepted(spec.id, spec.queue, task.state)

    def _refused(self, tasks: Iterable[Task]) -> None:
        """These were never kept, so they were never taken."""
        for task in tasks:
            if not self._tasks.drop(task):
                continue
            self.files.unsettle(task.id, task.spec.retry_of)
            for listener in self._listeners:
                listener(Event(task.changed, EventType.DELETED, task))

    async def _current(self, task_id: str) -> Task:
        """A task that others know of, as it is now; one that is being deleted is nobody's business any more."""
        task = await self.get(task_id)
        if task_id in self._leaving:
            raise UnknownTask(task_id=task_id)
        return self._tasks.get(task_id) or task

    def _known(self, task_id: str) -> Task:
        task = self._tasks.get(task_id)
        if task is None:
            raise UnknownTask(task_id=task_id)
        return task

    def _kind(self, task: Task) -> Kind:
        return self.kinds[task.spec.kind]

    def _expires_ms(self, task: Task) -> int | None:
        if task.finished_ms is None:
            return None
        kind = self.kinds.get(task.spec.kind)
        kept_ms = kind.retention_ms if kind is not None and kind.retention_ms is not None else self._retention_ms
        return task.finished_ms + kept_ms

    def _worth_keeping(self, task: Task, kind: EventType) -> bool:
        verdict = self._recorder.judge(task, kind)
        if verdict is Verdict.THIN_AND_KEEP:
            self.journal.thin(task)
        return verdict is not Verdict.LEAVE


def _changed(task: Task) -> EventId:
    return task.changed
