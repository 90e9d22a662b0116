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
from argparse import Namespace
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from progresshub.cli import settings, words
from progresshub.client import AsyncClient, ClientError, Task
from progresshub.errors import StartupError
from progresshub.model import State

BYTES_A_SECOND = 400_000
PIECE = 40_000
START_S = 30.0
COUNTING = "import time\nfor n in range(1, 11):\n    print(f'{n}/10', flush=True)\n    time.sleep(0.3)"
MOVIE = "-f lavfi -i testsrc2=d=8:s=640x360:r=30 -f lavfi -i sine=d=8 -c:v mpeg4 -b:v 900k -c:a aac -y"
WIDTH = 30


def run(args: Namespace) -> int:
    return asyncio.run(_demo(settings.data_dir(args)))


async def _demo(data: Path) -> int:
    with tempfile.TemporaryDirectory(prefix="progresshub-demo-") as scratch:
        async with _media(Path(scratch)) as url, _server(data, Path(scratch), url) as hub:
            print(f"watch it in a browser as well: {hub.address.url}", file=sys.stderr)
            titles = {
                await hub.submit("demo", {"message": "hello", "count": 6}): "demo: counts to six",
                await hub.submit("download", {"url": url, "format": "best"}): "download: a film from this machine",
                await hub.submit("command", {"argv": [sys.executable, "-c", COUNTING]}): "command: prints n/10",
                (outside := await hub.submit("external", {"total": 20})): "external: reported over HTTP",
            }
            if shutil.which("ffmpeg") and shutil.which("ffprobe"):
                titles[await hub.submit("pipeline", transcode(url))] = "pipeline: fetch, probe, transcode, picture"
            async with asyncio.TaskGroup() as group:
                group.create_task(_work_outside(hub, outside))
                ends = await _watch(hub, titles)
            unexplained = [task for task in ends if task.status is not State.COMPLETED and not _is_explained(task)]
    return 1 if unexplained else 0


def _is_explained(task: Task) -> bool:
    """Whether it ended as it had to: a server fetches nothing from this machine unless it is told that it may."""
    if task.error is None or task.error.type != "private_address":
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


async def _work_outside(hub: AsyncClient, task_id: str) -> None:
    for done in range(1, 21):
        await asyncio.sleep(0.2)
        await hub.report(task_id, {"current": done, "stage": "folding", "message": f"letter {done} of 20"})
    await hub.report(task_id, {"status": "done", "result": {"letters": 20}})


async def _watch(hub: AsyncClient, titles: dict[str, str]) -> list[Task]:
    """Print each task's progress as it comes; returns how they ended."""
    ends = []
    async for task in hub.watch(*titles):
        print(_line(titles[task.id], task), flush=True)
        if task.final:
            ends.append(task)
    return ends


def _line(title: str, task: Task) -> str:
    percent = task.percent
    filled = int(percent or 0) * WIDTH // 100
    figure = "  ? " if percent is None else f"{percent:3.0f}%"
    told = words.doing(task) or words.state(task)
    return f"{figure} [{'█' * filled:<{WIDTH}}] {title:<36} {told[:80]}".rstrip()


@contextlib.asynccontextmanager
async def _server(data: Path, scratch: Path, film: str) -> AsyncIterator[AsyncClient]:
    """A client of the server that runs already, or of one of our own that may fetch the film."""
    if await _answers(data):
        async with AsyncClient(data=data) as hub:
            yield hub
        return
    own = scratch / "data"
    print("no server is running; one is started for the demo (progresshub serve starts one to stay)", file=sys.stderr)
    async with _started(own, film), AsyncClient(data=own) as hub:
        yield hub


async def _answers(data: Path) -> bool:
    try:
        async with AsyncClient(data=data) as hub:
            await hub.health()
    except ClientError:
        return False
    return True


@contextlib.asynccontextmanager
async def _started(data: Path, film: str) -> AsyncIterator[None]:
    command = [sys.executable, "-m", "progresshub", "serve", "--port", "0", "--data-dir", str(data)]
    allowed = f'downloads.allow_hosts=["{urlsplit(film).netloc}"]'
    process = await asyncio.create_subprocess_exec(*command, "--set", allowed, stdout=asyncio.subprocess.PIPE)
    try:
        async with asyncio.timeout(START_S):
            line = await process.stdout.readline() if process.stdout else b""
        if not line:
            raise StartupError(reason="the demo's own server ended at once")
        yield
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
