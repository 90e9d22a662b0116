"""What a job's process leaves behind: it ends with the task, however it hides."""

from __future__ import annotations

import asyncio
import os
import subprocess

import pytest

from progresshub.processes import proc
from progresshub.processes.child import LOOKED_AFTER
from progresshub.processes.runner import Runner
from tests.processes.conftest import MakeRunner, MakeWork
from tests.processes.kit import Work, gone, lives, say, sh

LEFT = say("left", '{"pid":$$}')
ORPHAN = f"{LEFT}; exec sleep 1000"


def quoted(script: str) -> str:
    """As one word of a shell's."""
    return "'" + script.replace("'", "'\\''") + "'"


def background(command: str, script: str = ORPHAN) -> str:
    """Shell that starts a script by a command, and lets it have the report pipe but not the output."""
    return f"{command} {quoted(script)} >/dev/null 2>&1 &"


HIDING = {
    "plainly": background("sh -c"),
    "in a session of its own": background("setsid sh -c"),
    "as a daemon": background("setsid setsid sh -c"),
    "as a daemon's daemon": background("setsid sh -c", background("setsid sh -c")),
    "behind an empty environment": background('setsid env -i "PROGRESSHUB_FD=$PROGRESSHUB_FD" setsid /bin/sh -c'),
}


async def left(job: Work) -> int:
    pid = ((await job.says("left")).metadata or {})["pid"]
    assert isinstance(pid, int)
    return pid


@pytest.mark.parametrize("how", HIDING)
async def test_nothing_of_it_lives_when_the_task_is_over(make_runner: MakeRunner, work: MakeWork, how: str) -> None:
    runner = await make_runner(drain_s=0.2)
    job = work()

    outcome = await job.run(runner, sh(HIDING[how]))

    assert outcome.status == "done"
    assert not lives(await left(job))


async def test_a_grandchild_that_keeps_the_output_holds_the_task_no_longer_than_the_drain(
    make_runner: MakeRunner, work: MakeWork
) -> None:
    job = work()

    outcome = await job.run(await make_runner(drain_s=0.05), sh(f"echo first; sh -c '{ORPHAN}' & exit 3"))

    assert outcome.failure is not None
    assert outcome.failure.message == "exited with 3"
    assert job.log == b"first\n"
    assert not lives(await left(job))


async def test_what_a_grandchild_still_writes_in_time_is_kept(runner: Runner, work: MakeWork) -> None:
    job = work()

    await job.run(runner, sh("mkfifo gate; (read line < gate; echo last) & echo first; (echo go > gate) &"))

    assert job.log == b"first\nlast\n"


async def test_a_stop_ends_what_hides_as_well(make_runner: MakeRunner, work: MakeWork) -> None:
    job = work()
    runner = await make_runner(drain_s=0.05)
    running = asyncio.create_task(job.run(runner, sh(HIDING["as a daemon"] + " exec sleep 1000")))
    pid = await left(job)

    job.stop.request()

    assert (await running).status == "cancelled"
    assert not lives(pid)


async def test_another_task_s_end_leaves_it_alone(make_runner: MakeRunner, work: MakeWork) -> None:
    runner = await make_runner(drain_s=0.05)
    owner, other = work(), work()
    hidden = HIDING["behind an empty environment"]
    running = asyncio.create_task(owner.run(runner, sh(f"sh -c {quoted(hidden)}; exec sleep 1000")))
    pid = await left(owner)

    await other.run(runner, sh("exit 0"))
    lived = lives(pid)
    owner.stop.request()
    await running

    assert lived
    assert not lives(pid)


async def test_a_daemon_ends_with_its_own_task_while_others_run(make_runner: MakeRunner, work: MakeWork) -> None:
    runner = await make_runner(drain_s=0.05)
    other, owner = work(), work()
    running = asyncio.create_task(other.run(runner, sh(f"{say('up')}; exec sleep 1000")))
    await other.says("up")

    await owner.run(runner, sh(HIDING["as a daemon"]))

    assert not lives(await left(owner))
    assert not running.done()
    other.stop.request()
    await running


async def test_orphans_that_end_on_their_own_are_reaped(runner: Runner, work: MakeWork) -> None:
    job = work()
    running = asyncio.create_task(job.run(runner, sh(f"(setsid sh -c '{LEFT}' &); {say('up')}; exec sleep 1000")))
    pid = await left(job)
    await gone(pid)

    runner._family.tidy()
    runner._family.tidy()

    assert proc.stat(pid) is None
    job.stop.request()
    await running


def started_here(script: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(["sh", "-c", script])


async def test_children_that_others_started_here_are_not_touched(runner: Runner, work: MakeWork) -> None:
    own = started_here("exit 5")
    await gone(own.pid)

    await work().run(runner, sh("exit 0"))
    runner._family.tidy()
    runner._family.tidy()

    assert own.wait() == 5


async def test_two_runners_in_one_process_leave_each_other_s_alone(make_runner: MakeRunner, work: MakeWork) -> None:
    one, other = await make_runner(drain_s=0.05), await make_runner(drain_s=0.05)
    owner = work()
    running = asyncio.create_task(owner.run(one, sh(HIDING["as a daemon"] + " exec sleep 1000")))
    pid = await left(owner)
    looked_after = {number for number in LOOKED_AFTER if lives(number)}

    await work().run(other, sh("exit 0"))
    lived = lives(pid) and all(lives(number) for number in looked_after)
    owner.stop.request()
    outcome = await running

    assert len(looked_after) >= 3
    assert lived
    assert outcome.status == "cancelled"
    assert not lives(pid)


async def test_a_running_child_keeps_its_number_until_its_tree_is_cleared(runner: Runner) -> None:
    pid = await asyncio.to_thread(os.posix_spawn, "/bin/sh", ["sh", "-c", "exit 0"], {}, setsid=True)
    child = runner._family.adopt(pid)
    await gone(pid)

    before = proc.stat(pid)
    await runner._family.clear(child)

    assert before is not None
    assert before.dead
    assert proc.stat(pid) is None


async def test_two_who_clear_one_child_wait_for_the_same_end(runner: Runner, caplog: pytest.LogCaptureFixture) -> None:
    pid = await asyncio.to_thread(os.posix_spawn, "/bin/sleep", ["sleep", "1000"], {}, setsid=True)
    child = runner._family.adopt(pid)

    await asyncio.gather(runner._family.clear(child), runner._family.clear(child))

    assert proc.stat(pid) is None
    assert caplog.records == []
