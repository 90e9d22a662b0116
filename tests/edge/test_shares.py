"""A ticket opens one task for reading until it ends, and nothing else, on the real application."""

from __future__ import annotations

import re
from hashlib import sha256

import pytest

from progresshub.dialects import DIALECTS
from progresshub.edge.house import HOUSE
from progresshub.edge.routes import Route
from progresshub.edge.shares import Shares
from progresshub.registry.submission import Submission
from progresshub.settings import Config, Server, Token
from tests.edge.served import Served, served
from tests.parts import HandClock

CLOSED = {"one": Token(sha256=sha256(b"right").hexdigest(), scopes=("admin",))}
APP = "http://app.example"
HOUR_MS = 3_600_000
ROUTES = [route for dialect in (*DIALECTS, HOUSE) for route in dialect.routes]
SHARED = {
    f"/api/v1/tasks/{{id}}{rest}"
    for rest in (
        *("", "/progress", "/progress/history", "/progress/info", "/progress/stream", "/events", "/events/stream"),
        *("/logs", "/files", "/files/{name:.+}", "/badge.svg"),
    )
}


def path_of(route: Route, task_id: str) -> str:
    return re.sub(r"\{[^}]*\}(?:\})?", "x", route.path.replace("{id}", task_id))


async def a_task(site: Served) -> str:
    """One that has ended, so that its streams end as well."""
    (accepted,) = await site.hub.submit([Submission(kind="outside", payload={}, origin="queues")])
    await site.hub.cancel(accepted.task_id)
    return accepted.task_id


def shares(clock: HandClock) -> Shares:
    return Shares(b"secret", clock)


def test_a_ticket_opens_its_task_until_it_ends():
    clock = HandClock()
    ticket, until_ms = shares(clock).issue("a", 5_000)

    left_s = shares(clock).left_s(ticket, "a")
    clock.ms = until_ms

    assert left_s == 5
    assert shares(clock).left_s(ticket, "a") == 0


def test_a_ticket_opens_nothing_else():
    clock = HandClock()
    ticket, _ = shares(clock).issue("a", 5_000)
    prefix, until, signature = ticket.split("_", 2)
    later = f"{prefix}_{int(until, 16) + 9:x}_{signature}"

    assert shares(clock).opens(ticket, "a")
    assert not shares(clock).opens(ticket, "b")
    assert not Shares(b"another", clock).opens(ticket, "a")
    for forged in (
        later,
        ticket[:-1],
        ticket.upper(),
        f"ph_{until}_{signature}",
        "phs__",
        "phs_-1_",
        "",
        "\udc80_1_\ud800",
    ):
        assert not shares(clock).opens(forged, "a"), forged


def test_what_can_be_shared_is_meant_to_be():
    assert {route.path for route in ROUTES if route.shared} == SHARED
    assert {(route.method, route.scope) for route in ROUTES if route.shared} == {("GET", "read")}


@pytest.mark.parametrize("way", ["address", "token", "cookie"])
async def test_a_ticket_reads_its_task_and_reaches_no_other_route(tmp_path, way):
    async with served(tmp_path, settings=Config(tokens=CLOSED)) as site:
        task_id, other = await a_task(site), await a_task(site)
        ticket, _ = site.tokens.shares.issue(task_id, HOUR_MS)
        headers = {
            "address": {},
            "token": {"Authorization": f"Bearer {ticket}"},
            "cookie": {"Cookie": f"{site.tokens.share_cookie}={ticket}"},
        }[way]
        query = f"?share={ticket}" if way == "address" else ""
        got: dict[tuple[str, str, str], int] = {}
        for route in ROUTES:
            for asked in (task_id, other):
                got[route.method, route.path, asked] = await site.status(
                    route.method, path_of(route, asked) + query, **headers
                )

    opened = {key for key, status in got.items() if status not in (401, 429)}
    assert {path for method, path, asked in opened if asked == task_id and path in SHARED} == SHARED
    assert {(method, path) for method, path, asked in opened if path not in SHARED or asked == other} <= {
        (route.method, route.path) for route in ROUTES if route.scope is None
    }


async def test_a_badge_with_a_ticket_may_stand_on_any_page(tmp_path):
    foreign = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "no-cors", "Referer": "http://other.example/"}
    async with served(tmp_path, settings=Config(tokens=CLOSED)) as site:
        task_id = await a_task(site)
        ticket, _ = site.tokens.shares.issue(task_id, HOUR_MS)
        path = f"/api/v1/tasks/{task_id}/badge.svg"

        assert await site.status("GET", f"{path}?share={ticket}", **foreign) == 200
        assert await site.status("GET", path, **foreign) == 403


async def test_a_page_that_is_not_allowed_reads_nothing_with_somebodys_cookie(tmp_path):
    async with served(tmp_path, settings=Config(tokens=CLOSED, server=Server(allowed_origins=("*",)))) as site:
        task_id = await a_task(site)
        ticket, _ = site.tokens.shares.issue(task_id, HOUR_MS)
        cookie = f"{site.tokens.share_cookie}={ticket}"

        assert await site.status("GET", f"/api/v1/tasks/{task_id}", Cookie=cookie) == 200
        assert await site.status("GET", f"/api/v1/tasks/{task_id}", Cookie=cookie, Origin=APP) == 401


async def test_a_ticket_writes_nothing_to_its_own_task(tmp_path):
    async with served(tmp_path, settings=Config(tokens=CLOSED)) as site:
        task_id = await a_task(site)
        ticket, _ = site.tokens.shares.issue(task_id, HOUR_MS)
        path = f"/api/v1/tasks/{task_id}"

        refused = [
            await site.status(method, f"{path}{rest}?share={ticket}", Authorization=f"Bearer {ticket}")
            for method, rest in (("POST", "/cancel"), ("POST", "/retry"), ("POST", "/share"), ("DELETE", ""))
        ]

    assert refused == [401] * 4
