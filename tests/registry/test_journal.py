"""Durability: what is shown when, what goes together, and what a refusing store leaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import pytest

from progresshub.errors import StorageFull
from progresshub.model import FIRST, Event, EventId, EventType, State, Task
from progresshub.registry import journal as rules
from progresshub.registry.journal import Journal
from progresshub.storage.persistence import Accepted, Answer, Place, place
from tests import make
from tests.parts import Disk, HandClock
from tests.wait import PATIENCE_S, until


class Desk:
    """A journal, and what it let out."""

    def __init__(self, disk: Disk) -> None:
        self.disk = disk
        self.told: list[Event] = []
        self.refused: list[Task] = []
        self.journal = Journal(disk, HandClock(), self.told.append, self._refuse, write_behind_ms=60_000)
        self.tasks: dict[str, Task] = {}
        self.ms = 5_000

    def _refuse(self, tasks: Iterable[Task]) -> None:
        self.refused.extend(tasks)

    def note(self, task: Task, kind: EventType, state: State | None = None, *, keep: bool = True) -> Event:
        """Something happened to a task, a millisecond after the last."""
        self.ms += 1
        after = make.replaced(task, state=state or task.state, changed=EventId(self.ms, 0))
        event = make.event(after, kind, self.ms)
        durable = kind not in (EventType.PROGRESSED, EventType.STAGED)
        self.journal.note(event, self.tasks.get(task.id), expires_ms=None, keep=keep, durable=durable)
        self.tasks[task.id] = after
        return event

    def shown(self, task: Task) -> State | None:
        shown = self.journal.shown(task.id, self.tasks.get(task.id))
        return None if shown is None else shown.state

    @property
    def names(self) -> list[str]:
        return [event.type.value for event in self.told]


@asynccontextmanager
async def at_work(desk: Desk) -> AsyncIterator[None]:
    running = asyncio.create_task(desk.journal.run())
    try:
        yield
    finally:
        desk.disk.open_gate.set()
        desk.disk.refusal = None
        desk.journal.close()
        async with asyncio.timeout(PATIENCE_S):
            await running


@pytest.fixture
async def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    monkeypatch.setattr(rules, "TRY_AGAIN_S", 0.01)
    return Disk()


@pytest.fixture
async def desk(disk: Disk) -> AsyncIterator[Desk]:
    desk = Desk(disk)
    async with at_work(desk):
        yield desk


async def known(desk: Desk, state: State = State.RUNNING) -> Task:
    """A task that is kept already."""
    desk.note(task := make.task(seq=len(desk.tasks) + 1), EventType.SUBMITTED, state)
    await desk.journal.committed()
    desk.told.clear()
    return desk.tasks[task.id]


async def test_a_change_is_shown_when_it_is_kept_and_not_before(desk: Desk, disk: Disk) -> None:
    task = make.task()
    disk.open_gate.clear()

    desk.note(task, EventType.SUBMITTED)
    before = desk.shown(task), list(desk.names)
    disk.open_gate.set()
    await desk.journal.committed()

    assert before == (None, [])
    assert (desk.shown(task), desk.names) == (State.PENDING, ["submitted"])
    assert await disk.load(task.id) is not None


async def test_others_see_a_task_as_it_was_until_its_change_is_kept(desk: Desk, disk: Disk) -> None:
    task = await known(desk)
    disk.open_gate.clear()

    desk.note(task, EventType.COMPLETED, State.COMPLETED)
    before = desk.shown(task)
    disk.open_gate.set()
    await desk.journal.committed()

    assert (before, desk.shown(task)) == (State.RUNNING, State.COMPLETED)


async def test_progress_is_told_at_once_and_kept_later(desk: Desk, disk: Disk) -> None:
    task = await known(desk)
    commits = disk.commits

    event = desk.note(task, EventType.PROGRESSED)

    assert (desk.told, disk.commits) == ([event], commits)
    await desk.journal.committed()
    assert await disk.history(task, start=FIRST, types=[EventType.PROGRESSED], limit=9) == [event]


async def test_progress_waits_behind_a_change_of_its_own_task_alone(desk: Desk, disk: Disk) -> None:
    mine, other = await known(desk, State.PENDING), await known(desk)
    disk.open_gate.clear()

    started = desk.note(mine, EventType.STARTED, State.RUNNING)
    desk.note(mine, EventType.PROGRESSED, State.RUNNING)
    desk.note(other, EventType.PROGRESSED)
    at_once = list(desk.told)
    disk.open_gate.set()
    await desk.journal.committed()

    assert [event.task.id for event in at_once] == [other.id]
    assert at_once[0].resume is not None
    assert at_once[0].resume < started.id
    assert desk.names == ["progressed", "started", "progressed"]


async def test_what_comes_while_the_disk_is_busy_is_kept_together(desk: Desk, disk: Disk) -> None:
    desk.note(make.task(seq=1), EventType.SUBMITTED)
    disk.open_gate.clear()
    await until(lambda: not desk.journal._next.noted)
    for seq in range(2, 50):
        desk.note(make.task(seq=seq), EventType.SUBMITTED)

    disk.open_gate.set()
    await desk.journal.committed()

    assert disk.commits == 2
    assert len(desk.told) == 49


async def test_there_is_nothing_to_wait_for_when_nothing_happened(desk: Desk, disk: Disk) -> None:
    await known(desk)
    commits = disk.commits

    await desk.journal.committed()

    assert disk.commits == commits


async def test_a_refused_commit_takes_back_what_is_new_and_keeps_the_rest(desk: Desk, disk: Disk) -> None:
    old = await known(desk)
    disk.refusal = StorageFull()

    desk.note(old, EventType.COMPLETED, State.COMPLETED)
    new = make.task(seq=9)
    desk.note(new, EventType.SUBMITTED)
    with pytest.raises(StorageFull):
        await desk.journal.committed()
    meanwhile = desk.shown(old), list(desk.names)
    trouble = desk.journal.trouble
    disk.refusal = None
    await desk.journal.settled(old.id)

    assert [task.id for task in desk.refused] == [new.id]
    assert meanwhile == (State.RUNNING, [])
    assert isinstance(trouble, StorageFull)
    assert desk.names == ["completed"]
    assert desk.journal.trouble is None
    assert await disk.load(new.id) is None


async def test_an_answer_is_kept_with_its_tasks_or_not_at_all(desk: Desk, disk: Disk) -> None:
    def answer(key: str, task: Task) -> Answer:
        return Answer(key, b"d", (Accepted(task.id, "default", State.PENDING),), 99_999)

    disk.refusal = StorageFull()
    lost, kept = make.task(seq=1), make.task(seq=2)
    desk.note(lost, EventType.SUBMITTED)
    desk.journal.answer(answer("lost", lost))
    with pytest.raises(StorageFull):
        await desk.journal.committed()
    disk.refusal = None
    desk.note(kept, EventType.SUBMITTED)
    desk.journal.answer(answer("kept", kept))
    await desk.journal.committed()

    assert await disk.answer("lost") is None
    assert await disk.answer("kept") == answer("kept", kept)


async def test_counts_follow_what_is_kept(desk: Desk) -> None:
    task = await known(desk, State.PENDING)
    before = +desk.journal.counts
    desk.note(task, EventType.STARTED, State.RUNNING)
    await desk.journal.committed()
    running = +desk.journal.counts
    desk.journal.forget([desk.tasks[task.id]])
    await desk.journal.committed()

    assert before == {place(task): 1}
    assert running == {Place("default", "demo", State.RUNNING): 1}
    assert +desk.journal.counts == {}


async def test_what_is_thinned_loses_every_second_entry_kept_or_not(desk: Desk, disk: Disk) -> None:
    task = await known(desk)
    events = [desk.note(task, EventType.PROGRESSED) for _ in range(4)]
    await desk.journal.committed()
    events += [desk.note(task, EventType.PROGRESSED) for _ in range(4)]

    desk.journal.thin(task)
    await desk.journal.committed()

    kept = await disk.history(task, start=FIRST, types=[EventType.PROGRESSED], limit=99)
    assert kept == events[::2]


async def test_what_is_noted_before_the_end_is_kept(disk: Disk) -> None:
    desk = Desk(disk)
    task = make.task()
    async with at_work(desk):
        desk.note(task, EventType.SUBMITTED)
        desk.journal.setting("a", "b")

    assert await disk.load(task.id) is not None
    assert desk.names == ["submitted"]


async def test_a_disk_that_stays_full_does_not_hold_up_the_end(disk: Disk, caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk(disk)
    running = asyncio.create_task(desk.journal.run())
    task = await known(desk)
    disk.refusal = StorageFull()
    desk.note(task, EventType.COMPLETED, State.COMPLETED)

    desk.journal.close()
    async with asyncio.timeout(PATIENCE_S):
        await running

    assert "could not be kept" in caplog.text
    assert desk.names == []
