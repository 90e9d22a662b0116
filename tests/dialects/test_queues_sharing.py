"""Showing one task to others over the queues dialect: links, badges, the task's own events, and the types there are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from aiohttp import CookieJar

from progresshub.edge import tokenfile
from tests.serving import Client, client, command_file, serving
from tests.wait import PATIENCE_S


@pytest.fixture
async def owner(tmp_path: Path) -> AsyncIterator[Client]:
    """Somebody with a token, at a server that wants one."""
    data = tmp_path / "data"
    token = tokenfile.create(data, "me", ["submit"])
    async with serving(data, token=token) as speaker:
        yield speaker


async def shared(owner: Client, task_id: str, **wish: Any) -> Any:
    return await owner.post(f"/api/v1/tasks/{task_id}/share", wish, 201)


async def test_a_link_opens_the_page_of_its_task_in_a_browser(owner: Client) -> None:
    task_id = await owner.submit("external", {"title": "Boxes"})
    link = await shared(owner, task_id, lasts="1h")
    async with client(owner.url) as guest:
        guest.session._cookie_jar = CookieJar(unsafe=True)

        async with guest.session.get(owner.url + link["url"], allow_redirects=False) as answer:
            cookie = answer.headers["Set-Cookie"]
        status, seen = await guest.ask("GET", f"/api/v1/tasks/{task_id}")

    assert (answer.status, answer.headers["Location"]) == (303, f"/tasks/{task_id}?shared=true")
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert all(word in cookie for word in ("HttpOnly", "SameSite=Strict", f"Path=/api/v1/tasks/{task_id}"))
    assert (status, seen["title"]) == (200, "Boxes")


async def test_a_link_that_never_was_one_leads_nowhere(owner: Client) -> None:
    task_id = await owner.submit("external")
    path = f"{owner.url}/-/shared/{task_id}/phs_fffffffff_forged"
    async with client(owner.url) as guest:
        async with guest.session.get(path, allow_redirects=False) as program:
            said = await program.json()
        async with guest.session.get(path, headers={"Accept": "text/html"}, allow_redirects=False) as browser:
            cookie = browser.headers.get("Set-Cookie")

    assert (program.status, said["error"]) == (401, "UNAUTHORIZED")
    assert (browser.status, cookie) == (303, None)


@pytest.mark.parametrize("lasts", ["", "soon", "0s", "999ms", "721h", "-1h"])
async def test_a_link_lasts_as_long_as_the_settings_allow(owner: Client, lasts: str) -> None:
    task_id = await owner.submit("external")

    status, answer = await owner.ask("POST", f"/api/v1/tasks/{task_id}/share", json={"lasts": lasts})

    assert (status, answer["code"]) == (400, "INVALID_REQUEST")


async def test_where_the_settings_say_so_nothing_is_shared(tmp_path: Path) -> None:
    async with serving(tmp_path, "limits.share_s=0") as speaker:
        task_id = await speaker.submit("external")

        status, answer = await speaker.ask("POST", f"/api/v1/tasks/{task_id}/share", json={})

    assert (status, answer["code"]) == (403, "FORBIDDEN")


async def test_a_badge_shows_its_task_and_looks_again_until_it_has_ended(owner: Client) -> None:
    task_id = await owner.submit("external", {"title": "Boxes"})
    await owner.report(task_id, percent=40)
    link = await shared(owner, task_id)
    async with client(owner.url) as guest:
        async with guest.session.get(owner.url + link["badge_url"]) as moving:
            first = ET.fromstring(await moving.text())
        await owner.report(task_id, status="done")
        async with guest.session.get(owner.url + link["badge_url"]) as ended:
            last = ET.fromstring(await ended.text())

    assert moving.headers["Content-Type"].startswith("image/svg+xml")
    assert (moving.headers["Cache-Control"], moving.headers["Refresh"]) == ("no-cache", "2")
    assert first.attrib["aria-label"] == "Boxes: 40 %"
    assert last.attrib["aria-label"] == "Boxes: done"
    assert "Refresh" not in ended.headers


async def test_a_live_badge_is_one_picture_after_another(owner: Client) -> None:
    task_id = await owner.submit("external", {"title": "Boxes"})
    path = f"{owner.url}/api/v1/tasks/{task_id}/badge.svg"
    async with asyncio.timeout(PATIENCE_S), owner.session.get(path, params={"live": "true"}) as answer:
        first = await answer.content.readuntil(b"</svg>\n\r\n--progresshub\r\nContent-Type: image/svg+xml\r\n\r\n")
        await owner.report(task_id, status="done")
        last = await answer.content.read()

    assert answer.headers["Content-Type"] == "multipart/x-mixed-replace; boundary=progresshub"
    assert first.startswith(b"--progresshub\r\nContent-Type: image/svg+xml\r\n\r\n<svg")
    assert b"Boxes: done" in last
    assert last.endswith(b"</svg>\n\r\n--progresshub--\r\n")


async def test_one_tasks_events_begin_with_the_task_and_end_with_it(owner: Client) -> None:
    task_id, other = await owner.submit("external"), await owner.submit("external")
    path = f"/api/v1/tasks/{task_id}/events/stream"
    async with owner.stream(path) as stream:
        first = await stream.until("task")
        await owner.report(other, percent=1)
        await owner.report(task_id, percent=50)
        await owner.report(task_id, status="done")
        rest = await stream.rest()
    seen, last = await owner.ask("GET", path, headers={"Last-Event-ID": rest[-1].id})
    async with owner.stream(path, headers={"Last-Event-ID": first.id}) as late:
        again = await late.rest()

    assert first.data["task"]["state"] == "active"
    assert {event.data["task"]["id"] for event in rest} == {task_id}
    assert rest[-1].name == "completed"
    assert (seen, last) == (204, None)
    assert [(event.name, event.data["task"]["state"]) for event in again] == [("task", "completed")]


async def test_every_type_says_what_it_takes(tmp_path: Path) -> None:
    async with serving(tmp_path / "data", file=command_file(tmp_path, tidy="pass")) as speaker:
        body = await speaker.get("/api/v1/types")

    found = {one["type"]: one for one in body["types"]}
    assert {"command", "demo", "download", "external", "pipeline"} <= found.keys()
    assert found["demo"]["schema"]["properties"]["count"]["maximum"] == 10_000
    assert found["download"]["timeout"] == "6h0m0s"
    assert found["external"]["external"]
    assert {"critical", "default"} <= set(body["queues"])
