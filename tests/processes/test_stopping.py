"""Jobs that are called off or take too long: INT, then TERM, then KILL, to all of them."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from progresshub.kinds import Outcome, Spawn
from progresshub.processes.job import Stop
from progresshub.processes.runner import Runner
from tests.processes.conftest import MakeRunner, MakeWork
from tests.processes.kit import Work, gone, lives, say, sh

CANCELLED = Outcome(status="cancelled")
UP = say("up", '{"pid":$$}')
STUBBORN = f"trap '' INT TERM; {UP}; while true; do sleep 1000; done"
GRACES = {"interrupt_grace_s": 0.05, "terminate_grace_s": 0.05}


async def up(job: Work) -> int:
    pid = ((await job.says("up")).metadata or {})["pid"]
    assert isinstance(pid, int)
    return pid


async def test_a_stop_interrupts_first(make_runner: MakeRunner, work: MakeWork) -> None:
    job = work()
    runner = await make_runner(drain_s=0.05)
    script = f"trap 'echo interrupted; exit 0' INT; {UP}; sleep 1000 & wait"
    running = asyncio.create_task(job.run(runner, sh(script)))
    await up(job)

    job.stop.request()

    assert await running == CANCELLED
    assert job.log == b"interrupted\n"


async def test_who_ignores_the_interrupt_is_asked_to_end(make_runner: MakeRunner, work: MakeWork) -> None:
    job = work()
    script = f"trap '' INT; trap 'echo asked; exit 0' TERM; {UP}; sleep 1000 & wait"
    running = asyncio.create_task(job.run(await make_runner(interrupt_grace_s=0.05), sh(script)))
    await up(job)

    job.stop.request()

    assert await running == CANCELLED
    assert job.log == b"asked\n"


async def test_who_ignores_everything_is_killed(make_runner: MakeRunner, work: MakeWork) -> None:
    job = work()
    running = asyncio.create_task(job.run(await make_runner(**GRACES), sh(STUBBORN)))
    pid = await up(job)

    job.stop.request()

    assert await running == CANCELLED
    assert not lives(pid)


async def test_who_was_stopped_hears_of_its_end_too(make_runner: MakeRunner, work: MakeWork) -> None:
    job = work()
    runner = await make_runner(drain_s=0.05)
    script = f"trap 'echo interrupted; exit 0' INT; {UP}; sleep 1000 & wait"
    running = asyncio.create_task(job.run(runner, sh(script)))
    pid = await up(job)
    os.killpg(pid, signal.SIGSTOP)

    job.stop.request()

    assert await running == CANCELLED
    assert job.log == b"interrupted\n"


async def test_a_stop_reaches_the_whole_group(runner: Runner, work: MakeWork) -> None:
    job = work()
    running = asyncio.create_task(job.run(runner, sh(f"sh -c '{UP}; exec sleep 1000'; echo after")))
    pid = await up(job)

    job.stop.request()

    assert await running == CANCELLED
    assert not lives(pid)


async def test_a_stop_before_the_start_starts_nothing(runner: Runner, work: MakeWork) -> None:
    job = work()
    job.stop.request()

    assert await job.run(runner, sh("echo ran")) == CANCELLED

    assert job.log == b""


@pytest.mark.parametrize("passes", range(4))
async def test_a_stop_in_the_middle_of_the_start_is_not_lost(runner: Runner, work: MakeWork, passes: int) -> None:
    job = work()
    running = asyncio.create_task(job.run(runner, Spawn(argv=("sleep", "1000"))))
    for _ in range(passes):
        await asyncio.sleep(0)

    job.stop.request()
    job.stop.request()

    assert await running == CANCELLED


async def test_who_makes_a_success_of_the_interrupt_is_cancelled_all_the_same(
    make_runner: MakeRunner, work: MakeWork
) -> None:
    job = work()
    runner = await make_runner(drain_s=0.05)
    script = (
        f"""trap 'echo "{{\\"status\\":\\"done\\"}}" >/dev/fd/$PROGRESSHUB_FD; exit 0' INT; {UP}; sleep 1000 & wait"""
    )
    running = asyncio.create_task(job.run(runner, sh(script)))
    await up(job)

    job.stop.request()

    assert await running == CANCELLED


async def test_who_takes_too_long_is_stopped_the_same_way(make_runner: MakeRunner, work: MakeWork) -> None:
    job = work(timeout_s=0.2)
    runner = await make_runner(drain_s=0.05)

    outcome = await job.run(runner, sh("trap 'echo interrupted; exit 0' INT; sleep 1000 & wait"))

    assert outcome.failure is not None
    assert (outcome.status, outcome.failure.type) == ("failed", "timeout")
    assert outcome.failure.message == "it took longer than 0.2 s"
    assert outcome.retry
    assert job.log == b"interrupted\n"


async def test_a_timeout_that_is_not_reached_changes_nothing(runner: Runner, work: MakeWork) -> None:
    assert (await work(timeout_s=1000).run(runner, sh("exit 0"))).status == "done"


async def test_a_cancelled_caller_leaves_no_process(runner: Runner, work: MakeWork) -> None:
    job = work()
    running = asyncio.create_task(job.run(runner, sh(STUBBORN)))
    pid = await up(job)

    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert not lives(pid)


async def test_a_caller_cancelled_twice_leaves_no_process_for_long(runner: Runner, work: MakeWork) -> None:
    job = work()
    running = asyncio.create_task(job.run(runner, sh(STUBBORN)))
    pid = await up(job)

    running.cancel()
    await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    await gone(pid)


def test_a_stop_is_heard_once_by_whoever_listens_then_or_later() -> None:
    stop = Stop()
    heard: list[str] = []
    stop.listen(lambda: heard.append("early"))

    stop.request()
    stop.request()
    stop.listen(None)
    stop.listen(lambda: heard.append("late"))

    assert heard == ["early", "late"]
