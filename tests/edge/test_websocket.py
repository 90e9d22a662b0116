"""WebSocket watchers on a real connection: shared frames, ends with a code, peers that leave or stop reading."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from progresshub.bus import Bus, Limits
from progresshub.edge import websocket
from progresshub.model import Event, EventType, State
from progresshub.settings import Streams
from tests import make
from tests.wait import PATIENCE_S, until

TASK = make.task(state=State.RUNNING)


def messages(event: Event) -> list[bytes]:
    if event.type is EventType.PROGRESSED:
        return [b'"%s"' % (b"x" * 100_000)]
    return [b'"%s"' % event.type.value.encode()] if event.type is not EventType.STALLED else []


@asynccontextmanager
async def watched(settings: Streams) -> AsyncIterator[tuple[Bus, str]]:
    """A bus, and the address of a server where its task can be watched."""
    bus = Bus(Limits(high_water_bytes=1, stalled_deadline_s=settings.stalled_deadline_s))

    async def watch(request: web.Request) -> web.StreamResponse:
        socket = websocket.Socket(request, settings)
        await socket.open()
        await socket.send(b'"hello"')
        subscription = bus.watch([TASK.id], websocket.encoding(messages), socket)
        subscription.release()
        try:
            return await socket.wait()
        finally:
            subscription.close()

    app = web.Application()
    app.router.add_get("/", watch)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield bus, f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        bus.close()
        await runner.cleanup()


@given(st.text())
def test_a_frame_says_how_long_it_is(text: str) -> None:
    message = text.encode(errors="replace")

    frame = websocket.text(message)

    assert frame.endswith(message)
    assert frame[0] == 0x81
    assert frame[1] < 128


@pytest.mark.parametrize(("size", "head"), [(125, 2), (126, 4), (65_535, 4), (65_536, 10)])
def test_a_long_frame_has_a_longer_head(size: int, head: int) -> None:
    assert len(websocket.text(b"x" * size)) == size + head


async def test_a_watcher_hears_what_was_what_comes_and_the_end() -> None:
    async with watched(Streams()) as (bus, url), aiohttp.ClientSession() as session:
        async with session.ws_connect(url) as client:
            assert await client.receive_str() == '"hello"'
            await until(lambda: len(bus) == 1)
            bus.publish(make.event(TASK, EventType.STAGED, 1))
            bus.publish(make.event(TASK, EventType.STALLED, 2))
            bus.publish(make.event(make.replaced(TASK, state=State.COMPLETED), EventType.COMPLETED, 3))

            said = [message.data async for message in client]

        assert said == ['"staged"', '"completed"']
        assert client.close_code == 1000
        assert len(bus) == 0


async def test_what_a_watcher_says_is_left_alone_and_its_leaving_is_noticed() -> None:
    async with watched(Streams()) as (bus, url), aiohttp.ClientSession() as session:
        async with session.ws_connect(url) as client:
            await client.receive_str()
            await client.send_str("anything")
            await client.send_bytes(b"\x00")
            bus.publish(make.event(TASK, EventType.STAGED, 1))
            assert await client.receive_str() == '"staged"'

        await until(lambda: len(bus) == 0)


async def test_a_watcher_that_stops_reading_is_dropped() -> None:
    patient = Streams(stalled_deadline_s=0.1, send_buffer_bytes=4096)
    async with watched(patient) as (bus, url):
        host, _, port = url.removeprefix("http://").rstrip("/").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port), limit=2**10)
        writer.write(
            b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        await reader.readuntil(b"\r\n\r\n")
        await until(lambda: len(bus) == 1)

        numbers = count(1)
        async with asyncio.timeout(PATIENCE_S):
            while len(bus):  # however much the kernel takes meanwhile
                bus.publish(make.event(TASK, EventType.PROGRESSED, next(numbers)))
                await asyncio.sleep(0)

        assert bus.cut_off == 1
        writer.close()
