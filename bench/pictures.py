"""The README's pictures: `python -m bench.pictures`. Real tasks, caught in the middle, into tests/pictures."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import aiohttp
from playwright.async_api import Browser

from bench.spine import server, session
from tests.browser import launched, visiting

PICTURES = Path(__file__).parent.parent / "tests" / "pictures"
SETTLED_MS = 6_000
WORKSHOP = """
import time
from progresshub import Context, task

@task
def resize(ctx: Context, photos: int = 4218):
    for n in range(1600, photos):
        time.sleep(0.012)
        ctx.progress(current=n, total=photos, unit="photos", stage="resizing", message=f"IMG_{n:05}.jpg")

@task
def film(ctx: Context, minutes: int = 2):
    ctx.steps({"fetch": 2, "find scenes": 2, "encode": 15, "thumbnails": 1})
    for step in ("fetch", "find scenes"):
        with ctx.step(step):
            ctx.log(f"{step}: 128 of 128")
            time.sleep(2)
    with ctx.step("encode"):
        for n in range(150 * minutes):
            ctx.progress(n / 1.5 / minutes, message=f"frame {n * 12}, 3.1x")
            if n % 5 == 0:
                ctx.log(f"frame={n * 12} fps=74 size={n * 93}kB speed=3.1x")
            time.sleep(0.1)

@task
def backup(ctx: Context):
    for n in range(100_000):
        ctx.progress(current=n * 7, unit="files", stage="copying", message=f"home/anna/notes/{n:04}.md")
        time.sleep(0.05)

@task
def narrate(ctx: Context):
    for n in range(6200, 10_000):
        ctx.progress(n / 100, stage="\\u0641\\u0635\\u0644 \\u0663")
        time.sleep(0.1)

@task
def quick(ctx: Context, fails: str = ""):
    time.sleep(0.7)
    if fails:
        ctx.fail(fails, retry=True)
"""
TASKS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("quick", "Nightly report", {"queue": "office"}),
    ("quick", "Invoices, October", {"queue": "office"}),
    ("quick", "Sync the shared calendar", {"payload": {"fails": "The server said 403"}, "max_retries": 0}),
    (
        "quick",
        "Mirror the wiki",
        {"payload": {"fails": "The connection was reset"}, "max_retries": 4, "queue": "office"},
    ),
    ("film", "Big Buck Bunny, 1080p", {"queue": "media"}),
    ("resize", "Summer in the mountains", {"queue": "media"}),
    ("narrate", "\u0623\u0644\u0641 \u0644\u064a\u0644\u0629 \u0648\u0644\u064a\u0644\u0629", {"queue": "media"}),
    ("backup", "Home directories", {}),
    ("external", "Archive to the other house", {}),
    ("quick", "Tomorrow's report", {"process_at": "2099-01-01T06:00:00Z", "queue": "office"}),
)


async def main() -> None:
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="progresshub-pictures-") as folder:
        (Path(folder) / "workshop.py").write_text(WORKSHOP)
        modules = ('python.modules=["workshop"]', f'python.path=["{folder}"]')
        pace = ("scheduler.slots=8", "scheduler.stalled_after_s=3", "scheduler.backoff_s=900")
        async with server(Path(folder) / "data", *modules, *pace) as url, session() as client, launched() as browser:
            ids = {title: await submit(client, url, kind, title, more) for kind, title, more in TASKS}
            await report(client, url, ids["Archive to the other house"])
            film = ids["Big Buck Bunny, 1080p"]
            await take(browser, url, "list", viewport={"width": 1080, "height": 860})
            await take(
                browser, f"{url}/tasks/{film}", "task", viewport={"width": 1080, "height": 860}, color_scheme="dark"
            )
            await take(browser, url, "phone", viewport={"width": 390, "height": 780}, color_scheme="dark")


async def submit(client: aiohttp.ClientSession, url: str, kind: str, title: str, more: dict[str, Any]) -> str:
    async with client.post(
        f"{url}/api/v1/tasks", json={"type": kind, "payload": {}, "title": title, **more}
    ) as response:
        assert response.status == 201, await response.text()
        return str((await response.json())["task_id"])


async def report(client: aiohttp.ClientSession, url: str, task: str) -> None:
    """The one that stalls: this is all that is ever heard of it."""
    body = {"percent": 38, "stage": "uploading", "message": "part 4 of 11"}
    async with client.post(f"{url}/api/v1/tasks/{task}/progress", json=body) as response:
        assert response.status == 200, await response.text()


async def take(browser: Browser, address: str, name: str, **options: Any) -> None:
    async with visiting(browser, **options) as visitor:
        tab = await visitor.tab(address)
        await tab.wait_for_timeout(SETTLED_MS)
        await tab.screenshot(path=PICTURES / f"{name}.png", animations="disabled")


if __name__ == "__main__":
    asyncio.run(main())
