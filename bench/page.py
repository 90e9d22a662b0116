"""The dashboard in Chromium: `python -m bench.page [--tasks N] [--moving N] [--rate N] [--seconds N]`.

What it weighs, how long the first bar takes, and what the page costs while tasks move: the share of one
core that its thread is busy, and the frames it paints. The list holds that many tasks, of which some move.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
from playwright.async_api import CDPSession, Page, expect

from bench.spine import server, session, show
from progresshub.web.assets import assets
from tests.browser import launched, visiting

FIRST_BAR = """() => new Promise((found) => {
    const look = () => document.querySelector("li.row .bar") ? found(performance.now()) : requestAnimationFrame(look);
    look();
})"""
COUNT_FRAMES = """() => {
    globalThis.gaps = [];
    let last = performance.now();
    const step = (now) => { gaps.push(now - last); last = now; requestAnimationFrame(step); };
    requestAnimationFrame(step);
}"""
FETCHED = """() => performance.getEntriesByType("resource").filter((one) => one.name.includes("/-/web/"))
    .map((one) => one.encodedBodySize)"""
BUSY = ("TaskDuration", "ScriptDuration", "LayoutDuration", "RecalcStyleDuration")
SETTLED_MS = 2_000
BATCH = 10_000
"""As many tasks as the server takes at once."""


class Load(NamedTuple):
    """Reports on tasks in turn, so many a second."""

    client: aiohttp.ClientSession
    url: str
    tasks: list[str]
    rate: int
    seconds: float

    async def run(self) -> float:
        """Returns the rate that was reached."""
        begun_s, sent = time.perf_counter(), 0
        while (spent_s := time.perf_counter() - begun_s) < self.seconds:
            due = int(spent_s * self.rate)
            await asyncio.gather(*map(self._report, range(sent, due)))
            sent = due
            await asyncio.sleep(0.01)
        return sent / self.seconds

    async def _report(self, step: int) -> None:
        body = {"current": 1e5 * step, "stage": "downloading", "message": f"piece {step}"}
        address = f"{self.url}/api/v1/tasks/{self.tasks[step % len(self.tasks)]}/progress"
        async with self.client.post(address, json=body) as response:
            await response.read()


async def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--tasks", type=int, default=10_000)
    arguments.add_argument("--moving", type=int, default=20)
    arguments.add_argument("--rate", type=int, default=200)
    arguments.add_argument("--seconds", type=float, default=10)
    arguments.add_argument("--runs", type=int, default=5)
    given = arguments.parse_args()
    weigh()
    with tempfile.TemporaryDirectory(prefix="progresshub-bench-") as folder:
        paused = "queues.default.paused=true"
        async with server(Path(folder), paused) as url, session() as client, launched() as browser:
            moving = await fill(client, url, given.tasks, given.moving)
            times_s = []
            for _ in range(given.runs):
                async with visiting(browser) as visitor:
                    tab = await visitor.tab(url)
                    times_s.append(await tab.evaluate(FIRST_BAR) / 1000)
                    fetched = await tab.evaluate(FETCHED)
            print(f"the list begins with {sum(fetched) / 1000:.1f} kB in {len(fetched)} files")
            show("navigation -> first bar", times_s)
            async with visiting(browser) as visitor:
                await watch(await visitor.tab(url), Load(client, url, moving, given.rate, given.seconds))


def weigh() -> None:
    whole = assets().values()
    plain, sent = sum(len(asset.data) for asset in whole), sum(len(asset.compressed or asset.data) for asset in whole)
    print(f"weight: {plain / 1000:.1f} kB in {len(whole)} files, {sent / 1000:.1f} kB as they are sent")


async def fill(client: aiohttp.ClientSession, url: str, tasks: int, moving: int) -> list[str]:
    """So many tasks, of which some are at work; returns the ids of those."""
    resting = [{"type": "demo", "payload": {"message": f"Task {n}"}} for n in range(tasks - moving)]
    payloads = ({"title": f"Moving {n}", "total": 1e9, "unit": "bytes"} for n in range(moving))
    working = [{"type": "external", "payload": payload} for payload in payloads]
    ids = []
    for batch in (*batched(resting, BATCH), working):
        async with client.post(f"{url}/api/v1/tasks/batch", json={"tasks": batch}) as response:
            assert response.status == 201, await response.text()
            ids = [task["task_id"] for task in (await response.json())["tasks"]]
    return ids


def batched(tasks: list[dict[str, Any]], size: int) -> Iterator[list[dict[str, Any]]]:
    return (tasks[begin : begin + size] for begin in range(0, len(tasks), size))


async def watch(tab: Page, load: Load) -> None:
    await expect(tab.locator("#link")).to_have_text("Live")
    await tab.wait_for_timeout(SETTLED_MS)
    developer = await tab.context.new_cdp_session(tab)
    await developer.send("Performance.enable")
    await tell("before anything moves", developer, asyncio.sleep(load.seconds))
    await tell(f"at {load.rate} updates/s", developer, load.run())
    await tell_frames(tab, load.run())


async def tell(name: str, developer: CDPSession, meanwhile: Awaitable[float | None]) -> None:
    before, begun_s = await metrics(developer), time.perf_counter()
    sent = await meanwhile
    after, spent_s = await metrics(developer), time.perf_counter() - begun_s
    shares = (f"{key.removesuffix('Duration')} {100 * (after[key] - before[key]) / spent_s:.1f} %" for key in BUSY)
    print(f"{name}: {', '.join(shares)} of a core; {sent or 0:.0f} sent/s")


async def tell_frames(tab: Page, meanwhile: Awaitable[float]) -> None:
    """Apart from the rest, for counting frames makes some."""
    await tab.evaluate(COUNT_FRAMES)
    await meanwhile
    gaps_ms = await tab.evaluate("gaps")
    p99_ms = statistics.quantiles(gaps_ms, n=100)[98]
    middle_ms, longest_ms = statistics.median(gaps_ms), max(gaps_ms)
    print(f"between frames meanwhile: median {middle_ms:.0f} ms, p99 {p99_ms:.0f} ms, longest {longest_ms:.0f} ms")


async def metrics(developer: CDPSession) -> dict[str, float]:
    return {one["name"]: one["value"] for one in (await developer.send("Performance.getMetrics"))["metrics"]}


if __name__ == "__main__":
    asyncio.run(main())
