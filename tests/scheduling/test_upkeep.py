"""What is looked after while nobody asks: what is old goes, what is silent is marked, what is new is found."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from progresshub.errors import UnknownTask
from progresshub.kinds import Await, Outcome
from progresshub.model import State
from progresshub.protocol import Report
from progresshub.registry.hub import Hub
from progresshub.registry.submission import IdempotencyKey, Submission
from progresshub.scheduling import upkeep
from progresshub.scheduling.upkeep import Upkeep
from progresshub.storage.persistence import Filter
from progresshub.storage.sqlite import SqliteStore
from tests.parts import HandClock, a_hub, kind

KINDS = {
    "work": kind("work"),
    "brief": kind("brief", retention_ms=1_000),
    "lively": kind("lively", stalled_after_s=30.0),
    "outside": kind("outside", external=True, launch=lambda task: Await()),
}


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
async def hub(tmp_path: Path, clock: HandClock) -> AsyncIterator[Hub]:
    store = SqliteStore(tmp_path / "db")
    async with a_hub(tmp_path, store=store, clock=clock, kinds=KINDS, retention_ms=10_000) as hub:
        yield hub
    await store.close(clock.ms)


async def running(hub: Hub, kind: str = "work", **more: str) -> str:
    (accepted,) = await hub.submit([Submission(kind=kind, payload=more, origin="queues")])
    hub.start(accepted.task_id)
    await hub.journal.committed()
    return accepted.task_id


async def ended(hub: Hub, kind: str = "work") -> str:
    task_id = await running(hub, kind)
    hub.finish(task_id, Outcome(status="done"), retry_at_ms=None)
    await hub.journal.committed()
    return task_id


async def is_there(hub: Hub, task_id: str) -> bool:
    try:
        await hub.get(task_id)
    except UnknownTask:
        return False
    return True


async def test_what_has_ended_goes_when_its_time_is_over(hub: Hub, clock: HandClock) -> None:
    old, brief, live = await ended(hub), await ended(hub, "brief"), await running(hub)
    care = Upkeep(hub, stalled_after_s=60)

    there = []
    for step_ms in (999, 1, 8_999, 1):
        clock.ms += step_ms
        await care.expire()
        there.append([await is_there(hub, task_id) for task_id in (old, brief, live)])

    assert there == [[True, True, True], [True, False, True], [True, False, True], [False, False, True]]


async def test_more_than_one_piece_goes_in_one_round(
    hub: Hub, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "PIECE", 2)
    ids = [await ended(hub, "brief") for _ in range(5)]
    clock.ms += 1_000

    await Upkeep(hub, stalled_after_s=60).expire()

    assert [await is_there(hub, task_id) for task_id in ids] == [False] * 5
    assert await hub.store.expired(clock.ms, 10) == []


async def test_an_old_answer_is_forgotten_and_its_key_is_free(hub: Hub, clock: HandClock) -> None:
    asked = Submission(kind="work", payload={}, origin="queues")
    key = IdempotencyKey("k", b"d")
    first = await hub.submit([asked], key)
    clock.ms += 86_400_001

    await Upkeep(hub, stalled_after_s=60).expire()
    again = await hub.submit([asked], key)

    assert again != first
    await hub.kept()
    assert (await hub.store.answer("k")) is not None


async def test_silence_marks_work_outside_and_a_word_takes_the_mark_away(hub: Hub, clock: HandClock) -> None:
    outside, inside = await running(hub, "outside"), await running(hub)
    care = Upkeep(hub, stalled_after_s=60)

    marks = []
    for word in (False, False, True, False, False):
        care.mark_stalled()
        marks.append([(task := hub.newest(task_id)) is not None and task.stalled for task_id in (outside, inside)])
        if word:
            hub.progressed(outside, Report(message="still here"))
        clock.s += 60
    await hub.kept()

    assert marks == [[False, False], [True, False], [True, False], [False, False], [True, False]]
    assert (await hub.get(outside)).state is State.RUNNING


async def test_what_is_new_can_be_searched_after_a_round(hub: Hub) -> None:
    care = Upkeep(hub, stalled_after_s=60)
    await care.round()
    word = f"w{uuid4().hex}"
    task_id = await running(hub, title=word)

    await care.round()

    found, _ = await hub.page(Filter(text=word), None, 10)
    assert [task.id for task in found] == [task_id]


async def test_a_kind_that_is_never_silent_for_long_is_marked_by_its_own_measure(hub: Hub, clock: HandClock) -> None:
    task_id = await running(hub, "lively")
    care = Upkeep(hub, stalled_after_s=60)

    marks = []
    for _ in range(3):
        care.mark_stalled()
        task = hub.newest(task_id)
        marks.append(task is not None and task.stalled)
        clock.s += 29

    assert marks == [False, False, True]
