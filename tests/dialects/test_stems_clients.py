"""Clients as people have written them for this API: they poll, draw what they get, and stop at the end.

They format what they get without a second look, so a null in the wrong place breaks them. The work
is reported by the test, one step after the other, each when the client has drawn the one before.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.serving import Client, serving
from tests.wait import PATIENCE_S, until

PARTS = ("stem_separation", "transcription", "beat_analysis")
ENDS = ("completed", "failed")
BEATS = {"tempo_bpm": 120.5, "beat_count": 240, "time_signature": "4/4"}
EVERY_S = 0.01


@dataclass
class Hook:
    """Keeps the newest status, and whether it is still loading or something went wrong."""

    api: httpx.AsyncClient
    job_id: str
    status: dict[str, Any] | None = None
    loading: bool = True
    error: str | None = None

    async def fetch(self) -> None:
        try:
            response = await self.api.get(f"/api/status/{self.job_id}", headers={"Content-Type": "application/json"})
            if not response.is_success:
                raise RuntimeError(f"HTTP {response.status_code}")
            self.status = response.json()
            if self.status["status"] in ENDS:
                self.loading = False
        except RuntimeError as error:
            self.error = str(error)
            self.loading = False

    async def run(self) -> None:
        await self.fetch()
        while self.loading:
            await asyncio.sleep(EVERY_S)
            await self.fetch()


@dataclass
class Component:
    """Draws lines of text, as a template would."""

    api: httpx.AsyncClient
    job_id: str
    seen: list[dict[str, Any]] = field(default_factory=list)
    drawn: list[list[str]] = field(default_factory=list)

    async def run(self) -> None:
        ended = False
        while not ended:
            status = (await self.api.get(f"/api/status/{self.job_id}")).json()
            self.seen.append(status)
            self.drawn.append(self.draw(status))
            ended = status["status"] in ENDS
            await asyncio.sleep(EVERY_S)

    def draw(self, status: dict[str, Any]) -> list[str]:
        lines = [status["status"].upper(), f"{status['progress']:d}% - {status['current_step']}"]
        lines += [f"{part}: {status[part]['status']} ({status[part]['progress']:d}%)" for part in PARTS]
        if status["status"] == "completed":
            lines.append(f"took {status['processing_time']:.1f}s")
            lines.append(f"{status['beat_analysis']['tempo_bpm']:.1f} BPM")
        return lines


@dataclass
class Monitor:
    """Calls back at each update, at the end, and when there is an error."""

    api: httpx.AsyncClient
    job_id: str
    updated: Callable[[dict[str, Any]], None]
    completed: list[dict[str, Any]] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    async def run(self) -> None:
        while not (self.completed or self.failed):
            response = await self.api.get(f"/api/status/{self.job_id}")
            if not response.is_success:
                self.failed.append(f"HTTP {response.status_code}")
                return
            status = response.json()
            self.updated(status)
            if status["status"] == "completed":
                self.completed.append(status)
            elif status["status"] == "failed":
                self.failed.append(status["error_message"] or "Job failed")
            await asyncio.sleep(EVERY_S)


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Client]:
    async with serving(tmp_path) as client:
        yield client


@pytest.fixture
async def api(hub: Client) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=hub.url, timeout=PATIENCE_S) as api:
        yield api


async def work(hub: Client, job_id: str, seen: Callable[[], dict[str, Any]]) -> None:
    """Do it step by step, each as soon as the client has seen the one before."""

    async def report(until_seen: Callable[[dict[str, Any]], bool], **said: Any) -> None:
        await hub.report(job_id, **said)
        await until(lambda: until_seen(seen()))

    plan = [{"name": name, "weight": 1.0} for name in ("validation", *PARTS)]
    await hub.report(job_id, steps=plan)
    await hub.report(job_id, step="validation", status="done")
    await report(lambda s: s["stem_separation"]["progress"] == 65, step="stem_separation", percent=65)
    await report(lambda s: s["stem_separation"]["status"] == "completed", step="stem_separation", status="done")
    await report(lambda s: s["transcription"]["progress"] == 100, step="transcription", status="skipped")
    await report(lambda s: s["current_step"] == "beat_analysis", step="beat_analysis", percent=1)
    await hub.report(job_id, step="beat_analysis", status="done", result=BEATS)
    await hub.report(job_id, status="done")


async def test_a_hook_follows_a_song_to_its_end(hub: Client, api: httpx.AsyncClient) -> None:
    hook = Hook(api, await hub.submit("external"))

    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
        group.create_task(hook.run())
        await until(lambda: hook.status)
        group.create_task(work(hub, hook.job_id, lambda: hook.status or {}))

    assert (hook.loading, hook.error) == (False, None)
    assert hook.status is not None
    assert (hook.status["status"], hook.status["progress"]) == ("completed", 100)


async def test_a_hook_stops_where_there_is_no_job(api: httpx.AsyncClient) -> None:
    hook = Hook(api, "nobody")

    await hook.run()

    assert (hook.loading, hook.error, hook.status) == (False, "HTTP 404", None)


async def test_a_component_draws_every_step_of_it(hub: Client, api: httpx.AsyncClient) -> None:
    component = Component(api, await hub.submit("external"))

    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
        group.create_task(component.run())
        await until(lambda: component.seen)
        group.create_task(work(hub, component.job_id, lambda: component.seen[-1]))

    percentages = [status["progress"] for status in component.seen]
    assert percentages == sorted(percentages)
    assert component.drawn[0][:2] == ["PROCESSING", "10% - validation"]
    assert component.drawn[-1][:5] == [
        "COMPLETED",
        "100% - completed",
        "stem_separation: completed (100%)",
        "transcription: skipped (100%)",
        "beat_analysis: completed (100%)",
    ]
    assert component.drawn[-1][-1] == "120.5 BPM"


async def test_a_monitor_is_called_back_at_the_end(hub: Client, api: httpx.AsyncClient) -> None:
    seen: list[dict[str, Any]] = []
    monitor = Monitor(api, await hub.submit("external"), seen.append)

    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
        group.create_task(monitor.run())
        await until(lambda: seen)
        group.create_task(work(hub, monitor.job_id, lambda: seen[-1]))

    assert [status["status"] for status in monitor.completed] == ["completed"]
    assert monitor.failed == []


async def test_a_monitor_hears_why_a_song_failed(hub: Client, api: httpx.AsyncClient) -> None:
    seen: list[dict[str, Any]] = []
    monitor = Monitor(api, await hub.submit("external"), seen.append)
    await hub.report(monitor.job_id, step="stem_separation", percent=40)
    await hub.report(monitor.job_id, status="failed", error="there is no sound in it")

    await monitor.run()

    assert monitor.failed == ["there is no sound in it"]
    assert (seen[-1]["progress"], seen[-1]["current_step"]) == (0, "stem_separation")
    assert seen[-1]["stem_separation"]["error"] == "there is no sound in it"


async def test_a_monitor_hears_that_a_song_was_cancelled(hub: Client, api: httpx.AsyncClient) -> None:
    seen: list[dict[str, Any]] = []
    monitor = Monitor(api, await hub.submit("external"), seen.append)
    await hub.post(f"/api/v1/tasks/{monitor.job_id}/cancel")

    await monitor.run()

    assert len(monitor.failed) == 1
    assert "cancelled" in monitor.failed[0]
