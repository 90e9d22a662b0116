"""The guard before the whole application, on real sockets."""

from __future__ import annotations

import asyncio
from hashlib import sha256

import pytest
from aiohttp import ClientSession, UnixConnector, web

from progresshub.edge import tokenfile
from progresshub.edge.guard import Guard, bearer, check_exposure
from progresshub.edge.tokens import LOOK_AGAIN_S, Tokens
from progresshub.errors import InvalidConfig, StartupError
from progresshub.settings import Config, Limits, Server, Token
from tests.edge.served import served
from tests.parts import HandClock

TASKS = "/api/v1/tasks"
EVIL = "http://evil.example"
APP = "http://app.example"
BODY = '{"type": "outside", "payload": {}}'
JSON = {"Content-Type": "application/json"}


def token(text: str, *scopes: str) -> Token:
    return Token(sha256=sha256(text.encode()).hexdigest(), scopes=scopes)  # type: ignore[arg-type]


CLOSED = Config(
    tokens={"looker": token("look", "read"), "worker": token("work", "submit"), "boss": token("rule", "admin")}
)


def as_bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


async def send_raw(port: int, request: str) -> int:
    """The status of the answer to a request written by hand."""
    async with asyncio.timeout(10):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(request.replace("\n", "\r\n").encode())
            line = await reader.readline()
        finally:
            writer.close()
            await writer.wait_closed()
    return int(line.split()[1])


async def test_a_rebound_name_reaches_nothing(tmp_path):
    async with served(tmp_path) as site:
        read = await site.status("GET", TASKS, Host=f"evil.example:{site.port}")
        lost = await site.status("GET", "/nowhere", Host="evil.example")
        asked = await site.status("OPTIONS", TASKS, Host="evil.example")

    assert (read, lost, asked) == (421, 421, 421)


async def test_a_forwarded_port_is_answered(tmp_path):
    async with served(tmp_path) as site:
        assert await site.status("GET", TASKS, Host="localhost:9999", Origin="http://localhost:9999") == 200


@pytest.mark.parametrize("path", ["/health", "/ready", "/live"])
async def test_probes_come_by_any_name(tmp_path, path):
    async with served(tmp_path, settings=CLOSED) as site:
        assert await site.status("GET", path, Host="10.1.2.3:8080") == 200


async def test_whoever_comes_by_the_socket_file_may_name_any_host(tmp_path):
    path = str(tmp_path / "hub.sock")
    async with served(tmp_path) as site:
        runner = site.client.server.runner
        assert runner is not None
        await web.UnixSite(runner, path).start()
        async with (
            ClientSession(connector=UnixConnector(path)) as session,
            session.get(f"http://hub{TASKS}") as response,
        ):
            assert response.status == 200


@pytest.mark.parametrize(
    ("request_line", "host", "status"),
    [
        ("GET http://evil.example/api/v1/tasks HTTP/1.1", "Host: localhost\n", 421),
        ("GET http://localhost/api/v1/tasks HTTP/1.1", "Host: evil.example\n", 421),
        ("GET http://[::1]:8080/api/v1/tasks HTTP/1.1", "Host: localhost\n", 200),
        ("GET /api/v1/tasks HTTP/1.0", "", 421),
        ("GET /api/v1/tasks HTTP/1.1", "", 400),
        ("GET /api/v1/tasks HTTP/1.1", "Host: localhost\nHost: localhost\n", 400),
        ("GET /api/v1/tasks HTTP/1.1", "Host: localhost\n", 200),
    ],
)
async def test_the_host_is_looked_for_wherever_it_can_stand(tmp_path, request_line, host, status):
    async with served(tmp_path) as site:
        assert await send_raw(site.port, f"{request_line}\n{host}Connection: close\n\n") == status


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "application/json"])
@pytest.mark.parametrize("origin", [EVIL, "null"])
async def test_a_foreign_page_submits_nothing(tmp_path, origin, content_type):
    async with served(tmp_path) as site:
        headers = {"Origin": origin, "Content-Type": content_type}
        async with site.client.post(TASKS, data=BODY, headers=headers) as response:
            said = await response.json()

        assert (response.status, said["code"]) == (403, "FORBIDDEN")
        assert "Access-Control-Allow-Origin" not in response.headers
        assert site.hub.last_seq == 0


@pytest.mark.parametrize("path", ["/api/v1/events/stream", "/api/v1/progress/stream?task_ids=x"])
async def test_a_foreign_page_opens_no_stream(tmp_path, path):
    async with served(tmp_path) as site:
        assert await site.status("GET", path, Origin=EVIL) == 403


async def test_a_foreign_page_opens_no_websocket(tmp_path):
    async with served(tmp_path) as site:
        status = await site.status("GET", TASKS, Origin=EVIL, Connection="Upgrade", Upgrade="websocket")

    assert status == 403


async def test_curl_and_our_own_page_may_submit(tmp_path):
    async with served(tmp_path) as site:
        own = {"Origin": f"http://127.0.0.1:{site.port}", "Sec-Fetch-Site": "same-origin"}
        async with site.client.post(TASKS, data=BODY, headers=JSON) as curl:
            assert curl.status == 201
        async with site.client.post(TASKS, data=BODY, headers=JSON | own) as page:
            assert page.status == 201


async def test_text_is_no_json_even_from_nearby(tmp_path):
    headers = {"Content-Type": "text/plain"}
    async with served(tmp_path) as site, site.client.post(TASKS, data=BODY, headers=headers) as response:
        said = await response.json()

    assert (response.status, said["code"]) == (415, "UNSUPPORTED_MEDIA_TYPE")


async def test_a_post_that_takes_no_body_needs_no_content_type(tmp_path):
    async with served(tmp_path) as site:
        assert await site.status("POST", f"{TASKS}/unknown/cancel") == 404


async def test_a_body_that_is_announced_too_large_is_not_awaited(tmp_path):
    async with served(tmp_path, settings=Config(limits=Limits(body_bytes=100))) as site:
        head = f"POST {TASKS} HTTP/1.1\nHost: localhost\nContent-Type: application/json\nContent-Length: 101\n\n"

        assert await send_raw(site.port, head) == 413


async def test_without_tokens_anybody_here_reads_and_submits_and_no_more(tmp_path):
    async with served(tmp_path) as site:
        assert await site.status("GET", TASKS) == 200
        assert await site.status("POST", f"{TASKS}/unknown/cancel") == 404
        assert await site.status("PATCH", "/api/v1/queues/default", **JSON) == 401


async def test_without_tokens_one_that_means_nothing_does_no_harm(tmp_path):
    async with served(tmp_path) as site:
        for _ in range(Limits().auth_failures_per_min + 1):
            assert await site.status("GET", TASKS, **as_bearer("your-api-key")) == 200


async def test_the_local_token_rules(tmp_path):
    async with served(tmp_path) as site:
        local = as_bearer(tokenfile.local_token(tmp_path))

        async with site.client.patch("/api/v1/queues/default", json={"weight": 2}, headers=local) as response:
            assert response.status == 200


@pytest.mark.parametrize(
    ("text", "read", "submit", "rule"),
    [
        (None, 401, 401, 401),
        ("wrong", 401, 401, 401),
        ("look", 200, 403, 403),
        ("work", 200, 201, 403),
        ("rule", 200, 201, 200),
    ],
)
async def test_with_tokens_everybody_does_what_their_scopes_say(tmp_path, text, read, submit, rule):
    headers = {} if text is None else as_bearer(text)
    async with served(tmp_path, settings=CLOSED) as site:
        async with site.client.get(TASKS, headers=headers) as response:
            assert response.status == read
            assert response.headers.get("WWW-Authenticate") == ("Bearer" if read == 401 else None)
        async with site.client.post(TASKS, data=BODY, headers=JSON | headers) as response:
            assert response.status == submit
        async with site.client.patch("/api/v1/queues/default", json={"weight": 2}, headers=headers) as response:
            assert response.status == rule


async def test_an_address_that_guesses_is_told_to_wait(tmp_path):
    settings = Config(tokens=CLOSED.tokens, limits=Limits(auth_failures_per_min=3))
    async with served(tmp_path, settings=settings) as site:
        guesses = [await site.status("GET", TASKS, **as_bearer(f"guess {n}")) for n in range(4)]

    assert guesses == [401, 401, 401, 429]


async def test_a_token_in_the_address_is_none(tmp_path):
    async with served(tmp_path, settings=CLOSED) as site:
        assert await site.status("GET", f"{TASKS}?token=rule&access_token=rule") == 401


async def test_the_first_token_that_is_made_closes_a_running_server(tmp_path):
    clock = HandClock()
    async with served(tmp_path, clock=clock) as site:
        before = await site.status("GET", TASKS)
        made = tokenfile.create(tmp_path, "ci", ["read"])
        clock.s += LOOK_AGAIN_S

        assert (before, await site.status("GET", TASKS)) == (200, 401)
        assert await site.status("GET", TASKS, **as_bearer(made)) == 200


async def test_the_last_token_that_is_taken_away_opens_no_server_that_others_reach(tmp_path):
    clock = HandClock()
    tokenfile.create(tmp_path, "ci", ["read"])
    exposed = Config(server=Server(host="0.0.0.0"))
    async with served(tmp_path, settings=exposed, addresses=["0.0.0.0:8080"], clock=clock) as site:
        tokenfile.revoke(tmp_path, "ci")
        clock.s += LOOK_AGAIN_S

        assert not site.tokens.configured
        assert await site.status("GET", TASKS) == 401


async def test_an_allowed_page_may_read_what_it_gets(tmp_path):
    async with served(tmp_path, settings=Config(server=Server(allowed_origins=(APP,)))) as site:
        async with site.client.get(TASKS, headers={"Origin": APP}) as response:
            headers = response.headers

        assert headers["Access-Control-Allow-Origin"] == APP
        assert headers["Access-Control-Allow-Credentials"] == "true"
        assert headers["Vary"] == "Origin"


async def test_with_a_star_any_page_may_but_without_credentials(tmp_path):
    async with served(tmp_path, settings=Config(server=Server(allowed_origins=("*",)))) as site:
        async with site.client.get(TASKS, headers={"Origin": EVIL}) as response:
            headers = response.headers

        assert response.status == 200
        assert headers["Access-Control-Allow-Origin"] == "*"
        assert "Access-Control-Allow-Credentials" not in headers


@pytest.mark.parametrize("path", [TASKS, f"{TASKS}/x/progress/stream", "/health"])
async def test_browsers_may_ask_before_they_send(tmp_path, path):
    settings = Config(server=Server(allowed_origins=(APP,)), tokens=CLOSED.tokens)
    asked = {"Origin": APP, "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "content-type"}
    async with served(tmp_path, settings=settings) as site, site.client.options(path, headers=asked) as response:
        headers = response.headers

    assert response.status == 204
    assert headers["Access-Control-Allow-Origin"] == APP
    assert "GET" in headers["Access-Control-Allow-Methods"]
    assert {"Content-Type", "Authorization"} <= set(headers["Access-Control-Allow-Headers"].split(", "))


async def test_a_foreign_page_that_asks_is_allowed_nothing(tmp_path):
    async with served(tmp_path) as site, site.client.options(TASKS, headers={"Origin": EVIL}) as response:
        allowed = [name for name in response.headers if name.startswith("Access-Control")]

    assert (response.status, allowed) == (204, [])


async def test_a_trusted_proxy_tells_the_name_that_was_asked_for(tmp_path):
    settings = Config(
        server=Server(trusted_proxies=("127.0.0.0/8",), allowed_hosts=("hub.example",)), tokens=CLOSED.tokens
    )
    told = {"X_Forwarded_Host": "hub.example", **as_bearer("look")}
    async with served(tmp_path, settings=settings) as site:
        assert await site.status("GET", TASKS, Origin="https://hub.example", **told) == 200
        assert await site.status("GET", TASKS, X_Forwarded_Host="evil.example", **as_bearer("look")) == 421


async def test_nobody_elses_word_for_the_name_counts(tmp_path):
    async with served(tmp_path, settings=Config(server=Server(allowed_hosts=("hub.example",)))) as site:
        assert await site.status("GET", TASKS, Origin="https://hub.example", X_Forwarded_Host="hub.example") == 403


async def test_behind_a_proxy_each_client_answers_for_its_own_guesses(tmp_path):
    settings = Config(
        server=Server(trusted_proxies=("127.0.0.1", "10.0.0.0/8")),
        tokens=CLOSED.tokens,
        limits=Limits(auth_failures_per_min=2),
    )
    async with served(tmp_path, settings=settings) as site:
        hops = ["1.1.1.1, 6.6.6.6", "2.2.2.2, 6.6.6.6, 10.0.0.9", "3.3.3.3, 6.6.6.6", "6.6.6.6, 5.5.5.5"]
        statuses = [await site.status("GET", TASKS, X_Forwarded_For=hop, **as_bearer("no")) for hop in hops]

    assert statuses == [401, 401, 429, 401]


@pytest.mark.parametrize(
    ("server", "starts"),
    [
        (Server(), True),
        (Server(host="::1"), True),
        (Server(listen=("unix:/run/hub.sock", "[::1]:80")), True),
        (Server(host="0.0.0.0"), False),
        (Server(host=""), False),
        (Server(listen=("127.0.0.1:80", "192.168.1.5:80")), False),
        (Server(trusted_proxies=("127.0.0.1",)), False),
        (Server(host="0.0.0.0", insecure=True), True),
    ],
)
def test_a_server_that_others_reach_needs_a_token_to_start(tmp_path, server, starts):
    bare, guarded = Config(server=server), Config(server=server, tokens=CLOSED.tokens)

    check_exposure(guarded, Tokens(guarded, tmp_path))
    if starts:
        check_exposure(bare, Tokens(bare, tmp_path))
        return
    with pytest.raises(StartupError, match="token"):
        check_exposure(bare, Tokens(bare, tmp_path))


def test_a_proxy_that_is_no_address_stops_the_start(tmp_path):
    settings = Config(server=Server(trusted_proxies=("my-proxy",)))

    with pytest.raises(InvalidConfig, match="trusted_proxies"):
        Guard(settings, Tokens(settings, tmp_path), ())


@pytest.mark.parametrize(
    ("header", "found"),
    [("Bearer abc", "abc"), ("bearer  abc ", "abc"), ("Basic abc", ""), ("Bearer", ""), ("", ""), ("abc", "")],
)
def test_a_bearer_token_is_read_from_its_header(header, found):
    assert bearer(header) == found
