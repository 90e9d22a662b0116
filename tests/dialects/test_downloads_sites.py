"""What the downloads dialect says of an address without downloading it: no task is made of a question."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from progresshub.dialects.downloads.sites import info_body, qualities
from tests.media import File, Gate, Media, media_server
from tests.serving import Client, serving
from tests.wait import PATIENCE_S, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

FILM = bytes(range(256)) * 400
SUBTITLES = "WEBVTT\n\n00:00.000 --> 00:01.000\nHello\n"
PAGE = "<html><title>T</title><video src='{0}'><track src='{1}' srclang='en' kind='subtitles'></video></html>"
NEVER = File(content=b"<html>", content_type="text/html", gate=Gate())
"""A page that begins and never comes."""


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    flags = ("downloads.allow_private=true", "inquiries.at_once=1", "inquiries.waiting=1")
    async with serving(tmp_path_factory.mktemp("sites"), *flags) as client:
        yield client


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def media() -> AsyncIterator[Media]:
    async with media_server() as started:
        started.add("en.vtt", File(content=SUBTITLES.encode(), content_type="text/vtt"))
        page = PAGE.format(started.add("film.mp4", File(content=FILM)), f"{started.base}/en.vtt")
        started.add("page.html", File(content=page.encode(), content_type="text/html"))
        yield started


async def test_an_address_is_described_and_nothing_is_left_of_the_question(server: Client, media: Media) -> None:
    body = await server.get("/api/info", url=f"{media.base}/film.mp4")

    assert (body["url"], body["type"], body["title"]) == (f"{media.base}/film.mp4", "video", "film")
    assert [one["ext"] for one in body["formats"]] == ["mp4"]
    assert body.keys() >= {"thumbnail", "duration", "uploader", "available_qualities", "available_audio_formats"}
    assert await server.get("/api/tasks") == []


async def test_subtitles_come_as_text(server: Client, media: Media) -> None:
    url = f"{media.base}/page.html"

    body = await server.get("/api/subtitles", url=url)
    status, refusal = await server.ask("GET", "/api/subtitles", params={"url": url, "lang": "fr"})

    assert body == {"url": url, "language": "en", "subtitles": SUBTITLES, "format": "vtt", "automatic": False}
    assert (status, refusal["error"]) == (404, "NOT_FOUND")
    assert "there are en" in refusal["message"]


@pytest.mark.parametrize("what", ["info", "subtitles"])
async def test_a_site_that_has_nothing_is_told_from_one_that_has_trouble(
    server: Client, media: Media, what: str
) -> None:
    media.add("none.mp4", File(status=404))
    media.add("busy.mp4", File(status=503))

    nothing = await server.ask("GET", f"/api/{what}", params={"url": f"{media.base}/none.mp4"})
    trouble = await server.ask("GET", f"/api/{what}", params={"url": f"{media.base}/busy.mp4"})

    assert (nothing[0], nothing[1]["error"]) == (400, "INVALID_URL")
    assert (trouble[0], trouble[1]["error"]) == (503, "UNAVAILABLE")


async def test_who_asks_while_too_many_do_is_sent_away_and_who_leaves_makes_room(server: Client, media: Media) -> None:
    slow = media.add("slow.html", NEVER)

    asking = [asyncio.create_task(server.ask("GET", "/api/info", params={"url": slow})) for _ in range(3)]
    answered, waiting = await asyncio.wait(asking, timeout=PATIENCE_S, return_when=asyncio.FIRST_COMPLETED)
    for one in waiting:
        one.cancel()
    await asyncio.wait(waiting)

    ((status, refusal),) = [one.result() for one in answered]
    assert (status, refusal["error"]) == (429, "TOO_MANY_REQUESTS")
    async with asyncio.timeout(PATIENCE_S):
        while (await server.ask("GET", "/api/info", params={"url": f"{media.base}/film.mp4"}))[0] == 429:
            pass


async def test_a_private_address_is_not_asked(tmp_path: Path, media: Media) -> None:
    async with serving(tmp_path) as closed:
        status, refusal = await closed.ask("GET", "/api/info", params={"url": f"{media.base}/secret.mp4"})

    assert (status, refusal["error"], refusal["details"]["type"]) == (400, "INVALID_URL", "private_address")
    assert not [asked for asked in media.asked if asked.name == "secret.mp4"]


async def test_a_stop_of_the_server_does_not_wait_for_a_site(tmp_path: Path, media: Media) -> None:
    slow = media.add("stuck.html", NEVER)
    async with serving(tmp_path, "downloads.allow_private=true") as client:
        asking = asyncio.create_task(client.ask("GET", "/api/info", params={"url": slow}))
        await until(lambda: any(asked.name == "stuck.html" for asked in media.asked))
        client.stop()
        try:
            status, body = await asking
        except aiohttp.ClientConnectionError:
            return

    assert (status, body["error"]) == (503, "UNAVAILABLE")


async def test_what_a_site_does_not_say_is_not_made_up() -> None:
    body = info_body("https://example.com/", {"title": None, "formats": [{"format_id": 18}]})

    assert (body.title, body.duration, body.thumbnail, body.entries) == ("", None, None, [])
    assert body.formats[0].format_id == "18"


async def test_qualities_are_the_heights_there_are() -> None:
    formats: list[dict[str, Any]] = [{"height": 360}, {"height": 1080}, {"height": None}, {}, {"height": 360}]
    sound = {"format_id": "s", "ext": "m4a", "vcodec": "none", "acodec": "aac"}

    body = info_body("https://example.com/", {"formats": [*formats, sound]})

    assert qualities(formats) == body.available_qualities == ["1080p", "360p"]
    assert body.available_audio_formats == ["m4a"]
