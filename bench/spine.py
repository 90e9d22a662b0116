"""The figures of the server itself: `python -m bench.spine [--tasks N] [--runs N]`.

From accepted to the first report on an open stream, for a registered function and for a download;
and start-up, list pages and memory with N finished tasks in the store beside a server with none.
Everything runs on the loopback of this machine; medians are printed with the spread.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import orjson
from aiohttp import web

from progresshub.model import Event, EventId, EventType, Progress, Spec, State, Task
from progresshub.storage.persistence import Batch, Change
from progresshub.storage.sqlite import SqliteStore

FUNCTION = """
from progresshub import Context, task

@task
def touch(ctx: Context) -> None:
    ctx.progress(50, message="touched")
"""
PIECE = 5_000
MONTH_MS = 30 * 86_400_000
PAGES = {
    "first page": {},
    "of one queue and state": {"queue": "low", "state": "archived"},
    "of one type": {"type": "command"},
    "by a common word": {"q": "film"},
    "by a rare word": {"q": "number77777"},
    "by a word nobody has": {"q": "zebra"},
}


async def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--tasks", type=int, default=1_000_000)
    arguments.add_argument("--runs", type=int, default=30)
    arguments.add_argument("--store", type=Path, help="keep the filled store here, for the next run")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="progresshub-bench-") as scratch:
        await first_reports(Path(scratch), given.runs)
        await history(Path(scratch), given.store or Path(scratch, "filled"), given.tasks)


async def first_reports(scratch: Path, runs: int) -> None:
    (scratch / "chores.py").write_text(FUNCTION)
    flags = [f'python.path=["{scratch}"]', 'python.modules=["chores"]']
    async with media() as film, session() as client:
        allowed = f'downloads.allow_hosts=["{urlsplit(film).netloc}"]'
        async with server(scratch / "data", *flags, allowed) as url:
            await show_first_reports(client, url, film, runs)


async def show_first_reports(client: aiohttp.ClientSession, url: str, film: str, runs: int) -> None:
    await asyncio.sleep(3)  # the warm pools start behind the server
    functions = [await first_report(client, url, {"type": "touch", "payload": {}}) for _ in range(runs)]
    asked = {"type": "download", "payload": {"url": film, "format": "best"}}
    downloads = [await first_report(client, url, asked, stage="downloading") for _ in range(runs)]
    show("accepted -> first report, registered function", functions[1:])
    show("accepted -> first bytes reported, download", downloads[1:])


async def first_report(client: aiohttp.ClientSession, url: str, task: dict[str, Any], stage: str = "") -> float:
    """Seconds from the 201 to the first progress (of that stage) on a stream that was open before."""
    async with client.get(f"{url}/api/v1/events/stream") as stream:
        await stream.content.readuntil(b"\n\n")
        async with client.post(f"{url}/api/v1/tasks", json=task) as response:
            task_id = (await response.json())["task_id"]
            accepted_s = time.perf_counter()
        seen_s = 0.0
        while True:
            line = await stream.content.readline()
            if not line.startswith(b"data: "):
                continue
            event = orjson.loads(line[6:])
            if event["task"]["id"] != task_id:
                continue
            progress = event["task"].get("progress")
            if not seen_s and progress and (not stage or progress["stage"] == stage):
                seen_s = time.perf_counter()
            if event["task"]["state"] in ("completed", "archived"):
                return (seen_s or time.perf_counter()) - accepted_s


async def history(scratch: Path, filled: Path, tasks: int) -> None:
    await fill(filled / "progresshub.db", tasks)
    for name, data in (("no task", scratch / "empty"), (f"{tasks:,} finished tasks", filled)):
        started_s = time.perf_counter()
        async with server(data, "warm.ahead=false") as url, session() as client:
            print(f"{name}: ready after {time.perf_counter() - started_s:.2f} s")
            pid = orjson.loads(Path(data, "server.json").read_bytes())["pid"]
            print(f"{name}: {resident_mb(pid):.0f} MB resident")
            for title, query in PAGES.items():
                await show_timed(f"{name}: page {title}", lambda query=query: ask(client, url, query))
            print(f"{name}: {resident_mb(pid):.0f} MB resident after that")


async def ask(client: aiohttp.ClientSession, url: str, query: dict[str, str]) -> None:
    async with client.get(f"{url}/api/v1/tasks", params=query) as response:
        response.raise_for_status()
        await response.read()


async def show_timed(title: str, act: Callable[[], Awaitable[None]]) -> None:
    took = []
    for _ in range(20):
        begun_s = time.perf_counter()
        await act()
        took.append(time.perf_counter() - begun_s)
    show(title, took)


def show(title: str, seconds: list[float]) -> None:
    ms = sorted(1000 * second for second in seconds)
    print(f"{title}: median {statistics.median(ms):.1f} ms ({ms[0]:.1f} to {ms[-1]:.1f}, n={len(ms)})")


def resident_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


async def fill(path: Path, tasks: int) -> None:
    """Make a store with that many tasks, finished over a month, unless it is there from an earlier run."""
    if path.exists():
        return
    print(f"filling a store with {tasks:,} tasks, which takes a while", file=sys.stderr)
    path.parent.mkdir(parents=True, exist_ok=True)
    store = SqliteStore(path)
    now_ms = int(time.time() * 1000)
    await store.open(now_ms)
    for base in range(0, tasks, PIECE):
        batch = Batch()
        for seq in range(base + 1, min(tasks, base + PIECE) + 1):
            task = finished(seq, now_ms - MONTH_MS + seq * MONTH_MS // tasks)
            batch.changes[task.id] = Change(None, task, now_ms + 10**9)
            kinds = (EventType.SUBMITTED, EventType.STARTED, EventType.PROGRESSED, EventType(task.state.value))
            batch.events += [Event(EventId(task.changed.ms, n), kind, task) for n, kind in enumerate(kinds)]
        await store.commit(batch)
    while await store.index(PIECE):
        pass
    await store.close(now_ms)


def finished(seq: int, ms: int) -> Task:
    state = random.choice((*[State.COMPLETED] * 8, State.FAILED, State.CANCELLED))
    last = EventId(ms, 3)
    spec = Spec(
        id=str(uuid.uuid4()),
        seq=seq,
        kind=random.choice(("demo", "download", "command")),
        payload={"url": f"http://films.example/{seq % 1000}/number{seq}.mp4"},
        origin="queues",
        created_ms=ms,
        title=f"A film, take {seq % 777}",
        queue=random.choice(("default", "low", "high")),
    )
    done = Progress(percent=100.0, stage="downloading", message="Done", at_ms=ms)
    return Task(
        spec=spec, state=state, changed=last, entry=last, progress=done, attempt=1, started_ms=ms, finished_ms=ms
    )


@contextlib.asynccontextmanager
async def server(data: Path, *flags: str) -> AsyncIterator[str]:
    settings = [word for flag in flags for word in ("--set", flag)]
    command = [sys.executable, "-m", "progresshub", "serve", "--port", "0", "--data-dir", str(data), *settings]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    assert process.stdout is not None
    try:
        line = (await process.stdout.readline()).decode()
        yield next(word for word in line.split() if word.startswith("http://"))
    finally:
        process.terminate()
        await process.wait()


@contextlib.asynccontextmanager
async def media() -> AsyncIterator[str]:
    content = random.randbytes(2_000_000)
    app = web.Application()
    app.router.add_get("/film.mp4", lambda request: answer(content))
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/film.mp4"
    finally:
        await runner.cleanup()


async def answer(content: bytes) -> web.Response:
    return web.Response(body=content, content_type="video/mp4")


def session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None))


if __name__ == "__main__":
    asyncio.run(main())
