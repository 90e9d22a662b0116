"""How much files may take up, and whose go first when it is too much."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from progresshub.kinds import Outcome
from progresshub.registry.hub import Hub
from progresshub.registry.submission import Submission
from progresshub.scheduling.quota import Quota
from tests.parts import HandClock, a_hub, kind

KINDS = {"film": kind("film"), "work": kind("work")}
BYTES = 1_000


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
async def hub(tmp_path: Path, clock: HandClock) -> AsyncIterator[Hub]:
    async with a_hub(tmp_path, clock=clock, kinds=KINDS) as hub:
        yield hub


async def made(hub: Hub, clock: HandClock, end: str = "done", kind: str = "film") -> str:
    """A task with a file, hidden while it is not done."""
    (accepted,) = await hub.submit([Submission(kind=kind, payload={}, origin="queues")])
    task_id = accepted.task_id
    hub.start(task_id)
    folder = hub.files.directory(task_id) / ("" if end == "done" else ".partial")
    folder.mkdir(parents=True)
    (folder / "film.mp4").write_bytes(bytes(BYTES))
    clock.ms += 1_000
    if end == "cancelled":
        await hub.cancel(task_id)
    if end != "running":
        hub.finish(task_id, Outcome(status="done"), retry_at_ms=None)
    await hub.journal.committed()
    return task_id


def left(hub: Hub, *task_ids: str) -> list[bool]:
    return [hub.files.directory(task_id).exists() for task_id in task_ids]


async def test_what_fits_is_left_alone(hub: Hub, clock: HandClock) -> None:
    films = [await made(hub, clock) for _ in range(3)]

    await Quota(hub, "film", 3 * BYTES).keep()

    assert left(hub, *films) == [True] * 3


async def test_the_unfinished_go_first_and_then_the_oldest(hub: Hub, clock: HandClock) -> None:
    films = [await made(hub, clock, end) for end in ("done", "done", "cancelled", "done", "cancelled", "running")]

    seen = []
    for most in (5, 4, 3, 2, 0):
        await Quota(hub, "film", most * BYTES).keep()
        seen.append("".join("x-"[not there] for there in left(hub, *films)))

    assert seen == ["xx-xxx", "xx-x-x", "-x-x-x", "---x-x", "-----x"]
    assert (await hub.get(films[0])).final


async def test_files_of_other_kinds_do_not_count(hub: Hub, clock: HandClock) -> None:
    work, film = await made(hub, clock, kind="work"), await made(hub, clock)
    (hub.files.directory("stranger")).mkdir()

    await Quota(hub, "film", BYTES).keep()

    assert left(hub, work, film, "stranger") == [True] * 3
