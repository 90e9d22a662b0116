"""`progresshub.js` on a page of another origin, in a real browser."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Page, expect

from progresshub.edge import tokenfile
from tests.serving import serving
from tests.web.elsewhere import another_site

pytestmark = pytest.mark.asyncio(loop_scope="module")

WATCH = """
import {{ watch }} from "{hub}/progresshub.js";
window.heard = [];
window.watching = watch("{task}", (status) => window.heard.push(status), {given});
"""


async def heard(tab: Page, condition: str) -> Any:
    """The first status that was heard and fits, when there is one."""
    found = await tab.wait_for_function(f"() => window.heard?.find((status) => {condition})")
    return await found.json_value()


async def test_an_element_shows_a_task_to_its_end(tmp_path, visitor):
    async with another_site() as elsewhere, serving(tmp_path, elsewhere.allowed) as server:
        task = await server.submit("external", {"title": "Pack <b>boxes</b>"})
        element = f'<script type="module" src="{server.url}/progresshub.js"></script><progress-hub task="{task}">'
        elsewhere.show(server.url, element)
        tab = await visitor.tab(elsewhere.origin)
        bar = tab.get_by_role("progressbar", name="Pack <b>boxes</b>")

        await expect(bar).to_have_attribute("aria-valuetext", "Running")
        await expect(bar).not_to_have_attribute("aria-valuenow", "0")
        await server.report(task, percent=42)
        await expect(bar).to_have_attribute("aria-valuenow", "42")
        await server.report(task, status="done")

        await expect(bar).to_have_attribute("aria-valuetext", "Done")


async def test_watching_goes_on_after_the_server_was_away(tmp_path, visitor):
    async with another_site() as elsewhere:
        allowed = elsewhere.allowed
        async with serving(tmp_path, allowed) as server:
            port = urlsplit(server.url).port
            task = await server.submit("external", {"title": "Boxes"})
            elsewhere.show(server.url, "", WATCH.format(hub=server.url, task=task, given="{}"))
            tab = await visitor.tab(elsewhere.origin)
            await server.report(task, percent=10)
            await heard(tab, "status.percent === 10")
        away = await heard(tab, "!status.connected")
        async with serving(tmp_path, allowed, f"port={port}") as server:
            await server.report(task, percent=60)
            await heard(tab, "status.percent === 60 && status.connected")
            await server.report(task, status="done", result={"boxes": 3})

            last = await tab.evaluate("() => window.watching.done")

    assert away["percent"] == 10
    assert (last["state"], last["percent"], last["result"]) == ("completed", 100, {"boxes": 3})


async def test_a_seventh_is_not_kept_waiting_by_six_others(tmp_path, visitor):
    async with another_site() as elsewhere, serving(tmp_path, elsewhere.allowed) as server:
        tasks = [await server.submit("external", {"title": f"Box {n}"}) for n in range(9)]
        elements = "".join(f'<progress-hub task="{task}"></progress-hub>' for task in tasks)
        elsewhere.show(server.url, elements, f'import "{server.url}/progresshub.js";')
        tab = await visitor.tab(elsewhere.origin)
        await expect(tab.get_by_role("progressbar", name="Box 8")).to_have_attribute("aria-valuetext", "Running")

        for task in tasks:
            await server.report(task, percent=50)

        for n in range(9):
            await expect(tab.get_by_role("progressbar", name=f"Box {n}")).to_have_attribute("aria-valuenow", "50")


async def test_a_shares_ticket_is_enough_and_nothing_is_not(tmp_path, visitor):
    token = tokenfile.create(tmp_path, "me", ["submit"])
    async with (
        another_site() as elsewhere,
        serving(tmp_path, elsewhere.allowed, token=token) as server,
    ):
        task = await server.submit("external", {"title": "Boxes"})
        link = await server.post(f"/api/v1/tasks/{task}/share", {}, 201)

        elsewhere.show(server.url, "", WATCH.format(hub=server.url, task=task, given=f'{{ token: "{link["share"]}" }}'))
        guest = await visitor.tab(elsewhere.origin)
        shown = await heard(guest, "true")
        elsewhere.show(server.url, "", WATCH.format(hub=server.url, task=task, given="{}"))
        stranger = await visitor.tab(elsewhere.origin)
        refused = await stranger.evaluate("() => window.watching.done")

    assert (shown["title"], shown["state"], shown["percent"]) == ("Boxes", "running", None)
    assert (refused["state"], refused["error"]) == ("refused", "A valid token is needed.")


async def test_who_stops_watching_hears_no_more(tmp_path, visitor):
    async with another_site() as elsewhere, serving(tmp_path, elsewhere.allowed) as server:
        task = await server.submit("external")
        elsewhere.show(server.url, "", WATCH.format(hub=server.url, task=task, given="{}"))
        tab = await visitor.tab(elsewhere.origin)
        await heard(tab, "true")

        await tab.evaluate("() => window.watching.close()")
        await server.report(task, percent=50)
        before = await tab.evaluate("() => window.heard.length")
        await tab.evaluate(
            f"async () => {{ const {{ watch }} = await import('{server.url}/progresshub.js');"
            f" await new Promise((told) => watch('{task}', told)); }}"
        )

        assert await tab.evaluate("() => window.heard.length") == before == 1
