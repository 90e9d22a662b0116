"""The frame around the dashboard's pages: the way in and out, the theme, and what it promises a browser."""

from __future__ import annotations

import re
from hashlib import sha256

import pytest
from playwright.async_api import expect

from tests.browser import inaccessible
from tests.serving import Client, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

LOOKER = sha256(b"look").hexdigest()


def closed(folder):
    """Settings under which nobody may look without a token."""
    path = folder / "closed.toml"
    path.write_text(f'[tokens.looker]\nsha256 = "{LOOKER}"\nscopes = ["read"]\n')
    return path


async def seen(server: Client, title: str = "Seen") -> str:
    return await server.submit("external", {"title": title})


async def test_a_token_lets_somebody_in_and_logging_out_ends_it(tmp_path, visitor):
    async with serving(tmp_path, file=closed(tmp_path)) as server:
        tab = await visitor.tab(f"{server.url}/?state=active")
        await expect(tab.get_by_role("heading", name="Log in")).to_be_visible()
        assert await inaccessible(tab) == []

        await tab.get_by_label("Token or code").fill("wrong")
        await tab.keyboard.press("Enter")
        await expect(tab.get_by_role("alert")).to_have_text(re.compile(r"\w"))
        await tab.get_by_label("Token or code").fill("look")
        await tab.keyboard.press("Enter")

        await expect(tab.locator("#link")).to_have_text("Live")
        await expect(tab.get_by_role("link", name="Active 0")).to_have_attribute("aria-current", "true")
        await expect(tab.get_by_role("link", name="New task")).to_be_hidden()
        await tab.get_by_role("button", name="Log out").click()
        await expect(tab.get_by_role("heading", name="Log in")).to_be_visible()
        await expect(tab.locator("#link")).to_have_text("Logged out")


async def test_all_tabs_are_let_in_and_out_together(tmp_path, visitor):
    async with serving(tmp_path, file=closed(tmp_path)) as server:
        tabs = [await visitor.tab(f"{server.url}/") for _ in range(2)]
        for tab in tabs:
            await expect(tab.get_by_role("heading", name="Log in")).to_be_visible()

        await tabs[1].get_by_label("Token or code").fill("look")
        await tabs[1].keyboard.press("Enter")
        for tab in tabs:
            await expect(tab.locator("#link")).to_have_text("Live")
            await expect(tab.locator(".summary")).to_be_visible()

        await tabs[1].get_by_role("button", name="Log out").click()
        for tab in tabs:
            await expect(tab.get_by_role("heading", name="Log in")).to_be_visible()


async def test_the_address_that_the_server_shows_logs_in_once(tmp_path, visitor, browser):
    async with serving(tmp_path, file=closed(tmp_path)) as server:
        tab = await visitor.tab(server.login_url)

        await expect(tab).to_have_url(f"{server.url}/")
        await expect(tab.locator("#link")).to_have_text("Live")
        await expect(tab.get_by_role("link", name="New task")).to_be_visible()


async def test_a_code_may_be_typed_or_pasted_with_its_address(tmp_path, visitor):
    async with serving(tmp_path, file=closed(tmp_path)) as server:
        tab = await visitor.tab(f"{server.url}/")

        await tab.get_by_label("Token or code").fill(server.login_url)
        await tab.get_by_role("button", name="Log in").click()

        await expect(tab.locator("#link")).to_have_text("Live")


async def test_it_works_below_a_path(tmp_path, visitor):
    async with serving(tmp_path, "server.base_path=/deep/hub") as server:
        await server.session.post(
            f"{server.url}/deep/hub/api/v1/tasks", json={"type": "external", "payload": {"title": "Deep"}}
        )
        tab = await visitor.tab(f"{server.url}/deep/hub/")

        await tab.get_by_role("link", name="Deep").click()
        await expect(tab).to_have_url(re.compile(r"/deep/hub/tasks/[\w-]+$"))
        await tab.reload()
        await expect(tab.locator("#link")).to_have_text("Live")
        await tab.get_by_role("link", name="progresshub").click()
        await expect(tab).to_have_url(f"{server.url}/deep/hub/")
        await expect(tab.get_by_role("heading", name="Tasks")).to_be_attached()


async def test_the_theme_is_chosen_and_kept(tmp_path, visitor):
    async with serving(tmp_path) as server:
        tab = await visitor.tab(f"{server.url}/")
        ground = "getComputedStyle(document.documentElement).backgroundColor"
        light = await tab.evaluate(ground)

        await tab.keyboard.press("t")
        await tab.keyboard.press("t")
        await expect(tab.get_by_role("button", name="Theme: dark")).to_be_visible()
        await tab.reload()
        await expect(tab.get_by_role("button", name="Theme: dark")).to_be_visible()

        assert await tab.evaluate(ground) != light


async def test_nothing_moves_for_those_who_want_it_still(tmp_path, visitor):
    async with serving(tmp_path) as server:
        await seen(server)
        tab = await visitor.tab(f"{server.url}/")
        await tab.emulate_media(reduced_motion="reduce")
        stripe = tab.locator(".unknown > .fill").first

        await expect(stripe).to_have_css("animation-name", "none")


@pytest.mark.parametrize("address", ["nowhere/at/all", "tasks/%E0%A4%A"])
async def test_an_address_that_means_nothing_says_so(tmp_path, visitor, address):
    async with serving(tmp_path) as server:
        tab = await visitor.tab(f"{server.url}/")
        await tab.evaluate(f"history.pushState(null, '', '{address}'); dispatchEvent(new Event('gone'))")

        await expect(tab.get_by_role("link", name="All tasks")).to_be_visible()


async def test_nothing_comes_from_anywhere_else(tmp_path, visitor):
    async with serving(tmp_path) as server:
        asked = []
        visitor.context.on("request", lambda request: asked.append(request.url))
        tab = await visitor.tab(f"{server.url}/")
        await expect(tab.locator("#link")).to_have_text("Live")

    assert {url.split("/", 3)[2] for url in asked if not url.startswith("data:")} == {server.url.split("/")[2]}
