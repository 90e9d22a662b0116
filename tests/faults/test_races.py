"""What two ask at once: the first wins, the other is told so, and every history stays legal.

Clients, a runner, the clock and the disk take their turns in an order that a seed decides.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Callable, Coroutine
from pathlib import Path
from random import Random
from typing import Any, cast

import pytest

from progresshub.errors import (
    DuplicateTask,
    NotCancellable,
    NotDeletable,
    NotRetryable,
    StorageFull,
    UnknownTask,
)
from progresshub.kinds import Launch, Outcome
from progresshub.model import Event, EventType, Failure
from progresshub.processes.runner import Job, Runner
from progresshub.registry.hub import Hub
from progresshub.registry.submission import Submission
from progresshub.scheduling.scheduler import Policy, Scheduler
from tests.faults import audit
from tests.parts import Disk, HandClock, a_hub
from tests.wait import until

INTERLEAVINGS = 10_000 if os.environ.get("PROGRESSHUB_TESTS_FULL") else 1_000
TURNS = 40
REFUSALS = (DuplicateTask, NotCancellable, NotDeletable, NotRetryable, StorageFull, UnknownTask)
CANCELLED = Outcome(status="cancelled")
ENDS = (
    Outcome(status="done"),
    Outcome(status="failed", failure=Failure(type="timeout", message="it took longer than 1 s")),
    Outcome(status="failed", failure=Failure(type="exit", message="exited with 1"), retry=False),
)


class Puppets:
    """A runner whose jobs end when they are told to; one that was called off is cancelled, whatever it says."""

    def __init__(self) -> None:
        self.jobs: dict[str, asyncio.Future[Outcome]] = {}

    async def run(self, launch: Launch, job: Job) -> Outcome:
        assert job.task_id not in self.jobs, "two attempts at one task"
        ended = self.jobs[job.task_id] = asyncio.get_running_loop().create_future()
        job.stop.listen(lambda: self.end(job.task_id, CANCELLED))
        try:
            said = await ended
        finally:
            del self.jobs[job.task_id]
        return CANCELLED if job.stop.requested else said

    def end(self, task_id: str, outcome: Outcome) -> None:
        if not self.jobs[task_id].done():
            self.jobs[task_id].set_result(outcome)


class Crowd:
    """Everybody who moves tasks, each turn another one."""

    def __init__(self, hub: Hub, clock: HandClock, disk: Disk, seed: int) -> None:
        self.random = Random(seed)
        self.happened: list[Event] = []
        self.refused: set[str] = set()
        self.asked: list[tuple[str, str, asyncio.Task[Any]]] = []
        self.puppets = Puppets()
        self.scheduler = Scheduler(hub, cast(Runner, self.puppets), Policy(slots=2, jitter=0.0))
        self._hub = hub
        self._clock = clock
        self._disk = disk
        hub.listen(self.scheduler.hear)
        hub.listen(self._hear)

    def _hear(self, event: Event) -> None:
        """A task that the disk refused was never there: its end comes under an id that was."""
        if any(event.id == before.id for before in self.happened):
            self.refused.add(event.task.id)
        self.happened.append(event)

    async def turn(self) -> None:
        self.random.choice(
            [
                self._submit,
                self._submit_unique,
                self._submit_unique,
                self._cancel,
                self._cancel,
                self._retry,
                self._delete,
                self._end,
                self._end,
                self._pass_time,
                self._change_disk,
            ]
        )()
        for _ in range(self.random.randrange(4)):
            await asyncio.sleep(0)

    async def rest(self) -> None:
        """The disk takes everything again, and all tasks come to their ends."""
        self._disk.refusal = None
        self._disk.open_gate.set()
        await asyncio.wait([task for _, _, task in self.asked])
        await until(self._over)

    def _over(self) -> bool:
        self._pass_time()
        for task_id in self.puppets.jobs:
            self.puppets.end(task_id, ENDS[0])
        return all(task.final for task in map(self._hub.newest, self._known()) if task is not None)

    def _known(self) -> list[str]:
        return list(dict.fromkeys(event.task.id for event in self.happened))

    def _ask(self, word: str, task_id: str, call: Coroutine[Any, Any, Any]) -> None:
        self.asked.append((word, task_id, asyncio.create_task(call)))

    def _ask_about(self, word: str, method: Callable[[str], Coroutine[Any, Any, Any]]) -> None:
        if known := self._known():
            task_id = self.random.choice(known[-4:])
            self._ask(word, task_id, method(task_id))

    def _submit(self) -> None:
        self._ask("submit", "", self._hub.submit([_asked(max_retries=1)]))

    def _submit_unique(self) -> None:
        self._ask("submit", "", self._hub.submit([_asked(payload={"same": 1}, unique_ms=10**9)]))

    def _cancel(self) -> None:
        self._ask_about("cancel", self._hub.cancel)

    def _retry(self) -> None:
        self._ask_about("retry", self._hub.retry)

    def _delete(self) -> None:
        self._ask_about("delete", self._hub.delete)

    def _end(self) -> None:
        if self.puppets.jobs:
            self.puppets.end(self.random.choice(list(self.puppets.jobs)), self.random.choice(ENDS))

    def _pass_time(self) -> None:
        self._clock.ms += self.random.choice((0, 1, 2_000))
        self.scheduler.queues_changed()

    def _change_disk(self) -> None:
        self._disk.refusal = self.random.choice((None, None, StorageFull()))
        self.random.choice((self._disk.open_gate.set, self._disk.open_gate.clear))()


@pytest.mark.timeout(INTERLEAVINGS / 10)
async def test_every_interleaving_is_legal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("progresshub.registry.journal.TRY_AGAIN_S", 0.0)
    told: Counter[str] = Counter()
    for seed in range(INTERLEAVINGS):
        crowd = await _interleave(tmp_path, seed)
        told.update(_judge(crowd))

    assert {"DuplicateTask", "NotCancellable", "NotRetryable", "StorageFull", "cancel"} <= told.keys(), told


async def _interleave(root: Path, seed: int) -> Crowd:
    clock, disk = HandClock(), Disk()
    async with a_hub(root, store=disk, clock=clock) as hub:
        crowd = Crowd(hub, clock, disk, seed)
        scheduling = asyncio.create_task(crowd.scheduler.run())
        for _ in range(TURNS):
            await crowd.turn()
        await crowd.rest()
        crowd.scheduler.close()
        await scheduling
        await hub.kept()
        for task_id in {event.task.id for event in crowd.happened}:
            await _is_kept_as_it_happened(hub, task_id, crowd.happened)
    return crowd


def _judge(crowd: Crowd) -> Counter[str]:
    """What everybody was told fits what happened."""
    ids = [event.id for event in crowd.happened if event.task.id not in crowd.refused]
    assert ids == sorted(set(ids))
    told: Counter[str] = Counter()
    cancelled: Counter[str] = Counter()
    for word, task_id, task in crowd.asked:
        error = task.exception()
        assert error is None or isinstance(error, REFUSALS), error
        told[word if error is None else type(error).__name__] += 1
        cancelled[task_id] += word == "cancel" and error is None
    for task_id, times in cancelled.items():
        ends = [event.type for event in crowd.happened if event.task.id == task_id and _is_end(event)]
        assert times <= 1
        assert not times or ends == [EventType.CANCELLED], (task_id, ends)
    _unique_ones_do_not_meet(crowd.happened)
    return told


def _is_end(event: Event) -> bool:
    return event.type in (EventType.COMPLETED, EventType.FAILED, EventType.CANCELLED)


def _unique_ones_do_not_meet(happened: list[Event]) -> None:
    holder = ""
    for event in happened:
        if event.task.spec.unique_key:
            if event.type is EventType.SUBMITTED:
                assert not holder
                holder = event.task.id
            elif event.task.id == holder and (_is_end(event) or event.type is EventType.DELETED):
                holder = ""


async def _is_kept_as_it_happened(hub: Hub, task_id: str, happened: list[Event]) -> None:
    events = [event for event in happened if event.task.id == task_id]
    if events[-1].type is EventType.DELETED:
        with pytest.raises(UnknownTask):
            await hub.get(task_id)
        return
    task = await hub.get(task_id)
    kept = await hub.store.history(task, start=events[0].id, types=None, limit=1_000)
    assert kept == events
    history = [audit.Happened(event.id, event.type, _plain(event)) for event in kept]
    audit.is_legal(audit.Record({}, {"state": task.state.value}, history))


def _plain(event: Event) -> dict[str, Any]:
    return {"state": event.task.state.value, "attempt": event.task.attempt}


def _asked(**given: Any) -> Submission:
    return Submission(**{"kind": "work", "payload": {}, "origin": "queues", **given})
