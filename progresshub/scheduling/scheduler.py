"""When each task runs: slots, due times, retries, and what becomes of those a server's death cut off.

It hears of every event and answers with the next: what is pending gets in line, what is due joins
it, what has a slot is started, and what ended badly with retries left comes back later. An attempt
begins only when its start is durable, so none is ever run twice unnoticed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from heapq import heappop, heappush
from random import random

from progresshub import pace
from progresshub.errors import HubError, UnknownKind
from progresshub.kinds import Await, Lane, Outcome
from progresshub.model import Event, EventType, Failure, State, Task
from progresshub.processes.runner import Job, Runner, Stop
from progresshub.registry.hub import Hub
from progresshub.scheduling.line import Line, Turn
from progresshub.supervisor import supervised

LONGEST_NAP_S = 1.0
"""The wall clock may jump, so due times are looked at this often at least."""

PARKED = "parked: it was running at {crashes} deaths of the server"
CUT_OFF = "the server {how} while it was running"
GONE_KIND = "tasks of type {kind} are no longer known here"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    slots: int = 8
    max_crashes: int = 3
    backoff_s: float = 1.0
    backoff_max_s: float = 600.0
    jitter: float = 0.2


@dataclass(slots=True)
class _Attempt:
    turn: Turn
    stop: Stop = field(default_factory=Stop)


class Scheduler:
    """Starts tasks and ends attempts. `run` owns every attempt; `close` ends them all in good order."""

    def __init__(self, hub: Hub, runner: Runner, policy: Policy, *, chance: Callable[[], float] = random) -> None:
        self._hub = hub
        self._runner = runner
        self._policy = policy
        self._chance = chance
        self._line = Line(hub.queues, policy.slots)
        self._later: list[tuple[int, int, str]] = []
        self._attempts: dict[str, _Attempt] = {}
        self._changed = asyncio.Event()
        self._closing = False

    async def run(self) -> None:
        """Start what may start until closed, and return when the last attempt has ended."""
        async with asyncio.TaskGroup() as attempts:
            while not self._closing:
                self._changed.clear()
                self._call_due()
                self._start_all(attempts)
                try:
                    async with asyncio.timeout(self._nap_s()):
                        await self._changed.wait()
                except TimeoutError:
                    continue

    def close(self) -> None:
        """Start nothing more and stop what runs."""
        self._closing = True
        for attempt in self._attempts.values():
            attempt.stop.request()
        self._changed.set()

    def recover(self, live: list[Task]) -> None:
        """Take over the tasks that an earlier server left."""
        for task in live:
            if task.state is State.RUNNING:
                self._recover(task)
            elif task.state is State.PENDING:
                self._line.join(task.spec, self._lane(task))
            else:
                self._wait_for(task)

    def hear(self, event: Event) -> None:
        """The hub's listener: what an event means for the line."""
        task = event.task
        match event.type:
            case EventType.SUBMITTED | EventType.DUE | EventType.RECOVERED:
                self._join(task)
            case EventType.SCHEDULED | EventType.RETRYING:
                self._wait_for(task)
            case EventType.CANCELLING | EventType.DELETED:
                attempt = self._attempts.get(task.id)
                if attempt is not None:
                    attempt.stop.request()

    def queues_changed(self) -> None:
        self._changed.set()

    def _nap_s(self) -> float | None:
        """How long until something is due; None while nothing is."""
        if not self._later:
            return None
        return min(LONGEST_NAP_S, (self._later[0][0] - self._hub.clock.now_ms()) / 1000)

    def _join(self, task: Task) -> None:
        kind = self._hub.kinds.get(task.spec.kind)
        if kind is not None and kind.external:
            self._hub.start(task.id)
            return
        self._line.join(task.spec, self._lane(task))
        self._changed.set()

    def _lane(self, task: Task) -> Lane | None:
        kind = self._hub.kinds.get(task.spec.kind)
        return kind.lane_of(task.spec.payload) if kind is not None and kind.lane_of is not None else None

    def _wait_for(self, task: Task) -> None:
        heappush(self._later, (task.due_ms or 0, task.spec.seq, task.id))
        self._changed.set()

    def _call_due(self) -> None:
        now_ms = self._hub.clock.now_ms()
        while self._later and self._later[0][0] <= now_ms:
            due_ms, _, task_id = heappop(self._later)
            task = self._hub.newest(task_id)
            if task is not None and task.state in (State.SCHEDULED, State.RETRYING) and task.due_ms == due_ms:
                self._hub.due(task_id)

    def _start_all(self, attempts: asyncio.TaskGroup) -> None:
        while (turn := self._line.take()) is not None:
            task = self._hub.newest(turn.task_id)
            if task is None or task.state is not State.PENDING:
                self._line.give_back(turn)
                continue
            attempt = self._attempts[task.id] = _Attempt(turn)
            self._hub.start(task.id)
            attempts.create_task(self._supervise(task.id, attempt))

    async def _supervise(self, task_id: str, attempt: _Attempt) -> None:
        """One attempt from its slot to its end, whatever happens in between."""
        try:
            with supervised(f"the attempt of task {task_id}"):
                outcome = await self._attempt(task_id, attempt)
        except HubError as error:
            outcome = Outcome(status="failed", failure=Failure(type=error.code, message=error.message), retry=False)
        finally:
            del self._attempts[task_id]
            self._line.give_back(attempt.turn)
            self._changed.set()
        self._finish(task_id, outcome)

    async def _attempt(self, task_id: str, attempt: _Attempt) -> Outcome:
        await self._settled(task_id, attempt.stop)
        task = self._hub.newest(task_id)
        if task is None or task.cancelling or self._closing:
            return Outcome(status="cancelled")
        kind = self._hub.kinds.get(task.spec.kind)
        if kind is None:
            raise UnknownKind(kind=task.spec.kind)
        launch = kind.launch(task)
        if isinstance(launch, Await):
            raise TypeError(f"{kind.name} starts nothing, so it can't have an attempt")
        job = Job(
            task_id=task_id,
            attempt=task.attempt,
            directory=self._hub.files.directory(task_id),
            log=self._hub.files.log(task_id),
            timeout_s=None if task.spec.timeout_ms is None else task.spec.timeout_ms / 1000,
            on_report=lambda report: self._hub.progressed(task_id, report),
            stop=attempt.stop,
        )
        return await self._runner.run(launch, job)

    async def _settled(self, task_id: str, stop: Stop) -> None:
        """Wait until the start is durable, or not wanted any more: a disk may be full for long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(None) as scope:
                stop.listen(lambda: scope.reschedule(0))
                try:
                    await self._hub.journal.settled(task_id)
                finally:
                    stop.listen(None)

    def _finish(self, task_id: str, outcome: Outcome) -> None:
        task = self._hub.newest(task_id)
        if task is None or task.state is not State.RUNNING:
            return
        if self._closing and outcome.status == "cancelled" and not task.cancelling:
            self._cut_off(task, "stopped", crashed=False)
        elif outcome.status == "failed" and outcome.retry and task.failures < task.spec.max_retries:
            self._hub.finish(task_id, outcome, retry_at_ms=self._retry_at_ms(task))
        else:
            self._hub.finish(task_id, outcome, retry_at_ms=None)

    def _retry_at_ms(self, task: Task) -> int:
        policy = self._policy
        kind = self._hub.kinds[task.spec.kind]
        base_s = policy.backoff_s if kind.backoff_s is None else kind.backoff_s
        delay_ms = pace.backoff_ms(task.failures + 1, base_s, policy.backoff_max_s, policy.jitter, self._chance())
        return self._hub.clock.now_ms() + delay_ms

    def _recover(self, task: Task) -> None:
        kind = self._hub.kinds.get(task.spec.kind)
        if task.cancelling:
            self._hub.finish(task.id, Outcome(status="cancelled"), retry_at_ms=None)
        elif kind is None:
            self._fail(task, "unknown_kind", GONE_KIND.format(kind=task.spec.kind))
        elif not kind.external:
            self._cut_off(task, "died", crashed=True)

    def _cut_off(self, task: Task, how: str, *, crashed: bool) -> None:
        """What follows, by the kind's policy, when the server goes away under a running task."""
        if self._hub.kinds[task.spec.kind].recovery == "fail":
            self._fail(task, f"server_{how}", CUT_OFF.format(how=how))
        elif crashed and task.crashes >= self._policy.max_crashes:
            self._fail(task, "parked", PARKED.format(crashes=task.crashes + 1))
        else:
            self._hub.recover(task.id, crashed=crashed)

    def _fail(self, task: Task, kind: str, message: str) -> None:
        outcome = Outcome(status="failed", failure=Failure(type=kind, message=message), retry=False)
        self._hub.finish(task.id, outcome, retry_at_ms=None)
