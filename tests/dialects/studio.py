"""A server whose videos the test makes itself, message by message, in the words of the real kind."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from progresshub.dialects.generations.audience import Audience
from progresshub.dialects.generations.watching import AUDIENCE
from progresshub.jobs import topics, video
from progresshub.kinds import Outcome
from progresshub.model import Failure
from progresshub.protocol import Report
from progresshub.registry.hub import Hub
from progresshub.settings import Config, Generations
from progresshub.settings import Video as VideoSettings
from tests import parts
from tests.edge.served import served
from tests.serving import Client, Stream

KIND = parts.kind(
    "video",
    check=lambda payload: msgspec.to_builtins(msgspec.convert(payload, video.Video)),
    names_of=lambda payload: topics.names(payload["topic"]),
)
KINDS = {**parts.KINDS, "video": KIND}
PATIENT = Generations(heartbeat_s=60.0, wait_s=60.0, rerun_wait_s=60.0)
TOPIC = "Introduction to Machine Learning"
ID = "Introduction_to_Machine_Learn"
ASYNC = {"Prefer": "respond-async"}
SLIDE = {
    "slide_number": 1,
    "title": "Tea",
    "content_text": "hot",
    "needs_image": False,
    "image_keyword": "",
    "needs_animation": False,
    "animation_description": "",
    "duration": 2.5,
}
SAYING = {"slide_number": 1, "start_time": 0.0, "end_time": 2.5, "narration_text": "Tea is hot."}
RESULT = {
    "content_data": {"topic": TOPIC, "total_slides": 1, "slides": [SLIDE]},
    "script_data": {"topic": TOPIC, "total_duration": 2.5, "language": "english", "slide_scripts": [SAYING]},
    "video": "film.mp4",
}
FILM = bytes(range(256)) * 4


class Studio(NamedTuple):
    client: Client
    hub: Hub
    audience: Audience

    async def begun(self, topic: str = TOPIC) -> str:
        """A generation asked for and taken up; returns its task's id."""
        task_id = await self.asked(topic)
        self.hub.start(task_id)
        await self.hub.kept()
        return task_id

    async def asked(self, topic: str = TOPIC) -> str:
        body = await self.client.post("/api/generate", {"topic": topic}, 202, headers=ASYNC)
        (task,) = await self.hub.store.named(body["generation_id"], 1)
        return task.id

    def report(self, task_id: str, percent: float | None, stage: str, message: str = "") -> None:
        self.hub.progressed(task_id, Report(percent=percent, stage=stage, message=message))

    def complete(self, task_id: str) -> None:
        folder = self.hub.files.directory(task_id)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "film.mp4").write_bytes(FILM)
        self.hub.finish(task_id, Outcome(status="done", result=RESULT), retry_at_ms=None)

    def fail(self, task_id: str, message: str) -> None:
        outcome = Outcome(status="failed", failure=Failure(type="bad", message=message))
        self.hub.finish(task_id, outcome, retry_at_ms=None)


@asynccontextmanager
async def studio(data: Path, settings: Generations = PATIENT, **given: Any) -> AsyncIterator[Studio]:
    async with served(data, settings=Config(generations=settings), **{"kinds": KINDS, **given}) as site:
        url = str(site.client.make_url("")).rstrip("/")
        yield Studio(Client(url, site.client.session), site.hub, site.app[AUDIENCE])
        site.hub.bus.close()


def need_tools() -> None:
    """Skip the test where no video can be made."""
    if lacking := video.missing(VideoSettings()):
        pytest.skip(f"NO VIDEO CAN BE MADE HERE: {', '.join(lacking)} MISSING")


async def said(stream: Stream) -> tuple[str, int, str] | None:
    """The next message but for its time; None at the end."""
    event = await stream.next()
    if event is None:
        return None
    assert (event.id, event.name) == ("", "message")
    assert list(event.data) == ["status", "progress", "message", "timestamp"]
    assert re.fullmatch(r"\d\d:\d\d:\d\d", event.data["timestamp"])
    return event.data["status"], event.data["progress"], event.data["message"]


async def all_said(stream: Stream) -> list[tuple[str, int, str]]:
    """All that still comes, to the end."""
    heard = []
    while (one := await said(stream)) is not None:
        heard.append(one)
    return heard
