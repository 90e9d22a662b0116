"""`progresshub demo`: one task of every kind with real work to do, watched until all have ended.

Where no server runs, one is started for as long as the demo takes, with a data directory of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sys
import tempfile
import wave
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from progresshub.cli.remote import Address, Remote, address
from progresshub.errors import StartupError

BYTES_A_SECOND = 400_000
PIECE = 40_000
START_S = 30.0
COUNTING = "import time\nfor n in range(1, 11):\n    print(f'{n}/10', flush=True)\n    time.sleep(0.3)"
MOVIE = "-f lavfi -i testsrc2=d=8:s=640x360:r=30 -f lavfi -i sine=d=8 -c:v mpeg4 -b:v 900k -c:a aac -y"
WIDTH = 30


def run(data: Path) -> int:
    return asyncio.run(_demo(data))


async def _demo(data: Path) -> int:
    with tempfile.TemporaryDirectory(prefix="progresshub-demo-") as scratch:
        async with _media(Path(scratch)) as url, _server(data, Path(scratch), url) as where, Remote(where) as remote:
            print(f"watch it in a browser as well: {where.url}", file=sys.stderr)
            titles = {
                await remote.submit("demo", {"message": "hello", "count": 6}): "demo: counts to six",
                await remote.submit("download", {"url": url, "format": "best"}): "download: a film from this machine",
                await remote.submit("command", {"argv": [sys.executable, "-c", COUNTING]}): "command: prints n/10",
                (outside := await remote.submit("external", {"total": 20})): "external: reported over HTTP",
            }
            if shutil.which("ffmpeg") and shutil.which("ffprobe"):
                titles[await remote.submit("pipeline", transcode(url))] = "pipeline: fetch, probe, transcode, picture"
            async with asyncio.TaskGroup() as group:
                group.create_task(_work_outside(remote, outside))
                ends = await _watch(remote, titles)
            missing = [task_id for task_id, end in ends.items() if end != "completed"]
            unexplained = [task_id for task_id in missing if not await _is_explained(remote, task_id)]
    return 1 if unexplained else 0


async def _is_explained(remote: Remote, task_id: str) -> bool:
    """Whether it ended as it had to: a server fetches nothing from this machine unless it is told that it may."""
    task = await remote.get(f"/api/v1/tasks/{task_id}")
    if (task.get("error") or {}).get("type") != "private_address":
        return False
    said = "this server downloads from public addresses only, and the demo's film is on this machine;"
    print(f"{said} start it with --set downloads.allow_private=true to see that as well", file=sys.stderr)
    return True


def transcode(url: str) -> dict[str, Any]:
    """A pipeline that makes a film small, and takes a picture out of it meanwhile."""
    film = "${steps.fetch.result.path}"
    return {
        "inputs": {"url": url},
        "steps": [
            {"name": "fetch", "type": "download", "payload": {"url": "${inputs.url}", "format": "best"}, "weight": 3},
            _command("probe", "ffprobe", "-v", "error", "-show_format", film),
            {**_command("transcode", "ffmpeg", "-i", film, "-s", "hd720", "-y", "small.mp4"), "weight": 3},
            {**_command("picture", "ffmpeg", "-i", film, "-frames:v", "1", "-y", "picture.jpg"), "needs": ["probe"]},
        ],
    }


def _command(name: str, *argv: str) -> dict[str, Any]:
    return {"name": name, "type": "command", "payload": {"argv": argv}}


async def _work_outside(remote: Remote, task_id: str) -> None:
    path = f"/api/v1/tasks/{task_id}/progress"
    for done in range(1, 21):
        await asyncio.sleep(0.2)
        await remote.post(path, {"current": done, "stage": "folding", "message": f"letter {done} of 20"})
    await remote.post(path, {"status": "done", "result": {"letters": 20}})


async def _watch(remote: Remote, titles: dict[str, str]) -> dict[str, str]:
    """Print each task's progress as it comes; returns how they ended."""
    ends: dict[str, str] = {}
    async for name, told in remote.events("/api/v1/progress/stream", task_ids=",".join(titles)):
        if name == "progress":
            task_id = told["task_id"]
            print(_line(titles[task_id], told["progress"]), flush=True)
            if told.get("is_final"):
                ends[task_id] = told["status"]
    return ends


def _line(title: str, progress: dict[str, Any]) -> str:
    percent = progress["percentage"]
    unknown = progress.get("indeterminate", False)
    filled = 0 if unknown else percent * WIDTH // 100
    figure = "  ? " if unknown else f"{percent:3d}%"
    return f"{figure} [{'█' * filled:<{WIDTH}}] {title:<36} {progress['stage']} {progress['message'][:60]}".rstrip()


@contextlib.asynccontextmanager
async def _server(data: Path, scratch: Path, film: str) -> AsyncIterator[Address]:
    """The server that runs already, or one of our own that may fetch the film."""
    where = address(data)
    if where is not None:
        async with Remote(where) as remote:
            if await remote.answers():
                yield where
                return
    own = scratch / "data"
    print("no server is running; one is started for the demo (progresshub serve starts one to stay)", file=sys.stderr)
    command = [sys.executable, "-m", "progresshub", "serve", "--port", "0", "--data-dir", str(own)]
    allowed = f'downloads.allow_hosts=["{urlsplit(film).netloc}"]'
    process = await asyncio.create_subprocess_exec(*command, "--set", allowed, stdout=asyncio.subprocess.PIPE)
    try:
        async with asyncio.timeout(START_S):
            line = await process.stdout.readline() if process.stdout else b""
        where = address(own)
        if not line or where is None:
            raise StartupError(reason="the demo's own server ended at once")
        yield where
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


@contextlib.asynccontextmanager
async def _media(scratch: Path) -> AsyncIterator[str]:
    """A small film, or without ffmpeg a tone, served slowly enough to be watched; gives its URL."""
    path = await _film(scratch) or _tone(scratch)
    app = web.Application()
    data = path.read_bytes()
    app.router.add_get(f"/{path.name}", lambda request: _slowly(request, data))
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/{path.name}"
    finally:
        await runner.cleanup()


async def _slowly(request: web.Request, data: bytes) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "video/mp4"})
    response.content_length = len(data)
    await response.prepare(request)
    for start in range(0, len(data), PIECE):
        await response.write(data[start : start + PIECE])
        await asyncio.sleep(PIECE / BYTES_A_SECOND)
    return response


async def _film(scratch: Path) -> Path | None:
    if shutil.which("ffmpeg") is None:
        return None
    path = scratch / "film.mp4"
    quiet = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec("ffmpeg", *MOVIE.split(), str(path), stdout=quiet, stderr=quiet)
    return path if await process.wait() == 0 else None


def _tone(scratch: Path) -> Path:
    path = scratch / "tone.wav"
    with wave.open(str(path), "wb") as tone:
        tone.setnchannels(1)
        tone.setsampwidth(2)
        tone.setframerate(44_100)
        tone.writeframes(bytes(1_200_000))
    return path
