"""A page of another origin, in a real browser: it follows a song, lists what was made of it, and plays a stem."""

from __future__ import annotations

import shutil
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from playwright.async_api import Browser, Page, expect

from progresshub.jobs import audio
from tests import songs
from tests.browser import launched, visiting
from tests.serving import Client, serving

RATE_HZ = 8_000
SECONDS = 2
PAGE = "<!doctype html><title>Karaoke</title><link rel=icon href=data:,><audio controls></audio>"
FOLLOW = """
async ({hub, job}) => {
    const seen = [];
    for (;;) {
        const answer = await fetch(`${hub}/api/status/${job}`, {headers: {"Content-Type": "application/json"}});
        const status = await answer.json();
        const percent = status.progress.toFixed(0);
        if (seen.at(-1) !== percent) seen.push(percent);
        if (status.status === "completed") return {seen, vocals: status.stem_separation.vocals_path};
        if (status.status === "failed") throw new Error(status.error_message);
        await new Promise((resolve) => setTimeout(resolve, 20));
    }
}
"""
PLAY = """
(source) => new Promise((resolve, reject) => {
    const audio = document.querySelector("audio");
    audio.muted = true;
    audio.onended = () => resolve({duration: audio.duration, at: audio.currentTime, rate: audio.playbackRate});
    audio.onerror = () => reject(new Error(`${audio.error.code} ${audio.error.message}`));
    audio.src = source;
    audio.playbackRate = 4;
    audio.play().catch(reject);
})
"""
HEAR = """
async (source) => {
    const bytes = await (await fetch(source)).arrayBuffer();
    const heard = await new OfflineAudioContext(2, 1, 44100).decodeAudioData(bytes);
    return {channels: heard.numberOfChannels, peak: Math.max(...heard.getChannelData(0).map(Math.abs))};
}
"""
SEEK = """
() => new Promise((resolve, reject) => {
    const audio = document.querySelector("audio");
    audio.onseeked = () => resolve(audio.currentTime);
    audio.onerror = () => reject(new Error(audio.error.message));
    audio.currentTime = 1.5;
})
"""


@pytest_asyncio.fixture
async def browser() -> AsyncIterator[Browser]:
    async with launched("--autoplay-policy=no-user-gesture-required") as browser:
        yield browser


@asynccontextmanager
async def elsewhere() -> AsyncIterator[str]:
    """The origin of a page that is none of ours."""

    async def page(request: web.Request) -> web.Response:
        return web.Response(text=PAGE, content_type="text/html")

    app = web.Application()
    app.router.add_get("/", page)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def sound() -> bytes:
    """Two seconds of a square wave, 24 bits deep."""
    made = BytesIO()
    with wave.open(made, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(3)
        file.setframerate(RATE_HZ)
        file.writeframes((b"\0\0\x10" * 20 + b"\0\0\xf0" * 20) * (RATE_HZ * SECONDS // 40))
    return made.getvalue()


async def taken_apart(hub: Client) -> str:
    """A job whose one stem is there, and whose work is reported by the test."""
    made = aiohttp.FormData(quote_fields=False, default_to_multipart=True)
    made.add_field("task", '{"type": "external", "payload": {}}')
    made.add_field("file", BytesIO(sound()), filename="la la_vocals.wav")
    _, created = await hub.ask("POST", "/api/v1/tasks", data=made)
    return str(created["task_id"])


async def test_a_page_follows_a_song_and_plays_its_voice(tmp_path: Path, browser: Browser) -> None:
    async with elsewhere() as origin, serving(tmp_path, f'server.allowed_origins=["{origin}"]') as hub:
        job_id = await taken_apart(hub)
        async with visiting(browser) as visitor:
            tab = await visitor.tab(origin)
            await hub.report(job_id, step="stem_separation", percent=40)
            await begin(tab, hub, job_id)
            await tab.wait_for_function("window.first")
            await hub.report(job_id, step="stem_separation", status="done", result={"vocals": "la la_vocals.wav"})
            await hub.report(job_id, status="done")

            followed = await tab.evaluate("window.followed")
            played = await tab.evaluate(PLAY, f"{hub.url}{followed['vocals']}?inline=true")
            sought = await tab.evaluate(SEEK)

    assert followed["seen"][-1] == "100"
    assert [round(played["duration"], 2), round(played["at"], 2)] == [SECONDS, SECONDS]
    assert round(sought, 2) == 1.5


async def begin(tab: Page, hub: Client, job_id: str) -> None:
    """Have the page poll, and remember that it has seen something."""
    where: dict[str, Any] = {"hub": hub.url, "job": job_id}
    noticing = FOLLOW.replace("seen.push(percent);", "{ seen.push(percent); window.first = true; }")
    await tab.evaluate(f"(where) => {{ window.followed = ({noticing})(where); }}", where)


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed, so no song can be decoded")
async def test_a_page_plays_the_stems_of_a_song_that_it_brought(tmp_path: Path, browser: Browser) -> None:
    path = songs.save(tmp_path / "la la.wav", songs.song(120, SECONDS).mix)
    made = aiohttp.FormData(quote_fields=False)
    made.add_field("file", BytesIO(path.read_bytes()), filename=path.name)
    async with elsewhere() as origin, serving(tmp_path, f'server.allowed_origins=["{origin}"]') as hub:
        _, taken = await hub.ask("POST", "/api/process", data=made)
        async with visiting(browser) as visitor:
            tab = await visitor.tab(origin)
            await tab.evaluate(FOLLOW, {"hub": hub.url, "job": taken["job_id"]})
            results = await hub.get(f"/api/results/{taken['job_id']}")
            sources = [f"{hub.url}{results['stem_separation'][f'{stem}_path']}?inline=true" for stem in audio.STEMS]
            played = [await tab.evaluate(PLAY, source) for source in sources]
            heard = [await tab.evaluate(HEAR, source) for source in sources]

    assert [round(one["at"], 2) for one in played] == [SECONDS] * 4
    assert [one["channels"] for one in heard] == [2] * 4
    assert min(one["peak"] for one in heard) > 0.02


async def test_a_stem_is_played_in_a_tab_of_its_own(tmp_path: Path, browser: Browser) -> None:
    async with serving(tmp_path) as hub, visiting(browser) as visitor:
        job_id = await taken_apart(hub)

        tab = await visitor.tab(f"{hub.url}/api/files/{job_id}/la%20la_vocals.wav?inline=true")
        await expect(tab.locator("video")).to_have_js_property("readyState", 4)

        assert round(await tab.evaluate("document.querySelector('video').duration"), 2) == SECONDS


async def test_a_page_that_is_not_named_may_not_even_play(tmp_path: Path, browser: Browser) -> None:
    async with elsewhere() as origin, serving(tmp_path) as hub, visiting(browser) as visitor:
        job_id = await taken_apart(hub)
        tab = await visitor.tab(origin)

        refused = await tab.evaluate(
            f"(source) => ({PLAY})(source).catch((error) => String(error))",
            f"{hub.url}/api/files/{job_id}/la%20la_vocals.wav?inline=true",
        )

    assert "Error" in refused
