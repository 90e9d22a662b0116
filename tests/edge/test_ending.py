"""Waiting for a task's end."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from progresshub.edge.ending import ended
from progresshub.errors import Unavailable, UnknownTask
from progresshub.kinds import Outcome
from progresshub.model import State
from progresshub.protocol import Report
from progresshub.registry.hub import Hub
from progresshub.registry.submission import Submission
from tests.parts import a_hub
from tests.wait import until

DONE = Outcome(status="done", result=7)


async def begun(hub: Hub) -> str:
    (accepted,) = await hub.submit([Submission(kind="work", payload={}, origin="queues")])
    hub.start(accepted.task_id)
    await hub.kept()
    return accepted.task_id


async def test_the_end_is_waited_for_whatever_comes_before(tmp_path: Path) -> None:
    async with a_hub(tmp_path) as hub:
        task_id = await begun(hub)
        waiting = asyncio.create_task(ended(hub, task_id))
        await until(lambda: len(hub.bus) == 1)
        hub.progressed(task_id, Report(percent=50))
        hub.finish(task_id, DONE, retry_at_ms=None)

        task = await waiting

        assert (task.state, task.result, len(hub.bus)) == (State.COMPLETED, 7, 0)


async def test_one_that_has_ended_is_not_waited_for(tmp_path: Path) -> None:
    async with a_hub(tmp_path) as hub:
        task_id = await begun(hub)
        hub.finish(task_id, DONE, retry_at_ms=None)
        await hub.kept()

        assert (await ended(hub, task_id)).final


async def test_one_that_goes_away_is_unknown(tmp_path: Path) -> None:
    async with a_hub(tmp_path) as hub:
        (accepted,) = await hub.submit([Submission(kind="work", payload={}, origin="queues")])
        waiting = asyncio.create_task(ended(hub, accepted.task_id))
        await until(lambda: len(hub.bus) == 1)
        await hub.delete(accepted.task_id)

        with pytest.raises(UnknownTask):
            await waiting


@pytest.mark.parametrize("already", [False, True])
async def test_a_server_that_stops_lets_nobody_wait(tmp_path: Path, already: bool) -> None:
    async with a_hub(tmp_path) as hub:
        task_id = await begun(hub)
        if already:
            hub.bus.close()
        waiting = asyncio.create_task(ended(hub, task_id))
        await until(lambda: already or len(hub.bus) == 1)
        hub.bus.close()

        with pytest.raises(Unavailable, match="goes on when it is back"):
            await waiting
