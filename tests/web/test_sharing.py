"""A shared task in a stranger's browser: all of that task, nothing else, and nothing to press."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Page, expect

from progresshub.edge import tokenfile
from tests.browser import Visitor, inaccessible, visiting
from tests.serving import Client, command_file, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def logged_in(visitor: Visitor, server: Client, token: str, path: str) -> Page:
    tab: Page = await visitor.tab(server.url + path)
    await tab.get_by_label("Token or code").fill(token)
    await tab.get_by_role("button", name="Log in").click()
    return tab


async def test_a_link_shows_one_task_to_a_stranger(tmp_path, browser, visitor):
    token = tokenfile.create(tmp_path, "me", ["submit"])
    async with serving(tmp_path, token=token) as server, visiting(browser) as stranger:
        task, other = await server.submit("external", {"title": "Boxes"}), await server.submit("external")
        tab = await logged_in(visitor, server, token, f"/tasks/{task}")
        await tab.get_by_role("button", name="Share").click()
        await tab.get_by_role("button", name="Make a link").click()
        link = tab.get_by_label("Link", exact=True)
        await expect(link).to_have_value(re.compile(f"{server.url}/-/shared/{task}/phs_"))
        guest = await stranger.tab(await link.input_value())

        await expect(guest.locator("h1")).to_have_text("Boxes")
        await server.report(task, percent=42)
        await expect(guest.locator(".task-head .percent")).to_have_text("42 %")
        await expect(guest.locator(".tags")).to_contain_text("shared, for reading only")
        assert await guest.locator(".actions > :visible").count() == 0
        await server.report(task, status="done", result={"boxes": 3})
        await expect(guest.locator(".task-head .state")).to_have_text("Completed")
        await expect(guest.locator(".result .json")).to_contain_text('"boxes": 3')

        for path in ("/", f"/tasks/{other}", "/new"):
            await guest.goto(server.url + path)
            await expect(guest.get_by_label("Token or code")).to_be_visible()


async def test_a_link_that_has_ended_says_so(tmp_path, visitor):
    token = tokenfile.create(tmp_path, "me", ["submit"])
    async with serving(tmp_path, token=token) as server:
        task = await server.submit("external")

        tab = await visitor.tab(f"{server.url}/-/shared/{task}/phs_1_ended")

        await expect(tab.locator("main")).to_contain_text("This link has ended.")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_a_tasks_page_is_for_everybody(tmp_path, browser, scheme):
    file = command_file(tmp_path, it=r"print('\x1b[31mred \x1b[32mgreen \x1b[33mamber \x1b[34mblue \x1b[90mgrey')")
    async with serving(tmp_path / "data", file=file) as server, visiting(browser, color_scheme=scheme) as visitor:
        printed = await server.submit("command", {"name": "it"})
        steps = [{"name": name, "type": "demo", "payload": {"count": 1, "delay_ms": 10}} for name in ("one", "two")]
        pipeline = await server.submit("pipeline", {"steps": steps})
        failed = await server.submit("external", {"title": "Boxes"})
        await server.report(failed, percent=50, status="failed", error="They were wet")
        for task in (printed, pipeline):
            await server.ended(task)

        for task in (printed, pipeline, failed):
            tab = await visitor.tab(f"{server.url}/tasks/{task}")
            await expect(tab.locator(".events li").first).to_be_visible()
            await expect(tab.locator(".task-head .state")).not_to_be_empty()

            assert await inaccessible(tab) == []


async def test_a_badge_in_a_page_shows_the_bar_as_it_moves(tmp_path, visitor):
    async with serving(tmp_path) as server:
        task = await server.submit("external", {"title": "Boxes"})
        await server.report(task, percent=10)
        tab = await visitor.tab(f"{server.url}/api/v1/tasks/{task}/badge.svg")
        await expect(tab.locator("svg").first).to_have_attribute("aria-label", "Boxes: 10 %")

        await server.report(task, percent=60)

        await expect(tab.locator("svg").first).to_have_attribute("aria-label", "Boxes: 60 %")


FILLED_PX = """async (address) => {
    const picture = globalThis.picture ??= document.body.appendChild(new Image());
    if (!picture.src) picture.src = address;
    await picture.decode().catch(() => {});
    const canvas = new OffscreenCanvas(picture.naturalWidth || 1, 26).getContext("2d");
    canvas.drawImage(picture, 0, 0);
    const { data } = canvas.getImageData(0, 13, canvas.canvas.width, 1);
    let filled = 0;
    for (let at = 0; at < data.length; at += 4) filled += data[at] < 200 && data[at + 2] > 200;
    return filled;
}"""


async def test_a_live_badge_moves_where_it_stands(tmp_path, visitor):
    async with serving(tmp_path) as server:
        task = await server.submit("external", {"title": "Boxes"})
        await server.report(task, percent=10)
        tab = await visitor.tab(f"{server.url}/")
        address = f"{server.url}/api/v1/tasks/{task}/badge.svg?live=true"
        await tab.wait_for_function(
            f"async () => {{ const px = await ({FILLED_PX})('{address}'); return px > 5 && px < 20; }}"
        )

        await server.report(task, percent=90)

        await tab.wait_for_function(f"async () => await ({FILLED_PX})('{address}') > 70")
