"""Clients as people have written them for this API, against a server in a process of its own.

They format what they get without a second look, so a null in the wrong place breaks them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
import pytest_asyncio

from tests import serving
from tests.media import File, Gate, Media, media_server
from tests.wait import PATIENCE_S

pytestmark = pytest.mark.asyncio(loop_scope="module")

FILM = bytes(range(256)) * 4_000
TOKEN = "your-api-key"
FINAL = ("completed", "failed", "cancelled")


class Place(NamedTuple):
    api: httpx.AsyncClient
    media: Media


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    data: Path = tmp_path_factory.mktemp("clients") / "data"
    flags = ("downloads.allow_private=true", "downloads.buffer_bytes=16384", "downloads.reports_per_s=100.0")
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with (
        media_server() as media,
        serving.process(data, *flags) as server,
        httpx.AsyncClient(base_url=server.url, headers=headers, timeout=PATIENCE_S) as api,
    ):
        yield Place(api, media)


async def begun(place: Place, name: str, gate: Gate | None = None, *, length: bool = True) -> str:
    url = place.media.add(name, File(content=FILM, gate=gate, length=length))
    response = await place.api.post("/api/download", json={"url": url, "format": "best"})
    assert response.status_code == 200, response.text
    return str(response.json()["task_id"])


@pytest.mark.parametrize("length", [True, False])
async def test_one_download_is_followed_by_its_summary(place: Place, length: bool) -> None:
    gate = Gate(upto=100_000)
    task_id = await begun(place, f"followed-{length}.mp4", gate, length=length)
    lines: list[str] = []

    upto = 100_000
    while True:
        data = (await place.api.get(f"/api/progress/tasks/{task_id}/summary")).json()
        lines.append(
            f"{data['progress']:.1f} % at {data['speed_bps'] / 1024**2:.2f} MB/s, {data['time_remaining']} left"
        )
        if data["status"] in FINAL:
            break
        upto += 50_000
        await gate.open(upto)

    assert data["status"] == "completed"
    assert lines[0].startswith("0.0 %")
    assert lines[-1] == "100.0 % at 0.00 MB/s, None left"


async def test_several_downloads_are_followed_together(place: Place) -> None:
    gates = {name: Gate(upto=size) for name, size in (("a.mp4", 200_000), ("b.mp4", 500_000))}
    ids = [await begun(place, name, gate) for name, gate in gates.items()]
    shown: dict[str, float] = {}
    lines: list[str] = []
    data: dict[str, Any] = {}

    while len(shown) < 2 or min(shown.values()) == 0:
        data = (await place.api.get("/api/progress/tasks?status=downloading")).json()
        lines.append(f"{data['total_tasks']} tasks, {data['overall_progress']:.1f} % of all")
        shown = {task["title"]: task["progress"] for task in data["tasks"] if task["task_id"] in ids}
        lines += [f"  {task['title']}: {task['progress']:.1f} %" for task in data["tasks"]]

    for gate in gates.values():
        await gate.open(len(FILM))
    assert shown.keys() == {"a", "b"}
    assert lines[-1].endswith(" %")
    assert data["downloading"] == data["total_tasks"] == len(data["tasks"])


async def test_the_events_of_a_download_are_read_one_by_one(place: Place) -> None:
    task_id = await begun(place, "events.mp4")
    while (await place.api.get(f"/api/status/{task_id}")).json()["status"] not in FINAL:
        pass

    lines: list[str] = []
    for event in (await place.api.get(f"/api/progress/tasks/{task_id}/events")).json():
        lines.append(f"{event['timestamp']} {event['event']}")
        if event["event"] == "progress_update":
            speed = event["details"]["speed_bps"] / 1024**2
            lines.append(f"  {event['details']['progress']} % at {speed:.2f} MB/s")

    names = [line.split()[1] for line in lines if not line.startswith(" ")]
    assert (names[0], names[1], names[-1]) == ("task_created", "download_started", "task_completed")
    assert any(line.startswith("  ") for line in lines)


async def test_bandwidth_is_watched(place: Place) -> None:
    gate = Gate(upto=300_000)
    task_id = await begun(place, "watched.mp4", gate)
    lines: list[str] = []

    while True:
        data = (await place.api.get("/api/progress/bandwidth")).json()
        lines.append(f"{data['total_speed_formatted']} in all, {data['average_speed_formatted']} for each")
        if data["downloading_count"] and data["total_speed_bps"] > 0:
            break

    assert data["window_bytes"] > 0
    assert "B/s in all" in lines[-1]
    await gate.open(len(FILM))
    while (await place.api.get(f"/api/status/{task_id}")).json()["status"] not in FINAL:
        pass


async def test_a_token_that_means_nothing_here_does_no_harm_on_loopback(place: Place) -> None:
    response = await place.api.get("/api/features")

    assert response.json()["progress_tracking"] is True
