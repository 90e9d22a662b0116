"""A large download: `python -m bench.downloads [--megabytes N] [--runs N]`.

From the POST to the first bytes on a stream, and to the finished file, through the server with its proxy and
without it, beside yt-dlp on the command line; all in turn in one run, over the loopback of this machine.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import orjson
from aiohttp import web

from bench.spine import server, session, show

YT_DLP = (sys.executable, "-m", "yt_dlp", "--quiet", "--ignore-config", "--no-cache-dir")


async def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--megabytes", type=int, default=100)
    arguments.add_argument("--runs", type=int, default=5)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="progresshub-bench-") as folder:
        scratch = Path(folder)
        film = scratch / "film.mp4"
        film.write_bytes(os.urandom(1_000_000) * given.megabytes)
        async with files(film) as url, session() as client:
            checked = f'downloads.allow_hosts=["{urlsplit(url).netloc}"]'
            async with (
                server(scratch / "checked", checked) as by_proxy,
                server(scratch / "direct", "downloads.allow_private=true") as directly,
            ):
                await asyncio.sleep(3)  # the warm pools start behind the server
                await compare(client, {"with the proxy": by_proxy, "without it": directly}, url, given.runs)


async def compare(client: aiohttp.ClientSession, servers: dict[str, str], film: str, runs: int) -> None:
    firsts: dict[str, list[float]] = {name: [] for name in servers}
    wholes: dict[str, list[float]] = {name: [] for name in (*servers, "yt-dlp on the command line")}
    for _ in range(runs):
        for name, url in servers.items():
            first_s, whole_s = await download(client, url, film)
            firsts[name].append(first_s)
            wholes[name].append(whole_s)
        wholes["yt-dlp on the command line"].append(await by_hand(film))
    for name, seconds in firsts.items():
        show(f"POST -> first bytes told, {name}", seconds)
    for name, seconds in wholes.items():
        show(f"POST -> whole file, {name}", seconds)


async def download(client: aiohttp.ClientSession, url: str, film: str) -> tuple[float, float]:
    """Seconds to the first bytes and to the end of one download."""
    async with client.get(f"{url}/api/v1/events/stream") as stream:
        await stream.content.readuntil(b"\n\n")
        begun_s = time.perf_counter()
        task = {"type": "download", "payload": {"url": film, "format": "best"}}
        async with client.post(f"{url}/api/v1/tasks", json=task) as response:
            task_id = (await response.json())["task_id"]
        first_s = 0.0
        async for line in stream.content:
            told = orjson.loads(line[6:])["task"] if line.startswith(b"data: ") else {}
            if told.get("id") != task_id:
                continue
            if not first_s and (told.get("progress") or {}).get("current"):
                first_s = time.perf_counter() - begun_s
            if told["state"] in ("completed", "archived"):
                break
        whole_s = time.perf_counter() - begun_s
    async with client.delete(f"{url}/api/v1/tasks/{task_id}") as response:
        await response.read()
    return first_s, whole_s


async def by_hand(film: str) -> float:
    with tempfile.TemporaryDirectory() as folder:
        begun_s = time.perf_counter()
        process = await asyncio.create_subprocess_exec(*YT_DLP, "--output", f"{folder}/film.mp4", film)
        await process.wait()
        return time.perf_counter() - begun_s


@asynccontextmanager
async def files(film: Path) -> AsyncIterator[str]:
    """The film by sendfile, in a process of its own so that nobody's loop serves it."""
    program = f"import asyncio; from bench.downloads import serve; asyncio.run(serve({str(film)!r}))"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        yield (await process.stdout.readline()).decode().strip()
    finally:
        process.kill()
        await process.wait()


async def serve(film: str) -> None:
    path = Path(film)

    async def send(request: web.Request) -> web.FileResponse:
        return web.FileResponse(path)

    app = web.Application()
    app.router.add_get(f"/{path.name}", send)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}/{path.name}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
