"""Start: from the accepted download to its first bytes on a stream, and what a server costs that does nothing.

Beside ours with its warm pool: ours with a fresh interpreter for each job, and yt-dlp on the command
line, whose first bytes are those in its file.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

from bench.contest import OURS, Figures, Measure, Table, Unit, contest, median
from bench.effort import Effort
from bench.hub import hub
from bench.machine import cpu_s, resident_bytes
from bench.spine import first_report, media

FIRST = {"first_ms": Unit(about="first bytes after, ms", better="less")}
IDLE = {
    "resident_mb": Unit(about="MB resident", better="less"),
    "cpu_percent": Unit(about="% of a core", better="less", digits=2),
}
IDLE_S = 10


async def run(effort: Effort) -> list[Table]:
    first = Table(name="start", about="A download: accepted → first bytes", units=FIRST)
    idle = Table(name="idle", about="A server that does nothing, without warm workers", units=IDLE)
    rounds = max(1, effort.rounds - 2)
    async with media() as film:
        measures: dict[str, Measure] = {
            OURS: lambda: _download(film, effort),
            "a fresh interpreter for each": lambda: _download(film, effort, "warm.enabled=false"),
            "yt-dlp on the command line": lambda: _by_hand(film, effort),
        }
        await contest(first, measures, rounds, effort.tell)
    return [first, await contest(idle, {OURS: _idle}, 1, effort.tell)]


async def _download(film: str, effort: Effort, *settings: str) -> Figures:
    allowed = f'downloads.allow_hosts=["{urlsplit(film).netloc}"]'
    asked = {"type": "download", "payload": {"url": film, "format": "best"}}
    async with hub(allowed, *settings, warm=("download",)) as server:
        await asyncio.sleep(3)
        runs = effort.many(10, least=3)
        took = [await first_report(server.client, server.url, asked, stage="downloading") for _ in range(runs + 1)]
        return {"first_ms": 1000 * median(took[1:])}


async def _by_hand(film: str, effort: Effort) -> Figures:
    took = []
    for _ in range(effort.many(5, least=3)):
        with tempfile.TemporaryDirectory() as folder:
            took.append(await _first_bytes_s(film, folder))
    return {"first_ms": 1000 * median(took)}


async def _first_bytes_s(film: str, folder: str) -> float:
    words = ("-m", "yt_dlp", "--quiet", "--ignore-config", "--no-cache-dir", "--output", f"{folder}/film.mp4", film)
    begun_s = time.perf_counter()
    process = await asyncio.create_subprocess_exec(sys.executable, *words)
    while not any(file.stat().st_size for file in Path(folder).iterdir()) and process.returncode is None:
        await asyncio.sleep(0.002)  # a file system tells nobody
    took_s = time.perf_counter() - begun_s
    await process.wait()
    return took_s


async def _idle() -> Figures:
    async with hub() as server:
        await asyncio.sleep(2)
        before_s = cpu_s(server.pid)
        await asyncio.sleep(IDLE_S)
        used_s = cpu_s(server.pid) - before_s
        return {"resident_mb": resident_bytes(server.pid) / 1e6, "cpu_percent": 100 * used_s / IDLE_S}
