"""Large uploads: `python -m bench.uploads [--megabytes N] [--runs N]`.

How long curl takes to hand in a file that is then on the disk, how long others wait meanwhile, and the
memory and processor time of it: our server, beside aiohttp's own `request.post()` with a copy and an fsync
after it, in one run.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import aiohttp
from aiohttp import web

from bench.spine import server, session, show

EXTERNAL = 'task={"type": "external", "payload": {}}'
PING_EVERY_S = 0.01


class Place(NamedTuple):
    url: str
    ping: str
    pid: int


async def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--megabytes", type=int, default=300)
    arguments.add_argument("--runs", type=int, default=5)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="progresshub-bench-") as folder:
        song = Path(folder, "song.wav")
        song.write_bytes(os.urandom(1_000_000) * given.megabytes)
        async with ours(Path(folder, "ours")) as one, plain(Path(folder, "plain")) as other, session() as client:
            places = {"ours": one, "aiohttp's request.post()": other}
            await compare(client, places, song, given.runs)
            for name, place in places.items():
                cpu_s = cpu_seconds(place.pid) / given.runs / given.megabytes * 1_000
                print(f"{name}: {cpu_s:.1f} s of processor for a GB, {peak_mb(place.pid):.0f} MB of memory at most")


async def compare(client: aiohttp.ClientSession, places: dict[str, Place], song: Path, runs: int) -> None:
    took: dict[str, list[float]] = {name: [] for name in places}
    waits: dict[str, list[float]] = {name: [] for name in places}
    for _ in range(runs):
        for name, place in places.items():
            pinging = asyncio.create_task(ping(client, place.ping, waits[name]))
            took[name].append(await hand_in(place.url, song))
            pinging.cancel()
    for name, seconds in took.items():
        show(f"upload of {song.stat().st_size / 1e6:.0f} MB, {name}", seconds)
        show("  a request of somebody else meanwhile", waits[name])
        print(f"  the slowest of a hundred of those: {1000 * sorted(waits[name])[int(0.99 * len(waits[name]))]:.1f} ms")


async def hand_in(url: str, song: Path) -> float:
    begun_s = time.perf_counter()
    command = ("curl", "-sf", url, "-F", EXTERNAL, "-F", f"file=@{song}")
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)
    assert await process.wait() == 0
    return time.perf_counter() - begun_s


async def ping(client: aiohttp.ClientSession, url: str, waits: list[float]) -> None:
    while True:
        begun_s = time.perf_counter()
        async with client.get(url) as response:
            await response.read()
        waits.append(time.perf_counter() - begun_s)
        await asyncio.sleep(PING_EVERY_S)


@contextlib.asynccontextmanager
async def ours(data: Path) -> AsyncIterator[Place]:
    async with server(data, "warm.ahead=false") as url:
        (pid,) = re.findall(r'"pid": (\d+)', (data / "server.json").read_text())
        yield Place(f"{url}/api/v1/tasks", f"{url}/live", int(pid))


@contextlib.asynccontextmanager
async def plain(data: Path) -> AsyncIterator[Place]:
    """The shortest server that does the same, in a process of its own."""
    data.mkdir()
    program = f"import asyncio; from bench.uploads import serve; asyncio.run(serve({str(data)!r}))"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        url = (await process.stdout.readline()).decode().strip()
        yield Place(f"{url}/upload", f"{url}/live", process.pid)
    finally:
        process.kill()
        await process.wait()


async def serve(data: str) -> None:
    async def upload(request: web.Request) -> web.Response:
        form = await request.post()
        part = form["file"]
        assert isinstance(part, web.FileField)
        await asyncio.to_thread(keep, part, Path(data, part.filename))
        return web.Response()

    async def live(request: web.Request) -> web.Response:
        return web.Response()

    app = web.Application(client_max_size=1 << 40)
    app.router.add_post("/upload", upload)
    app.router.add_get("/live", live)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.Event().wait()


def keep(part: web.FileField, path: Path) -> None:
    with path.open("wb") as file:
        shutil.copyfileobj(part.file, file)
        file.flush()
        os.fsync(file.fileno())


def cpu_seconds(pid: int) -> float:
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def peak_mb(pid: int) -> float:
    (kilobytes,) = re.findall(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(kilobytes) / 1024


if __name__ == "__main__":
    asyncio.run(main())
