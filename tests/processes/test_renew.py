"""A pool that imports something else from now on: nobody who is at work notices, nobody who waits is forgotten."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from progresshub.kinds import Call
from progresshub.processes.runner import Runner, Setup
from tests.processes.conftest import MakeRunner, MakeWork

CHORE = """
from pathlib import Path

def which(ctx):
    return {name!r}

def wait(ctx, gate):
    ctx.progress(message="waiting")
    Path(gate).read_bytes()
    return {name!r}
"""


def chore(folder: Path, name: str) -> Setup:
    (folder / name).mkdir()
    (folder / name / "chore.py").write_text(CHORE.format(name=name))
    return Setup(modules=("chore",), path=(str(folder / name),))


def asking(function: str, **arguments: str) -> Call:
    return Call(pool="python", target=f"chore:{function}", arguments=arguments)


@pytest.fixture
async def runner(make_runner: MakeRunner, tmp_path: Path) -> Runner:
    made: Runner = await make_runner(setup=chore(tmp_path, "old"))
    return made


async def test_whoever_comes_later_gets_the_new(runner: Runner, work: MakeWork, tmp_path: Path) -> None:
    before = await work().run(runner, asking("which"))

    runner.renew("python", chore(tmp_path, "new"))
    after = await work().run(runner, asking("which"))

    assert (before.result, after.result) == ("old", "new")


async def test_who_is_at_work_stays_at_it(runner: Runner, work: MakeWork, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    job = work()
    running = asyncio.create_task(job.run(runner, asking("wait", gate=str(gate))))
    await job.says("waiting")

    runner.renew("python", chore(tmp_path, "new"))
    after = await work().run(runner, asking("which"))
    await asyncio.to_thread(gate.write_bytes, b"go on")
    before = await running
    last = [await work().run(runner, asking("which")) for _ in range(3)]

    assert (before.result, after.result) == ("old", "new")
    assert [outcome.result for outcome in last] == ["new"] * 3


async def test_who_waits_is_not_forgotten(runner: Runner, work: MakeWork, tmp_path: Path) -> None:
    running = [asyncio.create_task(work().run(runner, asking("which"))) for _ in range(3)]
    await asyncio.sleep(0)

    runner.renew("python", chore(tmp_path, "new"))
    outcomes = await asyncio.gather(*running)

    assert [outcome.result for outcome in outcomes] == ["new"] * 3


async def test_a_pool_that_is_being_warmed_is_warm_in_the_end(runner: Runner, work: MakeWork, tmp_path: Path) -> None:
    warming = asyncio.create_task(runner.warm("python"))
    await asyncio.sleep(0)

    runner.renew("python", chore(tmp_path, "new"))
    await warming

    assert (await work().run(runner, asking("which"))).result == "new"
