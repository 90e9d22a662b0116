"""Clients that are slow, too many, mute, gone or mad cost the others nothing."""

from __future__ import annotations

import asyncio
import re
import resource
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import pytest

from tests.faults.raw import LIVE, Raw, raw
from tests.faults.shop import Shop
from tests.serving import Client, Process, client, process
from tests.wait import PATIENCE_S, until

IMPATIENT = "server.request_timeout_s=0.2"
POST = (
    b"POST /api/v1/tasks HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9999\r\n\r\n"
)
EVERYTHING = b"GET /api/v1/events/stream HTTP/1.1\r\nHost: localhost\r\n\r\n"
MUTE = 200
STORY = "x" * 2_000
SOFT_LIMIT = 120


@pytest.mark.parametrize(
    ("begin", "drop"),
    [
        (b"", b""),
        (b"GET /live HTTP/1.1\r\nHost: localhost\r\nX-Drip: ", b"x"),
        (POST, b" "),
        (LIVE.replace(b"\r\n\r\n", b"\r\nContent-Length: 9999\r\n\r\n"), b" "),
        (LIVE + b"GET /live HTTP/1.1\r\nX-Drip: ", b"x"),
    ],
    ids=["nothing", "header", "body", "body that nobody wants", "second request"],
)
async def test_who_drips_is_let_go(shop: Shop, begin: bytes, drop: bytes) -> None:
    async with process(shop.data, IMPATIENT, "server.keepalive_s=0.2") as server, raw(server.url) as slow:
        await slow.send(begin)

        await slow.drip(drop)

        async with raw(server.url) as other:
            assert await other.alive()


async def test_a_body_that_drips_is_told_so(shop: Shop) -> None:
    async with process(shop.data, IMPATIENT) as server, raw(server.url) as slow:
        await slow.send(POST)

        answer = await slow.answer()

    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"REQUEST_TIMEOUT" in answer


async def test_more_connections_than_allowed_are_turned_away(shop: Shop) -> None:
    async with process(shop.data, "server.max_connections=3") as server, AsyncExitStack() as stack:
        inside = [await stack.enter_async_context(raw(server.url)) for _ in range(3)]
        assert all([await one.alive() for one in inside])

        outside = [await stack.enter_async_context(raw(server.url)) for _ in range(30)]

        assert not any([await one.alive() for one in outside])
        assert all([await one.alive() for one in inside])


async def test_a_crowd_that_comes_at_once_is_counted_too(shop: Shop) -> None:
    async with process(shop.data, "server.max_connections=3") as server, AsyncExitStack() as stack:
        crowd = await asyncio.gather(*(stack.enter_async_context(raw(server.url)) for _ in range(60)))

        assert sum([await one.alive() for one in crowd]) == 3


async def test_who_leaves_makes_room(shop: Shop) -> None:
    async with process(shop.data, "server.max_connections=1") as server:
        for _ in range(5):
            async with raw(server.url) as one:
                assert await one.alive()
                one.sock.shutdown(1)
                assert await one.answer() == b""


@pytest.mark.parametrize(
    "nonsense",
    [
        b"\x00\x01\x02\x03\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET\r\n\r\n",
        b"GET /live HTTP/9.9\r\n\r\n",
        b"GET /live HTTP/1.1\r\nHost localhost\r\n\r\n",
        b"GET /live HTTP/1.1\r\nHost: localhost\r\nContent-Length: minus\r\n\r\n",
        b"GET /live HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST /api/v1/tasks HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /live HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 20_000 + b"\r\n\r\n",
    ],
    ids=range(10),
)
async def test_what_is_not_http_gets_a_400_and_no_traceback(shop: Shop, nonsense: bytes) -> None:
    async with process(shop.data, IMPATIENT) as server, raw(server.url) as mad:
        await mad.send(nonsense)

        answer = await mad.answer()

    assert re.match(rb"HTTP/1.[01] 4\d\d ", answer)


async def test_who_leaves_in_the_middle_of_a_stream_is_forgotten(shop: Shop) -> None:
    async with process(shop.data) as server, client(server.url) as speaker, AsyncExitStack() as stack:
        task_id = await speaker.submit("external")
        one = f"GET /api/v1/tasks/{task_id}/progress/stream HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        for request in (one, EVERYTHING) * 10:
            await _watching(stack, server.url, request)
        assert await _metric(speaker, "progresshub_watchers") == 20

        await stack.aclose()

        await _metric_is(speaker, "progresshub_watchers", 0)


async def test_a_crowd_that_never_reads_is_cut_off_and_hurts_no_healthy_watcher(shop: Shop) -> None:
    flags = ("streams.stalled_deadline_s=0.5", "streams.high_water_bytes=4096", "streams.send_buffer_bytes=4096")
    async with process(shop.data, *flags) as server, client(server.url) as speaker, AsyncExitStack() as stack:
        task_id = await speaker.submit("external")
        for _ in range(MUTE):
            await _watching(stack, server.url, EVERYTHING, receive_bytes=2_048)
        async with speaker.stream(f"/api/v1/tasks/{task_id}/progress/stream") as healthy:
            for n in range(60):
                await speaker.report(task_id, stage=str(n), message=STORY)
                event = await healthy.next()
                assert event is not None
                assert event.data["stage"] == str(n)

            await _metric_is(speaker, "progresshub_watchers", 1)
            await speaker.report(task_id, status="done")
            assert [event.name for event in await healthy.rest()] == ["progress", "done"]


async def test_who_asks_for_much_and_never_reads_it_is_dropped(shop: Shop) -> None:
    flags = ("streams.stalled_deadline_s=0.5",)
    async with process(shop.data, *flags) as server, client(server.url) as speaker, AsyncExitStack() as stack:
        for _ in range(10):
            await speaker.submit("external", metadata={"much": "x" * 900_000})
        before = _sockets(server)
        for _ in range(3):
            mute = await stack.enter_async_context(raw(server.url, receive_bytes=2_048))
            await mute.send(b"GET /api/v1/tasks HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert (await mute.answer()).startswith(b"HTTP/1.1 200 ")

        await until(lambda: _sockets(server) <= before)


async def test_few_descriptors_are_kept_for_those_inside(shop: Shop) -> None:
    with descriptors(SOFT_LIMIT):
        starting = process(shop.data)
        server = await starting.__aenter__()
    async with AsyncExitStack() as stack:
        stack.push_async_exit(starting)
        inside = await stack.enter_async_context(raw(server.url))
        assert await inside.alive()
        crowd = [await stack.enter_async_context(raw(server.url)) for _ in range(2 * SOFT_LIMIT)]
        answered = sum([await one.alive() for one in crowd])

        assert 0 < answered < SOFT_LIMIT - 20
        assert await inside.alive()
        assert "Errno" not in shop.log()


async def test_without_any_descriptor_left_those_inside_are_answered_and_others_later(shop: Shop) -> None:
    async with process(shop.data) as server, AsyncExitStack() as stack:
        inside = await stack.enter_async_context(raw(server.url))
        assert await inside.alive()
        pid = server.process.pid
        before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (1, before[1]))
        outside = await stack.enter_async_context(raw(server.url))
        await outside.send(LIVE)

        assert await inside.alive()
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
        assert b'"alive"' in await outside.answer()
    assert shop.log().count("no connection can be accepted") == 1


@contextmanager
def descriptors(limit: int) -> Iterator[None]:
    """What is started meanwhile gets no more descriptors than that."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def _sockets(server: Process) -> int:
    return sum(path.is_socket() for path in Path(f"/proc/{server.process.pid}/fd").iterdir())


async def _watching(stack: AsyncExitStack, url: str, request: bytes, receive_bytes: int = 0) -> Raw:
    """A watcher whose stream has begun, and that reads nothing of what follows."""
    watcher = await stack.enter_async_context(raw(url, receive_bytes=receive_bytes))
    await watcher.send(request)
    assert (await watcher.answer()).startswith(b"HTTP/1.1 200 ")
    return watcher


async def _metric(speaker: Client, name: str) -> float:
    async with speaker.session.get(f"{speaker.url}/metrics") as answer:
        found = re.search(rf"^{name} (\S+)$", await answer.text(), re.MULTILINE)
    assert found is not None
    return float(found[1])


async def _metric_is(speaker: Client, name: str, value: float) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while await _metric(speaker, name) != value:
            pass
