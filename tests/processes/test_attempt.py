"""The corners of an attempt that only an unlucky order of events reaches."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from progresshub.kinds import Outcome
from progresshub.processes import program
from progresshub.processes.attempt import Attempt, CalledOff
from progresshub.processes.channel import Channel
from progresshub.processes.child import Child
from progresshub.processes.runner import RunnerSettings
from tests.processes.conftest import MakeWork
from tests.processes.kit import PATIENCE_S, Work

SETTINGS = RunnerSettings(interrupt_grace_s=0.05, terminate_grace_s=0.05)


@asynccontextmanager
async def sleeper() -> AsyncIterator[tuple[Child, Channel, Channel]]:
    """A process that does nothing, with its channels."""
    short = program.ShortNumber()
    started = program.start(("sleep", "1000"), "/", {"PATH": os.defpath}, short)
    child = Child(started.pid)
    channels = Channel(started.output_fd), Channel(started.report_fd)
    try:
        yield child, *channels
    finally:
        os.kill(child.pid, 9)
        child.reap()
        for channel in channels:
            channel.close()
        short.close()


def attempt_at(job: Work) -> Attempt:
    return Attempt(job.job, SETTINGS)


async def test_a_stop_that_came_before_ends_a_wait_for_a_process(work: MakeWork) -> None:
    job = work()
    awaited: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    job.stop.request()

    with attempt_at(job) as attempt:
        attempt.awaits(awaited)

        with pytest.raises(CalledOff):
            await awaited


async def test_a_stop_that_came_just_before_the_process_ends_it(work: MakeWork) -> None:
    job = work()
    async with sleeper() as (child, output, reports):
        with attempt_at(job) as attempt:
            job.stop.request()

            attempt.attach(child, output, reports)
            async with asyncio.timeout(PATIENCE_S):
                await attempt.over

            assert child.exit_code == -2
            assert attempt.called_off() == Outcome(status="cancelled")


async def test_what_was_written_before_the_last_word_belongs_to_the_job(work: MakeWork) -> None:
    job = work()
    reading, writing = os.pipe()
    async with sleeper() as (child, output, reports):
        written = Channel(reading)
        with attempt_at(job) as attempt:
            attempt.attach(child, written, reports)
            os.write(writing, b"written")

            reports.sink(b'{"status":"done"}\n!keep\n')

            assert attempt.kept
            assert attempt.over.done()
        written.close()
        os.close(writing)
        output.close()
    assert job.log == b"written"


async def test_what_a_stop_finds_ended_already_is_not_signalled(work: MakeWork) -> None:
    job = work()
    async with sleeper() as (child, output, reports):
        with attempt_at(job) as attempt:
            attempt.attach(child, output, reports)
            os.kill(child.pid, 9)
            async with asyncio.timeout(PATIENCE_S):
                await attempt.over

            job.stop.request()

            assert child.exit_code == -9
            assert attempt.called_off() == Outcome(status="cancelled")
