"""Questions that are answered without a task: bounded, and over when nobody wants the answer any more."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from progresshub.errors import TooMany, Unavailable
from progresshub.kinds import Call, Launch, Outcome
from progresshub.model import Failure
from progresshub.processes.job import Job
from progresshub.processes.runner import Runner, RunnerSettings, WarmSettings
from progresshub.scheduling.inquiries import BadAddress, Inquiries
from progresshub.settings import Inquiries as Settings
from tests.wait import PATIENCE_S, until

QUESTION = Call(pool="python", target="nobody:asks")


class Desk:
    """Answers when told to; knows what was asked and where."""

    def __init__(self, outcome: Outcome | None = None) -> None:
        self.outcome = outcome or Outcome(status="done", result=42)
        self.open = asyncio.Event()
        self.jobs: list[Job] = []

    async def run(self, launch: Launch, job: Job) -> Outcome:
        self.jobs.append(job)
        job.stop.listen(self.open.set)
        await self.open.wait()
        return Outcome(status="cancelled") if job.stop.requested else self.outcome


def asked(desk: Desk, **settings: Any) -> Inquiries:
    return Inquiries(desk.run, Settings(**settings))


async def test_an_answer_is_what_the_function_returns() -> None:
    desk = Desk()
    desk.open.set()

    assert await asked(desk).ask(QUESTION) == 42


@pytest.mark.parametrize(("retry", "error"), [(True, Unavailable), (False, BadAddress)])
async def test_a_no_for_good_is_told_from_one_for_now(retry: bool, error: type[Exception]) -> None:
    failure = Failure(type="http_404", message="nothing there")
    desk = Desk(Outcome(status="failed", failure=failure, retry=retry))
    desk.open.set()

    with pytest.raises(error, match="nothing there"):
        await asked(desk).ask(QUESTION)


async def test_no_more_are_answered_at_once_than_may_be_and_no_more_wait() -> None:
    desk = Desk()
    inquiries = asked(desk, at_once=2, waiting=1)
    asking = [asyncio.create_task(inquiries.ask(QUESTION)) for _ in range(3)]
    await until(lambda: len(desk.jobs) == 2)

    with pytest.raises(TooMany):
        await inquiries.ask(QUESTION)

    desk.open.set()
    async with asyncio.timeout(PATIENCE_S):
        assert await asyncio.gather(*asking) == [42, 42, 42]
    assert await inquiries.ask(QUESTION) == 42


async def test_the_time_for_an_answer_includes_the_wait() -> None:
    desk = Desk()
    inquiries = asked(desk, at_once=1, timeout_s=0.1)
    first = asyncio.create_task(inquiries.ask(QUESTION))
    await until(lambda: desk.jobs)

    with pytest.raises(Unavailable, match="in time"):
        await inquiries.ask(QUESTION)

    assert 0 < (desk.jobs[0].timeout_s or 0) <= 0.1
    desk.open.set()
    await first


async def test_a_closed_desk_stops_answering_and_takes_no_more() -> None:
    desk = Desk()
    inquiries = asked(desk)
    asking = asyncio.create_task(inquiries.ask(QUESTION))
    await until(lambda: desk.jobs)

    inquiries.close()

    with pytest.raises(Unavailable, match="stopping"):
        await asking
    with pytest.raises(Unavailable, match="stopping"):
        await inquiries.ask(QUESTION)


async def test_what_was_written_on_the_way_is_taken_away() -> None:
    desk = Desk()
    asking = asyncio.create_task(asked(desk).ask(QUESTION))
    await until(lambda: desk.jobs)
    directory = desk.jobs[0].directory
    (directory / "note").write_text("x")

    desk.open.set()
    await asking

    assert not directory.exists()


async def test_who_goes_away_makes_room_for_the_next() -> None:
    desk = Desk()
    inquiries = asked(desk, at_once=1, waiting=0)
    asking = asyncio.create_task(inquiries.ask(QUESTION))
    await until(lambda: desk.jobs)

    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking

    desk.open.set()
    assert await inquiries.ask(QUESTION) == 42


async def test_a_real_process_answers_and_is_gone() -> None:
    runner = Runner(RunnerSettings(), WarmSettings())
    await runner.start()
    try:
        inquiries = Inquiries(runner.run, Settings())
        told = await inquiries.ask(Call(pool="python", target="progresshub.jobs.functions:describe", fresh=True))
        with pytest.raises(BadAddress, match="no function"):
            await inquiries.ask(Call(pool="python", target="os:nothing", fresh=True))
    finally:
        await runner.close()

    assert isinstance(told, list)
