"""The house: the index, the way in for browsers, and how it says no."""

from __future__ import annotations

from hashlib import sha256
from http.cookies import Morsel, SimpleCookie

import pytest
from aiohttp import ClientResponse

from progresshub import __version__, errors
from progresshub.edge import house, tokenfile
from progresshub.settings import Config, Server, Token
from tests.edge.served import Served, served

TASKS = "/api/v1/tasks"
CLOSED = Config(tokens={"looker": Token(sha256=sha256(b"look").hexdigest(), scopes=("read",))})
BASED = Config(server=Server(base_path="/hub"))


def cookie_of(response: ClientResponse) -> Morsel[str]:
    (header,) = response.headers.getall("Set-Cookie")
    (morsel,) = SimpleCookie(header).values()
    return morsel


async def logged_in(site: Served, **body: str) -> dict[str, str]:
    """A header that carries the session."""
    async with site.client.post("/-/login", json=body) as response:
        assert response.status == 200
        morsel = cookie_of(response)
    site.client.session.cookie_jar.clear()
    return {"Cookie": f"{morsel.key}={morsel.value}"}


async def test_programs_get_an_index(tmp_path):
    async with served(tmp_path, settings=BASED) as site, site.client.get("/hub/") as response:
        body = await response.json()

    assert response.headers["Vary"] == "Accept"
    assert body["version"] == __version__
    assert "queues" in [api["name"] for api in body["apis"]]
    assert "house" not in [api["name"] for api in body["apis"]]
    assert body["links"]["docs"] == "/hub/docs"


async def test_a_launch_code_opens_a_session_that_may_do_everything(tmp_path):
    async with served(tmp_path, settings=CLOSED) as site:
        address = f"/-/login?code={site.tokens.launch_code()}"
        async with site.client.get(address, allow_redirects=False) as response:
            assert (response.status, response.headers["Location"]) == (303, "/")
            morsel = cookie_of(response)
        headers = {"Cookie": f"{morsel.key}={morsel.value}"}
        site.client.session.cookie_jar.clear()
        async with site.client.patch("/api/v1/queues/default", json={"weight": 2}, headers=headers) as response:
            assert response.status == 200


async def test_a_session_is_for_the_browser_alone(tmp_path):
    async with served(tmp_path, settings=BASED) as site:
        address = f"/hub/-/login?code={site.tokens.launch_code()}"
        async with site.client.get(address, allow_redirects=False) as response:
            morsel = cookie_of(response)

    assert (morsel["httponly"], morsel["samesite"], morsel["path"]) == (True, "Strict", "/hub")
    assert not morsel["secure"]
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Referrer-Policy"] == "no-referrer"


async def test_behind_a_proxy_that_speaks_https_the_cookie_is_for_https_alone(tmp_path):
    settings = Config(server=Server(trusted_proxies=("127.0.0.1",)), tokens=CLOSED.tokens)
    async with served(tmp_path, settings=settings) as site:
        headers = {"X-Forwarded-Proto": "https"}
        async with site.client.post("/-/login", json={"token": "look"}, headers=headers) as response:
            assert cookie_of(response)["secure"]


async def test_an_address_that_has_been_used_leads_nowhere_without_its_session(tmp_path):
    async with served(tmp_path) as site:
        address = f"/-/login?code={site.tokens.launch_code()}"
        first = await site.status("GET", address)
        again = await site.status("GET", address)
        site.client.session.cookie_jar.clear()

        assert (first, again, await site.status("GET", address)) == (303, 303, 401)


async def test_looking_whether_the_address_is_there_does_not_use_it_up(tmp_path):
    async with served(tmp_path) as site:
        address = f"/-/login?code={site.tokens.launch_code()}"
        looked = await site.status("HEAD", address)
        nothing_set = len(site.client.session.cookie_jar) == 0

        assert (looked, nothing_set, await site.status("GET", address)) == (303, True, 303)
        assert len(site.client.session.cookie_jar) == 1


async def test_a_token_logs_in_with_its_own_scopes(tmp_path):
    async with served(tmp_path, settings=CLOSED) as site:
        session = await logged_in(site, token="look")
        async with site.client.get("/-/session", headers=session) as response:
            assert await response.json() == {"scopes": ["read"], "logged_in": True}
        async with site.client.get(TASKS, headers=session) as response:
            assert response.status == 200
        async with site.client.post(f"{TASKS}/x/cancel", headers=session) as response:
            assert response.status == 403


@pytest.mark.parametrize(("body", "status"), [({"token": "no"}, 401), ({"code": "no"}, 401), ({}, 400), ([], 400)])
async def test_nothing_else_logs_in(tmp_path, body, status):
    async with served(tmp_path, settings=CLOSED) as site, site.client.post("/-/login", json=body) as response:
        assert response.status == status
        assert "Set-Cookie" not in response.headers


async def test_logging_out_ends_the_session(tmp_path):
    async with served(tmp_path, settings=CLOSED) as site:
        session = await logged_in(site, token="look")
        async with site.client.post("/-/logout", headers=session) as response:
            assert response.status == 204
            assert cookie_of(response)["max-age"] == "0"

        assert await site.status("GET", TASKS, **session) == 401


async def test_a_session_is_worth_nothing_on_a_page_that_just_any_origin_may_call_from(tmp_path):
    settings = Config(server=Server(allowed_origins=("*",)), tokens=CLOSED.tokens)
    async with served(tmp_path, settings=settings) as site:
        session = await logged_in(site, token="look")

        assert await site.status("GET", TASKS, **session) == 200
        assert await site.status("GET", TASKS, Origin="http://evil.example", **session) == 401


async def test_who_asks_is_told_what_they_may_do(tmp_path):
    async with served(tmp_path) as site:
        local = {"Authorization": f"Bearer {tokenfile.local_token(tmp_path)}"}
        async with site.client.get("/-/session") as response:
            assert await response.json() == {"scopes": ["read", "submit"], "logged_in": False}
        async with site.client.get("/-/session", headers=local) as response:
            everything = ["read", "submit", "command", "admin"]
            assert await response.json() == {"scopes": everything, "logged_in": False}


async def test_a_path_that_is_nobodys_is_refused_in_everybodys_words(tmp_path):
    async with served(tmp_path) as site, site.client.get("/nowhere") as response:
        body = await response.json()

    assert response.status == 404
    assert body == {
        "error": "NOT_FOUND",
        "message": "There is nothing at /nowhere.",
        "status_code": 404,
        "details": {"path": "/nowhere"},
        "detail": "There is nothing at /nowhere.",
    }


@pytest.mark.parametrize(
    ("error", "status", "retry"),
    [
        (errors.Unauthorized(), 401, None),
        (errors.TooMany(reason="x"), 429, "2"),
        (errors.Unavailable(reason="x"), 503, "2"),
        (errors.StorageFull(), 507, None),
        (errors.Internal(), 500, None),
    ],
)
def test_each_refusal_has_its_status(error, status, retry):
    response = house.refuse(error)

    assert (response.status, response.headers.get("Retry-After")) == (status, retry)
