"""Server-Sent Events: frames on the wire, and one connection that carries them.

Live frames go straight to the transport, the same bytes for all; only what is replayed to a single
watcher takes aiohttp's way, which waits for a slow one. The stream ends because the last event has
been told, the watcher could not keep up, the client left, or the server stops.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterable
from functools import cache
from typing import NamedTuple

from aiohttp import hdrs, web

from progresshub.bus import Encoding
from progresshub.model import Event, EventId
from progresshub.settings import Streams

HEADERS = {"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
BEAT = b": still here\n\n"
GOODBYE = b": the server is stopping\n\n"


class Frame(NamedTuple):
    """One server-sent event; `data` is JSON, so it holds no line break."""

    event: str
    data: bytes
    id: EventId


Frames = Callable[[Event], Iterable[Frame]]


def lines(frame: Frame) -> bytes:
    return b"id: %b\nevent: %b\ndata: %b\n\n" % (str(frame.id).encode(), frame.event.encode(), frame.data)


@cache
def encoding(frames: Frames, *, chunked: bool) -> Encoding:
    """How watchers see a dialect's frames; the same function gives the same encoding, so they share it."""
    wrap = chunk if chunked else bytes
    return Encoding(lambda event: b"".join(map(lines, frames(event))), wrap, wrap(BEAT), wrap(GOODBYE))


def chunk(data: bytes) -> bytes:
    """A chunk of a chunked HTTP/1.1 body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


class Stream:
    """A watcher's connection: a bus sink, and the request handler that waits beside it."""

    def __init__(self, request: web.Request, settings: Streams) -> None:
        self._request = request
        self._settings = settings
        self._response = web.StreamResponse(headers=HEADERS)
        self._over = asyncio.get_running_loop().create_future()
        self._last: Callable[[Event], bool] = lambda event: True
        self._transport: asyncio.Transport | None = None

    @property
    def chunked(self) -> bool:
        return self._request.version >= (1, 1)

    def until(self, last: Callable[[Event], bool]) -> None:
        """Say which of the tasks' ends is the end of the stream; else the first one is."""
        self._last = last

    async def open(self) -> None:
        """Send the headers at once, so that the client knows it is connected."""
        if self.chunked:
            self._response.enable_chunked_encoding()
        await self._response.prepare(self._request)
        transport = self._request.transport
        if self._request.method == hdrs.METH_HEAD:
            self.finish()
        elif isinstance(transport, asyncio.Transport):
            self._transport = transport
            sock = transport.get_extra_info("socket")
            if self._settings.send_buffer_bytes and sock is not None:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._settings.send_buffer_bytes)
        await self.send(b"retry: %d\n\n" % self._settings.retry_ms)

    async def send(self, data: bytes) -> None:
        """Write to this watcher alone, at its pace. Only before its subscription is released.

        One that takes nothing for too long is cut off, as it would be later on.
        """
        if not data or self._over.done():
            return
        try:
            async with asyncio.timeout(self._settings.stalled_deadline_s):
                await self._response.write(data)
        except (TimeoutError, ConnectionError):
            self.cut()

    async def wait(self) -> web.StreamResponse:
        """Until it is over; the subscription writes meanwhile."""
        await self._over
        with contextlib.suppress(ConnectionError):
            await self._response.write_eof()
        return self._response

    def write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def backlog(self) -> int:
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    def ended(self, event: Event) -> bool:
        return self._last(event)

    def finish(self) -> None:
        if not self._over.done():
            self._over.set_result(None)

    def cut(self) -> None:
        if self._transport is not None:
            self._transport.abort()
        self.finish()
