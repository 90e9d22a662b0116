"""Streams that go on without a request handler end, count and stop like all others."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from tests.edge.line import Line, asked, line_to
from tests.serving import process, serving
from tests.wait import PATIENCE_S, until

CROWD = 50
HEADERS = b"\r\n\r\n"
END = b"\r\n0\r\n\r\n"


def watch(path: str, *headers: str, version: str = "1.1") -> bytes:
    return "\r\n".join((f"GET {path}/stream HTTP/{version}", "Host: localhost", *headers, "", "")).encode()


async def opened(line: Line, request: bytes) -> None:
    await line.send(request)
    assert b"text/event-stream" in await line.until(HEADERS)
    assert b"retry:" in await line.until(b"\n\n")


async def test_a_crowd_of_watchers_costs_no_tasks(tmp_path):
    async with asked(tmp_path) as one, AsyncExitStack() as stack:
        lines = [await stack.enter_async_context(line_to(one.server.url)) for _ in range(CROWD)]
        before = len(asyncio.all_tasks())

        for line in lines:
            await opened(line, watch(one.path))

        assert len(asyncio.all_tasks()) <= before
        await one.server.post(one.path, {"percent": 50})
        for line in lines:
            assert b'"percentage":50' in await line.until(b"\n\n")


async def test_after_the_stream_the_connection_takes_requests_again_also_earlier_ones(tmp_path):
    async with asked(tmp_path) as one, line_to(one.server.url) as line:
        await opened(line, watch(one.path))
        await line.send(one.get())
        await one.server.post(one.path, {"status": "done"})

        assert b"event: done" in await line.until(END)
        assert await line.percents(1) == [b"100"]
        await line.send(one.get())
        assert await line.percents(1) == [b"100"]
        await opened(line, watch(one.path))


async def test_who_asked_for_it_is_closed_at_the_end(tmp_path):
    async with asked(tmp_path) as one, line_to(one.server.url) as old, line_to(one.server.url) as new:
        await opened(old, watch(one.path, version="1.0"))
        await opened(new, watch(one.path, "Connection: close"))
        await one.server.post(one.path, {"status": "done"})

        assert (await old.rest()).rstrip().endswith(b'"status":"completed"}')
        assert (await new.rest()).endswith(END)


async def test_a_watcher_that_leaves_is_forgotten(tmp_path):
    async with asked(tmp_path) as one:
        async with line_to(one.server.url) as line:
            await opened(line, watch(one.path))
            assert b"progresshub_watchers 1" in await metrics(one.server.url)

        async with asyncio.timeout(PATIENCE_S):
            while b"progresshub_watchers 0" not in await metrics(one.server.url):
                pass


async def metrics(url: str) -> bytes:
    async with line_to(url) as line:
        await line.send(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        return (await line.answer())[1]


async def test_a_client_that_says_too_much_during_the_stream_is_not_read_any_more(tmp_path):
    async with asked(tmp_path) as one, line_to(one.server.url) as line:
        await opened(line, watch(one.path))
        talking = asyncio.create_task(line.send(one.get() * 50_000))

        await one.server.post(one.path, {"percent": 50})

        assert b'"percentage":50' in await line.until(b"\n\n")
        assert not talking.done()
        talking.cancel()


async def test_they_count_as_connections(tmp_path):
    async with serving(tmp_path, "server.max_connections=2") as server, AsyncExitStack() as stack:
        task_id = await server.submit("external")  # the client's connection is one of the two
        path = f"/api/v1/tasks/{task_id}/progress"
        await opened(await stack.enter_async_context(line_to(server.url)), watch(path))

        third = await stack.enter_async_context(line_to(server.url))
        assert await third.rest() == b""


async def test_a_stop_ends_them_in_good_order(tmp_path):
    async with asked(tmp_path) as one, line_to(one.server.url) as line:
        await opened(line, watch(one.path))

        one.server.stop()

        assert (await line.rest()).endswith(b"the server is stopping\n\n" + END)


async def test_a_second_signal_waits_for_no_watcher(tmp_path):
    async with process(tmp_path) as server, line_to(server.url) as line:
        await opened(line, watch("/api/v1/events"))

        server.terminate()
        server.terminate()

        await server.gone()
        await until(lambda: server.process.returncode is not None)
