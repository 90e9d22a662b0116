"""When tasks run: slots, due times, retries, and what follows a server's death; with real processes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from progresshub.errors import HubError, InvalidPayload
from progresshub.kinds import Await, Spawn
from progresshub.model import State, Task
from progresshub.processes.runner import Runner, RunnerSettings, WarmSettings
from progresshub.registry.hub import Hub
from progresshub.registry.submission import Submission
from progresshub.scheduling.scheduler import Policy, Scheduler
from tests.parts import Disk, HandClock, a_hub, kind
from tests.wait import PATIENCE_S, until


def shell(task: Task) -> Spawn:
    return Spawn(argv=("/bin/sh", "-c", task.spec.payload["sh"]))


def refuses(task: Task) -> Spawn:
    raise InvalidPayload(kind="moody", reason="not today")


def breaks(task: Task) -> Spawn:
    raise LookupError("a mistake of ours")


KINDS = {
    "work": kind("work", launch=shell),
    "careful": kind("careful", launch=shell, recovery="fail"),
    "patient": kind("patient", launch=shell, backoff_s=100.0),
    "moody": kind("moody", launch=refuses),
    "broken": kind("broken", launch=breaks),
    "outside": kind("outside", external=True, launch=lambda task: Await(), recovery="resume"),
}

Turn = Callable[[int], None]


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
async def hub(tmp_path: Path, clock: HandClock) -> AsyncIterator[Hub]:
    async with a_hub(tmp_path, clock=clock, kinds=dict(KINDS)) as hub:
        yield hub


@asynccontextmanager
async def scheduling(hub: Hub, live: list[Task] | None = None, **policy: Any) -> AsyncIterator[Scheduler]:
    """A scheduler at work, closed at the end."""
    runner = Runner(
        RunnerSettings(interrupt_grace_s=0.2, terminate_grace_s=0.2), WarmSettings(), url="http://127.0.0.1:1", pools={}
    )
    await runner.start()
    scheduler = Scheduler(hub, runner, Policy(**{"backoff_s": 0.0, **policy}), chance=lambda: 0.5)
    hub.listen(scheduler.hear)
    hub.queues.listen(scheduler.queues_changed)
    scheduler.recover(live or [])
    working = asyncio.create_task(scheduler.run())
    try:
        yield scheduler
    finally:
        scheduler.close()
        async with asyncio.timeout(PATIENCE_S):
            await working
        await runner.close()


async def submitted(hub: Hub, sh: str = ":", kind: str = "work", **more: Any) -> str:
    asked = Submission(**{"kind": kind, "payload": {"sh": sh}, "origin": "queues", **more})
    (accepted,) = await hub.submit([asked])
    return accepted.task_id


async def becomes(hub: Hub, task_id: str, state: State) -> Task:
    await until(lambda: (task := hub.find(task_id)) is not None and task.state is state)
    return await hub.get(task_id)


async def ran(hub: Hub, **given: Any) -> Task:
    """A task that an earlier server was running when it died."""
    task_id = await submitted(hub, **given)
    hub.start(task_id)
    await hub.journal.committed()
    return await hub.get(task_id)


async def test_what_is_submitted_runs_to_its_end(hub: Hub) -> None:
    async with scheduling(hub):
        task = await becomes(hub, await submitted(hub), State.COMPLETED)

    assert (task.attempt, task.failures) == (1, 0)


async def test_a_task_that_can_start_at_once_is_kept_together_with_its_start(tmp_path: Path) -> None:
    disk = Disk()
    async with a_hub(tmp_path, store=disk, kinds=dict(KINDS)) as hub, scheduling(hub):
        await becomes(hub, await submitted(hub, "read never"), State.RUNNING)

        assert disk.commits == 1


async def test_no_more_run_than_there_are_slots(hub: Hub, tmp_path: Path) -> None:
    gates = [tmp_path / str(n) for n in range(3)]
    async with scheduling(hub, slots=2):
        ids = [await submitted(hub, f"until test -e {gate}; do sleep 0.01; done") for gate in gates]
        await until(lambda: len(hub.live(State.RUNNING)) == 2)
        waiting = [task.id for task in hub.live(State.PENDING)]
        gates[0].touch()
        await becomes(hub, ids[2], State.RUNNING)
        still = (await hub.get(ids[1])).state
        gates[1].touch()
        gates[2].touch()
        for task_id in ids:
            await becomes(hub, task_id, State.COMPLETED)

    assert (waiting, still) == (ids[2:], State.RUNNING)


async def test_a_failure_is_tried_again_as_often_as_was_asked(hub: Hub) -> None:
    async with scheduling(hub):
        task = await becomes(hub, await submitted(hub, "exit 7", max_retries=2), State.FAILED)

    assert (task.attempt, task.failures) == (3, 3)
    assert task.error is not None
    assert task.error.message == "exited with 7"


async def test_a_second_attempt_may_succeed(hub: Hub) -> None:
    async with scheduling(hub):
        task = await becomes(hub, await submitted(hub, "test -e x || { touch x; exit 1; }"), State.COMPLETED)

    assert (task.attempt, task.failures, task.error) == (2, 1, None)


async def due_after(hub: Hub, task_id: str, failures: int) -> int:
    """When a task comes again after that many failures."""
    await until(lambda: (task := hub.find(task_id)) is not None and task.failures == failures)
    return (await becomes(hub, task_id, State.RETRYING)).due_ms or 0


@pytest.mark.parametrize(("kind", "delays_ms"), [("work", [1_000, 2_000, 3_000]), ("patient", [3_000, 3_000, 3_000])])
async def test_each_retry_waits_longer_than_the_one_before(
    hub: Hub, clock: HandClock, kind: str, delays_ms: list[int]
) -> None:
    waited = []
    async with scheduling(hub, backoff_s=1.0, backoff_max_s=3.0) as scheduler:
        task_id = await submitted(hub, "exit 1", kind)
        for failures in range(1, 1 + len(delays_ms)):
            due_ms = await due_after(hub, task_id, failures)
            waited.append(due_ms - clock.ms)
            clock.ms = due_ms
            scheduler.queues_changed()
        await becomes(hub, task_id, State.FAILED)

    assert waited == delays_ms


async def test_what_is_for_later_waits_for_its_time(hub: Hub, clock: HandClock) -> None:
    async with scheduling(hub) as scheduler:
        later = await submitted(hub, due_ms=clock.ms + 1_000)
        much_later = await submitted(hub, due_ms=clock.ms + 2_000)
        await becomes(hub, await submitted(hub), State.COMPLETED)
        before = (await hub.get(later)).state
        clock.ms += 1_000
        scheduler.queues_changed()
        await becomes(hub, later, State.COMPLETED)
        still = (await hub.get(much_later)).state

    assert (before, still) == (State.SCHEDULED, State.SCHEDULED)


async def test_the_scheduler_sleeps_until_something_is_due_but_not_for_long(hub: Hub, clock: HandClock) -> None:
    async with scheduling(hub) as scheduler:
        naps = [scheduler._nap_s()]
        for due_ms in (clock.ms + 60_000, clock.ms + 250):
            await submitted(hub, due_ms=due_ms)
            naps.append(scheduler._nap_s())

    assert naps == [None, 1.0, 0.25]


async def test_a_clock_that_jumps_back_delays_but_loses_nothing(hub: Hub, clock: HandClock) -> None:
    async with scheduling(hub) as scheduler:
        due_ms = clock.ms + 500
        task_id = await submitted(hub, due_ms=due_ms)
        clock.ms -= 100_000
        await becomes(hub, await submitted(hub), State.COMPLETED)
        clock.ms = due_ms
        scheduler.queues_changed()

        task = await becomes(hub, task_id, State.COMPLETED)

    assert task.attempt == 1


async def test_a_cancelled_task_is_gone_from_the_line(hub: Hub) -> None:
    async with scheduling(hub, slots=1):
        running = await submitted(hub, "sleep 60")
        await becomes(hub, running, State.RUNNING)
        waiting = await submitted(hub)
        await hub.cancel(waiting)
        await hub.cancel(running)
        await becomes(hub, running, State.CANCELLED)
        await becomes(hub, await submitted(hub), State.COMPLETED)

        task = await hub.get(waiting)

    assert (task.state, task.attempt) == (State.CANCELLED, 0)


async def test_a_cancel_between_slot_and_start_is_heard(hub: Hub) -> None:
    async with scheduling(hub):
        task_id = await submitted(hub, "sleep 60")
        await until(lambda: (task := hub.newest(task_id)) is not None and task.state is State.RUNNING)
        await hub.cancel(task_id)

        task = await becomes(hub, task_id, State.CANCELLED)

    assert task.attempt == 1


@pytest.mark.parametrize(("kind", "error"), [("moody", "invalid_payload"), ("broken", "internal")])
async def test_what_can_not_be_launched_fails_for_good_and_frees_its_slot(hub: Hub, kind: str, error: str) -> None:
    async with scheduling(hub, slots=1):
        task = await becomes(hub, await submitted(hub, kind=kind), State.FAILED)
        await becomes(hub, await submitted(hub), State.COMPLETED)

    assert task.error is not None
    assert (task.error.type, task.attempt) == (error, 1)


async def test_a_type_that_is_gone_fails_what_waited_for_it(hub: Hub) -> None:
    task_id = await submitted(hub)
    del hub.kinds["work"]  # type: ignore[attr-defined]

    async with scheduling(hub, [await hub.get(task_id)]):
        task = await becomes(hub, task_id, State.FAILED)

    assert task.error is not None
    assert task.error.type == "unknown_kind"


async def test_what_a_dead_server_ran_is_run_again(hub: Hub) -> None:
    dead = await ran(hub)

    async with scheduling(hub, [dead]):
        task = await becomes(hub, dead.id, State.COMPLETED)

    assert (task.attempt, task.failures, task.crashes) == (2, 0, 1)


async def test_what_must_not_run_twice_fails_with_its_server(hub: Hub) -> None:
    dead = await ran(hub, kind="careful")

    async with scheduling(hub, [dead]):
        task = await becomes(hub, dead.id, State.FAILED)

    assert task.error is not None
    assert (task.error.type, task.attempt) == ("server_died", 1)


async def test_what_took_the_server_down_too_often_is_parked(hub: Hub) -> None:
    dead = await ran(hub)
    for _ in range(3):
        hub.recover(dead.id, crashed=True)
        hub.start(dead.id)
    await hub.journal.committed()

    async with scheduling(hub, [await hub.get(dead.id)], max_crashes=3):
        task = await becomes(hub, dead.id, State.FAILED)

    assert task.error is not None
    assert task.error.type == "parked"
    assert "4" in task.error.message


async def test_work_outside_goes_on_without_a_server(hub: Hub) -> None:
    dead = await ran(hub, kind="outside")

    async with scheduling(hub, [dead]):
        await becomes(hub, await submitted(hub), State.COMPLETED)
        task = await hub.get(dead.id)

    assert (task.state, task.attempt) == (State.RUNNING, 1)


async def test_work_outside_is_active_at_once_and_takes_no_slot(hub: Hub) -> None:
    async with scheduling(hub, slots=1):
        ids = [await submitted(hub, kind="outside") for _ in range(3)]
        states = [(await hub.get(task_id)).state for task_id in ids]
        await becomes(hub, await submitted(hub), State.COMPLETED)

    assert states == [State.RUNNING] * 3


async def test_a_cancel_that_a_dead_server_owed_is_done(hub: Hub) -> None:
    dead = await ran(hub)
    await hub.cancel(dead.id)

    async with scheduling(hub, [await hub.get(dead.id)]):
        await becomes(hub, dead.id, State.CANCELLED)


async def test_everything_an_earlier_server_left_is_taken_over(hub: Hub, clock: HandClock) -> None:
    pending = await submitted(hub)
    later = await submitted(hub, due_ms=clock.ms + 10)

    async with scheduling(hub, [await hub.get(pending), await hub.get(later)]) as scheduler:
        await becomes(hub, pending, State.COMPLETED)
        clock.ms += 10
        scheduler.queues_changed()
        await becomes(hub, later, State.COMPLETED)


@pytest.mark.parametrize(("kind", "state"), [("work", State.PENDING), ("careful", State.FAILED)])
async def test_a_stop_ends_what_runs_and_the_next_server_goes_on(hub: Hub, kind: str, state: State) -> None:
    async with scheduling(hub) as scheduler:
        task_id = await submitted(hub, "sleep 60", kind)
        await becomes(hub, task_id, State.RUNNING)
        scheduler.close()
        task = await becomes(hub, task_id, state)

    assert task.crashes == 0


async def test_a_deleted_task_does_not_run(hub: Hub) -> None:
    async with scheduling(hub, slots=1):
        running = await submitted(hub, "sleep 60")
        await becomes(hub, running, State.RUNNING)
        waiting = await submitted(hub, "touch here")
        await hub.delete(waiting)
        await hub.cancel(running)
        await becomes(hub, await submitted(hub), State.COMPLETED)

        with pytest.raises(HubError):
            await hub.get(waiting)
        assert not (hub.files.directory(waiting) / "here").exists()
