"""Downloads in a real server: what becomes of them when a site, the server or the user lets go."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from progresshub import release
from tests import serving
from tests.egress.canary import canary
from tests.faults.shop import left_of
from tests.media import File, Gate, Media, media_server
from tests.wait import PATIENCE_S, until

CONTENT = random.Random(3).randbytes(3_000_000)
HALF = len(CONTENT) // 2


@pytest.fixture
async def media() -> AsyncIterator[Media]:
    async with media_server() as started:
        yield started


def flags(media: Media, *more: str) -> tuple[str, ...]:
    """The media server may be reached, through the proxy; and every byte is told of."""
    place = urlsplit(media.base).netloc
    smooth = ("downloads.buffer_bytes=16384", "downloads.reports_per_s=100.0")
    return (f'downloads.allow_hosts=["{place}"]', *smooth, *more)


async def half_way(client: serving.Client, task_id: str) -> None:
    """Wait until a good part of the bytes is there."""
    async with client.stream(f"/api/v1/tasks/{task_id}/progress/stream", start_id="0") as stream:
        while (event := await stream.next()) is not None:
            if event.data.get("current", 0) >= 0.8 * HALF:
                return
    raise AssertionError(await client.task(task_id))


async def file_of(client: serving.Client, task_id: str) -> bytes:
    (file,) = (await client.get(f"/api/v1/tasks/{task_id}/files"))["files"]
    async with client.session.get(client.url + file["url"]) as response:
        return await response.read()


def percentages(events: list[serving.Event]) -> list[int]:
    return [event.data["percentage"] for event in events if event.name == "progress"]


async def test_a_download_goes_on_where_a_killed_server_left_it(media: Media, tmp_path: Path) -> None:
    gate = Gate(HALF)
    url = media.add("song.mp4", File(content=CONTENT, gate=gate))
    data = tmp_path / "data"
    async with serving.process(data, *flags(media)) as server, serving.client(server.url) as client:
        task_id = await client.submit("download", {"url": url, "format": "best"})
        await half_way(client, task_id)
        server.kill()
        await server.gone()
    await gate.open(len(CONTENT))

    async with serving.process(data, *flags(media)) as server, serving.client(server.url) as client:
        task = await client.ended(task_id)
        got = await file_of(client, task_id)

    assert (task["state"], got == CONTENT) == ("completed", True)
    resumed = media.asked[-1].range
    assert int(resumed.removeprefix("bytes=").rstrip("-")) >= 0.7 * HALF


async def test_a_download_that_was_cancelled_leaves_nobody_and_nothing_that_looks_whole(
    media: Media, tmp_path: Path
) -> None:
    gate = Gate(HALF)
    url = media.add("song.mp4", File(content=CONTENT, gate=gate))
    short = media.add("short.mp4", File(content=CONTENT[:1000]))
    async with serving.process(tmp_path / "data", *flags(media)) as server, serving.client(server.url) as client:
        await client.ended(await client.submit("download", {"url": short, "format": "best"}))
        at_rest = set(left_of(server.url))
        task_id = await client.submit("download", {"url": url, "format": "best"})
        await half_way(client, task_id)
        at_work = set(left_of(server.url))

        await client.post(f"/api/v1/tasks/{task_id}/cancel")
        task = await client.ended(task_id)
        left = set(left_of(server.url))
        files = (await client.get(f"/api/v1/tasks/{task_id}/files"))["files"]
        again = await client.post(f"/api/v1/tasks/{task_id}/retry", status=201)
        await gate.open(len(CONTENT))
        second = await client.ended(again["task_id"])
        got = await file_of(client, again["task_id"])

    assert (task["state"], task["error"]["type"], files) == ("archived", "cancelled", [])
    assert left <= at_rest
    assert len(at_work - at_rest) == 2  # the worker and its proxy
    assert (second["state"], got == CONTENT) == ("completed", True)
    assert media.asked[-1].range != ""


async def test_a_site_that_falls_silent_is_shown_as_stalled_until_bytes_come_again(
    media: Media, tmp_path: Path
) -> None:
    gate = Gate(HALF)
    url = media.add("song.mp4", File(content=CONTENT, gate=gate))
    async with serving.serving(tmp_path / "data", *flags(media, "downloads.stalled_after_s=0.2")) as client:
        task_id = await client.submit("download", {"url": url, "format": "best"})
        async with client.stream("/api/v1/events/stream", id=task_id, last_event_id="0") as stream:
            while (await stream.until("stalled")).data["task"].get("progress", {}).get("current", 0) < 0.8 * HALF:
                pass  # it may also be slow to begin
            await gate.open(len(CONTENT))
            await stream.until("revived")
        task = await client.ended(task_id)

    assert task["state"] == "completed"


async def test_a_site_that_stays_silent_or_cuts_off_is_tried_again_from_there(media: Media, tmp_path: Path) -> None:
    silent, cut = Gate(HALF), File(content=CONTENT, cut_after=HALF)
    urls = [media.add("silent.mp4", File(content=CONTENT, gate=silent)), media.add("cut.mp4", cut)]
    impatient = ("downloads.socket_timeout_s=0.5",)
    async with serving.serving(tmp_path / "data", *flags(media, *impatient)) as client:
        ids = [await client.submit("download", {"url": url, "format": "best"}) for url in urls]
        await until(lambda: sum(asked.name == "silent.mp4" for asked in media.asked) >= 3)
        await silent.open(len(CONTENT))
        tasks = [await client.ended(task_id) for task_id in ids]
        got = [await file_of(client, task_id) for task_id in ids]

    assert [task["state"] for task in tasks] == ["completed"] * 2
    assert got == [CONTENT] * 2


async def test_an_unknown_length_is_never_a_percentage_before_the_end(media: Media, tmp_path: Path) -> None:
    gate = Gate(HALF)
    url = media.add("song.mp4", File(content=CONTENT, gate=gate, length=False))
    async with serving.serving(tmp_path / "data", *flags(media)) as client:
        task_id = await client.submit("download", {"url": url, "format": "best"})
        async with client.stream(f"/api/v1/tasks/{task_id}/progress/stream", start_id="0") as stream:
            await half_way(client, task_id)
            told = (await client.task(task_id))["progress"]
            await gate.open(len(CONTENT))
            events = await stream.rest()

    assert told["indeterminate"]
    assert told["current"] >= 0.8 * HALF
    assert "total" not in told or told["total"] is None
    assert percentages(events)[-1] == 100


async def test_the_entries_of_a_list_are_steps_and_lead_the_bar(media: Media, tmp_path: Path) -> None:
    sources = [media.add(f"song{n}.mp4", File(content=CONTENT[: n * 500_000])) for n in (1, 2, 3)]
    page = "".join(f"<video src='{source}'></video>" for source in sources)
    url = media.add("page.html", File(content=f"<title>Songs</title>{page}".encode(), content_type="text/html"))
    async with serving.serving(tmp_path / "data", *flags(media)) as client:
        task_id = await client.submit("download", {"url": url, "format": "best"})
        async with client.stream(f"/api/v1/tasks/{task_id}/progress/stream", start_id="0") as stream:
            events = await stream.rest()
        task = await client.task(task_id)
        files = (await client.get(f"/api/v1/tasks/{task_id}/files"))["files"]

    assert task["state"] == "completed", task
    assert [step["state"] for step in task["steps"]] == ["completed"] * 3
    assert percentages(events) == sorted(percentages(events))
    assert len(files) == len(task["result"]["entries"]) == 3


async def test_a_private_address_fails_for_good(media: Media, tmp_path: Path) -> None:
    async with canary() as bird, serving.serving(tmp_path / "data") as client:
        task_id = await client.submit("download", {"url": f"http://localhost:{bird.port}/x.mp4"})
        task = await client.ended(task_id)

    assert bird.touched == 0
    assert (task["state"], task["error"]["type"], task["retried"]) == ("archived", "private_address", 1)
    assert "private address" in task["error"]["message"]


async def test_no_more_come_from_one_host_than_may(media: Media, tmp_path: Path) -> None:
    gate = Gate(HALF)
    urls = [media.add(f"song{n}.mp4", File(content=CONTENT, gate=gate)) for n in range(3)]
    async with serving.serving(tmp_path / "data", *flags(media, "downloads.per_host=1")) as client:
        ids = [await client.submit("download", {"url": url, "format": "best"}) for url in urls]
        other = await client.submit("demo", {"count": 0})
        await half_way(client, ids[0])
        await client.ended(other)
        states = [(await client.task(task_id))["state"] for task_id in ids]
        await gate.open(len(CONTENT))
        ends = [(await client.ended(task_id))["state"] for task_id in ids]

    assert states == ["active", "pending", "pending"]
    assert ends == ["completed"] * 3


async def test_the_quota_takes_the_files_of_the_oldest(media: Media, tmp_path: Path) -> None:
    urls = [media.add(f"song{n}.mp4", File(content=CONTENT)) for n in range(2)]
    data = tmp_path / "data"
    async with serving.serving(data, *flags(media)) as client:
        ids = [await client.submit("download", {"url": url, "format": "best"}) for url in urls]
        for task_id in ids:
            await client.ended(task_id)

    async with serving.serving(data, *flags(media, f"downloads.quota_bytes={len(CONTENT)}")) as client:
        left: list[Any] = []
        async with asyncio.timeout(PATIENCE_S):
            while sum(bool(files) for files in left) != 1:
                left = [(await client.get(f"/api/v1/tasks/{task_id}/files"))["files"] for task_id in ids]

    assert sum(len(files) for files in left) == 1


async def test_an_updated_yt_dlp_is_used_without_a_new_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release, "LOOK_EVERY_S", 0.01)
    package = tmp_path / "data" / "yt-dlp" / "2999.01.01" / "yt_dlp"
    body = {"url": "http://127.0.0.1:1/"}
    async with serving.serving(tmp_path / "data") as client:
        before = await client.ended(await client.submit("download", body, max_retries=0))
        package.mkdir(parents=True)
        (package / "__init__.py").write_text("raise ImportError('this is the update')\n")
        (package / "version.py").write_text("__version__ = '2999.01.01'\n")
        async with asyncio.timeout(PATIENCE_S):
            while (health := await client.get("/health"))["downloader"]["version"] != "2999.01.01":
                pass
        after = await client.ended(await client.submit("download", body, max_retries=0))

    assert before["error"]["type"] == "private_address"
    assert "this is the update" in after["error"]["message"]
    assert health["downloader"]["age_days"] < 0


async def test_no_download_is_taken_while_the_disk_is_too_full_for_it(tmp_path: Path) -> None:
    async with serving.serving(tmp_path / "data", f"downloads.min_free_bytes={10**15}") as client:
        body = {"type": "download", "payload": {"url": "https://example.org/film"}}
        answer = await client.post("/api/v1/tasks", body, 507)
        other = await client.ended(await client.submit("demo", {"count": 0}))

    assert answer["code"] == "STORAGE_FULL"
    assert other["state"] == "completed"


async def test_no_work_at_all_is_taken_while_the_disk_is_nearly_full(tmp_path: Path) -> None:
    async with serving.serving(tmp_path / "data", f"store.min_free_bytes={10**15}") as client:
        refused = [
            await client.post("/api/v1/tasks", {"type": kind, "payload": {}}, 507) for kind in ("demo", "external")
        ]

    assert {answer["code"] for answer in refused} == {"STORAGE_FULL"}
