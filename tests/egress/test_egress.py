"""The proxy itself, spoken to as a hostile child might: real sockets, a real fork."""

from __future__ import annotations

import asyncio
import base64
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from urllib.parse import urlsplit

import pytest

from progresshub.egress import Egress, Rules, egress
from progresshub.egress import reach as reaching
from progresshub.egress.reach import PrivateAddress, reach
from progresshub.egress.request import Refused
from progresshub.egress.rules import rules_of
from tests.egress.canary import Canary, canary
from tests.media import File, Media, media_server
from tests.wait import PATIENCE_S

BYTES = os.urandom(300_000)


@pytest.fixture
def way() -> Iterator[Egress]:
    with egress(Rules()) as opened:
        yield opened


@pytest.fixture
async def media() -> AsyncIterator[Media]:
    async with media_server() as started:
        yield started


@pytest.fixture
async def bird() -> AsyncIterator[Canary]:
    async with canary() as sitting:
        yield sitting


async def told(way: Egress, head: str, *, login: bool = True) -> bytes:
    """All that the proxy answers to a head."""
    parts = urlsplit(way.url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    secret = base64.b64encode(f"{parts.username}:{parts.password}".encode()).decode()
    writer.write(f"{head}\r\n{f'Proxy-Authorization: Basic {secret}' if login else 'X: y'}\r\n\r\n".encode())
    async with asyncio.timeout(PATIENCE_S):
        answer = await reader.read()
    writer.close()
    return answer


def is_open(host: str | None, port: int | None) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((host, port)) == 0


def letting(media: Media) -> Rules:
    return Rules(allowed=frozenset({("127.0.0.1", urlsplit(media.base).port or 0)}))


PLACES = [
    "127.0.0.1",
    "localhost",
    "LOCALHOST.",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "0177.0.0.1",
    "017700000001",
    "127.1",
    "0",
    "0.0.0.0",
    "169.254.169.254",
    "[64:ff9b::7f00:1]",
    "[fe80::1]",
]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("line", ["CONNECT {}:{} HTTP/1.1", "GET http://{}:{}/x HTTP/1.1"])
async def test_no_form_of_a_private_address_gets_through(way: Egress, bird: Canary, line: str, place: str) -> None:
    answer = await told(way, line.format(place, bird.port))

    assert answer.split()[1] in (b"403", b"502")  # some resolvers do not know every form
    assert bird.touched == 0
    if answer.split()[1] == b"403":
        assert "private address" in way.refusal()
    assert way.refusal() == ""


@pytest.mark.parametrize("user", ["example.org@", "example.org%40@", "example.org:80@", "a:b@"])
async def test_what_stands_before_the_host_does_not_count(way: Egress, bird: Canary, user: str) -> None:
    answer = await told(way, f"GET http://{user}127.0.0.1:{bird.port}/ HTTP/1.1")

    assert answer.startswith(b"HTTP/1.1 403 ")
    assert bird.touched == 0


async def test_only_who_knows_the_password_is_served(media: Media, bird: Canary) -> None:
    media.add("song", File(content=BYTES))
    with egress(letting(media)) as way:
        answer = await told(way, f"GET {media.base}/song HTTP/1.1", login=False)

    assert answer.startswith(b"HTTP/1.1 407 ")
    assert b"Proxy-Authenticate: Basic" in answer
    assert media.asked == []


async def test_a_place_that_is_allowed_is_reached_and_no_other(media: Media, bird: Canary) -> None:
    media.add("song", File(content=BYTES))

    with egress(letting(media)) as way:
        got = await told(way, f"GET {media.base}/song HTTP/1.1")
        refused = await told(way, f"GET http://127.0.0.1:{bird.port}/ HTTP/1.1")

    assert got.partition(b"\r\n\r\n")[2] == BYTES
    assert refused.startswith(b"HTTP/1.1 403 ")
    assert bird.touched == 0


async def test_a_tunnel_carries_bytes_both_ways(media: Media) -> None:
    media.add("song", File(content=BYTES))
    place = media.base.removeprefix("http://")

    with egress(letting(media)) as way:
        head = f"CONNECT {place} HTTP/1.1\r\nX: y"
        parts = urlsplit(way.url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        secret = base64.b64encode(f"{parts.username}:{parts.password}".encode()).decode()
        writer.write(f"{head}\r\nProxy-Authorization: Basic {secret}\r\n\r\n".encode())
        async with asyncio.timeout(PATIENCE_S):
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 200 OK\r\n\r\n"
            writer.write(f"GET /song HTTP/1.1\r\nHost: {place}\r\nConnection: close\r\n\r\n".encode())
            got = await reader.read()
        writer.close()

    assert got.partition(b"\r\n\r\n")[2] == BYTES


async def test_a_place_that_does_not_answer_is_told(way: Egress, media: Media) -> None:
    with egress(Rules(allowed=frozenset({("127.0.0.1", 1)}))) as other:
        answer = await told(other, "GET http://127.0.0.1:1/ HTTP/1.1")

    assert answer.startswith(b"HTTP/1.1 502 127.0.0.1 can't be reached")


async def test_a_name_is_resolved_once_and_never_again(monkeypatch: pytest.MonkeyPatch, bird: Canary) -> None:
    answers = [["93.184.216.34"], ["127.0.0.1"]]
    connected: list[str] = []

    def resolve(host: str, port: int, **_: object) -> list[tuple[int, int, int, str, tuple[str, int]]]:
        return [(0, 0, 0, "", (address, port)) for address in answers.pop(0)]

    def connect(place: tuple[str, int], timeout_s: float) -> socket.socket:
        connected.append(place[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(socket, "create_connection", connect)

    with pytest.raises(Refused):
        reach("rebinding.example", bird.port, Rules())

    assert connected == ["93.184.216.34"]


def test_one_private_address_among_public_ones_is_one_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(0, 0, 0, "", (address, 80)) for address in ("93.184.216.34", "10.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)

    with pytest.raises(PrivateAddress):
        reach("both.example", 80, Rules())


async def test_another_proxy_is_told_the_address_that_was_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.set_result(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nhello")
        writer.close()

    async with await asyncio.start_server(listen, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        rules = rules_of({"socket_timeout_s": 5.0, "proxy": f"http://me:secret@127.0.0.1:{port}"})
        monkeypatch.setattr(reaching, "_addresses", lambda *_: ["93.184.216.34"])
        connection = await asyncio.to_thread(reach, "site.example", 443, rules)
        with connection:
            async with asyncio.timeout(PATIENCE_S):
                head = await heard
            assert await asyncio.to_thread(connection.recv, 5) == b"hello"

    assert head.startswith(b"CONNECT 93.184.216.34:443 HTTP/1.1\r\n")
    assert base64.b64encode(b"me:secret") in head


async def test_the_proxy_ends_with_its_block_and_leaves_the_environment_alone() -> None:
    before = dict(os.environ)
    with egress(Rules()) as way:
        assert os.environ["http_proxy"] == os.environ["HTTPS_PROXY"] == way.url
        port = urlsplit(way.url).port

    assert dict(os.environ) == before
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)


def test_the_proxy_ends_with_its_worker_however_that_ends() -> None:
    program = (
        "import os, signal; from progresshub.egress import egress, Rules\n"
        "with egress(Rules()) as way:\n"
        "    print(way.url, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as worker:
        assert worker.stdout is not None
        url = urlsplit(worker.stdout.read().decode().strip())

    until_s = time.monotonic() + PATIENCE_S
    while is_open(url.hostname, url.port):
        assert time.monotonic() < until_s


async def test_where_all_is_allowed_there_is_no_proxy() -> None:
    with egress(Rules(allow_private=True)) as way:
        assert way.url == ""
        assert way.refusal() == ""
