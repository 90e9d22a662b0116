"""No route escapes the guard: the router itself is walked, whatever dialects there are."""

from __future__ import annotations

import re
from hashlib import sha256

import pytest
from aiohttp import web

from progresshub.dialects import DIALECTS
from progresshub.edge.guard import PROBES
from progresshub.edge.house import HOUSE
from progresshub.settings import Config, Token
from progresshub.web import WEB
from tests.edge.served import Served, served

CLOSED = Config(tokens={"one": Token(sha256=sha256(b"right").hexdigest(), scopes=("admin",))})
SCOPES = {(route.method, route.path): route.scope for dialect in (*DIALECTS, WEB, HOUSE) for route in dialect.routes}
OPEN = {key for key, scope in SCOPES.items() if scope is None}
MEANT_TO_BE_OPEN = {
    *(("GET", path) for path in PROBES),
    ("GET", "/"),
    ("GET", "/new"),
    ("GET", "/tasks/{id}"),
    ("GET", "/-/web/{version}/{name}"),
    ("GET", "/docs"),
    ("GET", "/-/docs.css"),
    ("GET", "/openapi.json"),
    ("GET", "/-/login"),
    ("POST", "/-/login"),
    ("POST", "/-/logout"),
    ("GET", "/-/session"),
    ("GET", "/progresshub.js"),
    ("GET", "/-/shared/{id:[A-Za-z0-9-]{1,64}}/{ticket}"),
}


def walk(app: web.Application) -> list[tuple[str, str, str]]:
    """Method, path as it was registered, and a path that leads there, of everything the router knows."""
    found = []
    for route in app.router.routes():
        assert route.resource is not None
        info = route.resource.get_info()
        registered = info.get("path") or info["formatter"]
        found.append((route.method, registered, re.sub(r"\{[^}]*\}", "something", registered)))
    assert len(found) >= len(SCOPES)
    return found


async def statuses(site: Served, **headers: str) -> dict[tuple[str, str], int]:
    """What each is answered to a request with these headers."""
    return {(method, known): await site.status(method, path, **headers) for method, known, path in walk(site.app)}


def as_get(key: tuple[str, str]) -> tuple[str, str]:
    """Where a GET is answered, so is a HEAD."""
    method, path = key
    return ("GET" if method == "HEAD" else method), path


async def test_every_route_refuses_a_foreign_host(tmp_path):
    async with served(tmp_path) as site:
        answers = await statuses(site, Host="evil.example")

    assert {path for (_, path), status in answers.items() if status != 421} == PROBES
    assert {status for (_, path), status in answers.items() if path in PROBES} == {200}


@pytest.mark.parametrize("origin", ["http://evil.example", "null"])
async def test_every_route_refuses_a_foreign_page(tmp_path, origin):
    async with served(tmp_path) as site:
        answers = await statuses(site, Origin=origin)

    assert set(answers.values()) == {403}


async def test_with_tokens_every_route_but_the_open_ones_wants_one(tmp_path):
    async with served(tmp_path, settings=CLOSED) as site:
        nobody = await statuses(site)
        stranger = await statuses(site, Authorization="Bearer wrong")

    assert {as_get(key) for key, status in nobody.items() if status != 401} <= OPEN
    assert {as_get(key) for key, status in stranger.items() if status not in (401, 429)} <= OPEN


def test_what_is_open_is_meant_to_be():
    assert OPEN == MEANT_TO_BE_OPEN


async def test_every_route_answers_a_browser_that_asks_before_it_sends(tmp_path):
    async with served(tmp_path, settings=CLOSED) as site:
        answers = [await site.status("OPTIONS", path, Origin="http://evil.example") for _, _, path in walk(site.app)]

    assert set(answers) == {204}


async def test_a_path_that_is_not_there_is_guarded_too(tmp_path):
    async with served(tmp_path) as site:
        assert await site.status("GET", "/nowhere", Origin="http://evil.example") == 403
        assert await site.status("GET", "/nowhere", Host="evil.example") == 421
        assert await site.status("GET", "/nowhere") == 404
        assert await site.status("PUT", "/api/v1/tasks") == 405


async def test_what_is_asked_often_is_looked_for_first(tmp_path):
    often = {route.path for dialect in (*DIALECTS, HOUSE) for route in dialect.routes if route.prompt is not None}

    async with served(tmp_path) as site:
        first = [path for _, path, _ in walk(site.app)][: len(often)]

    assert often
    assert set(first) <= often
