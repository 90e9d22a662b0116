"""A real browser, and tabs in it that notice what went wrong on the page.

At the end of a visit no script may have failed, nothing may have broken the content security policy,
and the console may hold no error that the test did not expect.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from importlib.resources import files
from typing import Any

import pytest
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, async_playwright, expect

from tests.wait import PATIENCE_S

CHROMIUM = shutil.which("chromium")
ARGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
UNREACHED = "Failed to load resource"
"""What a browser says itself of a request that was refused or found no server: the page has its own words for that."""
expect.set_options(timeout=1000 * PATIENCE_S)

NOTE_VIOLATIONS = """
addEventListener("securitypolicyviolation", (event) =>
    console.error(`CSP: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
"""


@asynccontextmanager
async def launched(*args: str) -> AsyncIterator[Browser]:
    """A headless Chromium, ended with everything it has started."""
    if CHROMIUM is None:
        pytest.skip("CHROMIUM IS MISSING: nothing of the dashboard is tested in a browser. Install chromium.")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=[*ARGS, *args])
        try:
            yield browser
        finally:
            await browser.close()


class Visitor:
    """Somebody with a browser profile of their own, and any number of tabs."""

    def __init__(self, context: BrowserContext) -> None:
        self.context = context
        self.troubles: list[str] = []

    async def tab(self, url: str = "about:blank") -> Page:
        """A tab that has loaded this address."""
        page = await self.context.new_page()
        page.on("pageerror", lambda error: self.troubles.append(f"script: {error}"))
        page.on("console", self._hear)
        if url != "about:blank":
            await page.goto(url, wait_until="domcontentloaded")
        return page

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not message.text.startswith(UNREACHED):
            self.troubles.append(f"console: {message.text}")


@asynccontextmanager
async def visiting(browser: Browser, **options: Any) -> AsyncIterator[Visitor]:
    """A visitor whose pages must have had no trouble at the end; `options` are a browser context's."""
    context = await browser.new_context(**{"viewport": {"width": 1200, "height": 800}, **options})
    context.set_default_timeout(1000 * PATIENCE_S)
    await context.add_init_script(NOTE_VIOLATIONS)
    visitor = Visitor(context)
    try:
        yield visitor
    finally:
        await context.close()
    assert not visitor.troubles, visitor.troubles


@cache
def _axe() -> str:
    return (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")


async def inaccessible(tab: Page) -> list[str]:
    """What axe-core finds serious or worse, each with the elements it is about."""
    await tab.evaluate(_axe())
    found = await tab.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    return [
        f"{violation['id']}: {[node['html'] for node in violation['nodes']]}"
        for violation in found["violations"]
        if violation["impact"] in ("serious", "critical")
    ]
