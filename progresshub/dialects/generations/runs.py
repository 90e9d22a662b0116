"""Finding what is asked for: the runs of a generation by any of its names, and the video of one run."""

from __future__ import annotations

import re
from typing import Any

from progresshub.dialects.generations import words
from progresshub.dialects.generations.words import NothingMade, UnknownGeneration, UnknownVideo
from progresshub.errors import UnknownTask
from progresshub.model import Task
from progresshub.registry.hub import Hub

MOST_RUNS = 20
"""Of so many of the newest runs the newest that made a video is shown."""
_FILENAME = re.compile(r"(.+)-([0-9a-f]{12})\.mp4", re.DOTALL)


async def newest(hub: Hub, asked: str) -> Task | None:
    """The task of that id, or the newest run of the generation of that name."""
    try:
        return await hub.get(asked)
    except UnknownTask:
        found = await _runs(hub, asked, 1)
    return found[0] if found else None


async def known(hub: Hub, asked: str) -> Task:
    """The same; UnknownGeneration where there is none."""
    if (task := await newest(hub, asked)) is None:
        raise UnknownGeneration(generation_id=asked)
    return task


async def made(hub: Hub, asked: str) -> dict[str, Any]:
    """What came of the newest run that made a video."""
    task = await known(hub, asked)
    for run in (task, *await _runs(hub, asked, MOST_RUNS)):
        if result := words.made(run):
            return result
    raise NothingMade(generation_id=asked, status=words.said(task).status)


async def video(hub: Hub, filename: str) -> tuple[Task, str]:
    """The run that made a video of this name, and the file it is in."""
    match = _FILENAME.fullmatch(filename)
    if match is None:
        raise UnknownVideo(filename=filename)
    try:
        task = await hub.beginning(match[2])
    except UnknownTask:
        raise UnknownVideo(filename=filename) from None
    result = words.made(task)
    if result is None or words.video_filename(task) != filename:
        raise UnknownVideo(filename=filename)
    return task, str(result["video"])


async def _runs(hub: Hub, name: str, limit: int) -> list[Task]:
    """Newest first, each as it is now."""
    return [hub.find(task.id) or task for task in await hub.store.named(name, limit)]
