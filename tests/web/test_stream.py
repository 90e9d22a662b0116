"""One stream for all tabs of a browser, which outlives its tab, its server, and a break between them."""

from __future__ import annotations

import socket

import pytest
from playwright.async_api import BrowserContext, Page, expect

from tests.serving import Client, process, serving
from tests.web.wire import wire

pytestmark = pytest.mark.asyncio(loop_scope="module")

FEED = "**/-/feed*"
OLD_BROWSER = "delete Navigator.prototype.locks;"


def figure(tab: Page):
    return tab.locator("li.row .figure")


async def outside(server: Client, title: str) -> str:
    return await server.submit("external", {"title": title})


def feeds_of(context: BrowserContext) -> list[str]:
    """The feeds that are opened from now on, by their addresses."""
    opened: list[str] = []
    context.on("request", lambda request: opened.append(request.url) if "/-/feed" in request.url else None)
    return opened


async def watchers(server: Client) -> int:
    async with server.session.get(f"{server.url}/metrics") as response:
        text = await response.text()
    return next(int(float(line.split()[1])) for line in text.splitlines() if line.startswith("progresshub_watchers "))


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


async def test_seven_tabs_share_one_stream_and_the_next_takes_over(tmp_path, visitor):
    async with serving(tmp_path) as server:
        feeds = feeds_of(visitor.context)
        task = await outside(server, "Shared")
        tabs = [await visitor.tab(f"{server.url}/") for _ in range(7)]
        await server.report(task, percent=20)
        for tab in tabs:
            await expect(figure(tab)).to_have_text("20 %")
            await expect(tab.locator("#link")).to_have_text("Live")
        assert (len(feeds), await watchers(server)) == (1, 1)

        await tabs[0].close()
        await server.report(task, percent=30)

        for tab in tabs[1:]:
            await expect(figure(tab)).to_have_text("30 %")
        assert (len(feeds), await watchers(server)) == (2, 1)
        assert "since=" in feeds[1]


async def test_a_restart_is_survived_without_a_reload(tmp_path, visitor):
    flag = f"port={free_port()}"
    async with serving(tmp_path, flag) as server:
        task = await outside(server, "Lasting")
        await server.report(task, percent=20)
        tab = await visitor.tab(f"{server.url}/")
        await expect(figure(tab)).to_have_text("20 %")
        await tab.evaluate("globalThis.same = true")
    await expect(tab.locator("#link")).to_have_text("Offline, trying again")

    async with serving(tmp_path, flag) as server:
        await expect(tab.locator("#link")).to_have_text("Live")
        await server.report(task, percent=40)

        await expect(figure(tab)).to_have_text("40 %")
        assert await tab.evaluate("same")


async def test_a_page_asked_for_while_the_server_is_away_comes_when_it_is_back(tmp_path, visitor):
    flag = f"port={free_port()}"
    async with serving(tmp_path, flag) as server:
        await server.report(await outside(server, "Lasting"), percent=20)
        tab = await visitor.tab(f"{server.url}/")
        await expect(figure(tab)).to_have_text("20 %")
    await expect(tab.locator("#link")).to_have_text("Offline, trying again")

    await tab.get_by_role("link", name="Lasting").click()
    await expect(tab.get_by_role("alert")).to_contain_text("when the server answers again")

    async with serving(tmp_path, flag):
        await expect(tab.locator(".task-head")).to_contain_text("Lasting")


async def test_a_server_that_dies_without_a_word_is_noticed(tmp_path, visitor):
    async with process(tmp_path / "data") as server:
        tab = await visitor.tab(f"{server.url}/")
        await expect(tab.locator("#link")).to_have_text("Live")

        server.kill()

        await expect(tab.locator("#link")).to_have_text("Offline, trying again")


async def test_what_happened_while_it_was_away_is_told(tmp_path, visitor):
    async with serving(tmp_path) as server, wire(server.url) as between:
        kept, gone = await outside(server, "Kept"), await outside(server, "Gone")
        await server.report(gone, status="done")
        feeds = feeds_of(visitor.context)
        tab = await visitor.tab()
        async with tab.expect_response("**/-/rows*"):
            await tab.goto(between.url)
        await expect(tab.locator("#link")).to_have_text("Live")
        await expect(tab.locator("li.row")).to_have_count(2)

        between.cut()
        await expect(tab.locator("#link")).to_have_text("Offline, trying again")
        await server.report(kept, status="done")
        await server.ask("DELETE", f"/api/v1/tasks/{gone}")
        await outside(server, "New")
        between.mend()

        await expect(tab.locator("li.row .title")).to_have_text(["New", "Kept"])
        await expect(tab.locator("li.row").nth(1)).to_contain_text("completed")
        assert "since=" in feeds[-1]


async def test_it_says_when_it_is_behind(tmp_path, visitor):
    async with serving(tmp_path) as server:
        task = await outside(server, "Late")
        tab = await visitor.tab(f"{server.url}/")
        await expect(tab.locator("#link")).to_have_text("Live")

        await tab.evaluate("const real = Date.now; Date.now = () => real() + 60_000")
        await server.report(task, percent=20)

        await expect(tab.locator("#link")).to_have_text("Behind")


async def test_a_browser_without_locks_streams_in_the_tab_that_is_looked_at(tmp_path, visitor):
    async with serving(tmp_path) as server:
        await visitor.context.add_init_script(OLD_BROWSER)
        task = await outside(server, "Old")
        tab = await visitor.tab(f"{server.url}/")
        await server.report(task, percent=20)
        await expect(figure(tab)).to_have_text("20 %")

        await tab.evaluate(
            "Object.defineProperty(document, 'hidden', { value: true });"
            "document.dispatchEvent(new Event('visibilitychange'))"
        )

        left = await watchers(server)
        while left:
            left = await watchers(server)
