"""Server-Sent Events: frames on the wire, and one connection that carries them.

What is replayed to a single watcher takes aiohttp's way, which waits for a slow one; live frames go
straight to the transport.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from random import uniform
from typing import Any, ClassVar, NamedTuple

from aiohttp import hdrs, web

from progresshub.bus import Encoding, Subscription
from progresshub.edge.apart import Apart, Opened
from progresshub.edge.front import Front
from progresshub.edge.outlet import Outlet
from progresshub.edge.routes import Call, Handler
from progresshub.errors import TooMany, Unavailable
from progresshub.model import Event, EventId
from progresshub.settings import Streams

HEADERS = {"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
RETRY_SPREAD = (0.75, 1.25)
BEAT = b": still here\n\n"
LAST_CHUNK = b"0\r\n\r\n"
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


def patient(handler: Handler) -> Handler:
    """A stream that can't be had just now begins and ends: EventSource comes again, where a 503 would be the last."""

    async def serve(call: Call[Any, Any]) -> web.StreamResponse:
        try:
            return await handler(call)
        except (Unavailable, TooMany):
            if call.request.writer.output_size:
                raise
        stream = Stream(call.request, call.config.streams)
        await stream.open()
        stream.finish()
        return await stream.wait()

    return serve


class Stream(Outlet):
    """A watcher's connection over SSE, and the request handler that waits beside it, where it can't go on alone."""

    __slots__ = ("_request", "_response", "_subscription")
    headers: ClassVar[Mapping[str, str]] = HEADERS

    def __init__(self, request: web.Request, settings: Streams) -> None:
        super().__init__(settings)
        self._request = request
        self._response = Opened(headers=self.headers)
        self._subscription: Subscription | None = None

    @property
    def chunked(self) -> bool:
        return self._request.version >= (1, 1)

    async def open(self) -> None:
        """Send the headers at once, so that the client knows it is connected."""
        if self.chunked:
            self._response.enable_chunked_encoding()
        await self._response.prepare(self._request)
        if self._request.method == hdrs.METH_HEAD:
            self.finish()
        else:
            self.connect(self._request.transport)
        if greeting := self.greeting():
            self.write(chunk(greeting) if self.chunked else greeting)  # nothing is in its way yet: no need to wait

    def greeting(self) -> bytes:
        """What comes before all events: when to come again, and not all of them together."""
        return b"retry: %d\n\n" % (self.settings.retry_ms * uniform(*RETRY_SPREAD))

    async def send(self, data: bytes) -> None:
        """Write to this watcher alone, at its pace. Only before its subscription is released.

        One that takes nothing for too long is cut off, as it would be later on.
        """
        if not data or self.over.done():
            return
        try:
            async with asyncio.timeout(self.settings.stalled_deadline_s):
                await self._response.write(data)
        except (TimeoutError, ConnectionError):
            self.cut()

    @contextlib.contextmanager
    def fed_by(self, subscription: Subscription) -> Iterator[None]:
        """It ends with the block, or later, where the connection goes on without one."""
        self._subscription = subscription
        try:
            yield
        finally:
            if self._subscription is not None:
                subscription.close()

    async def wait(self) -> web.StreamResponse:
        """Until it is over; the subscription writes meanwhile. One that can go on by itself is not waited for."""
        protocol, response = self._request.protocol, self._response
        if self._subscription is not None and not self.over.done() and isinstance(protocol, Front) and protocol.lets_go:
            self._part(Apart(self._subscription.close))
            return response
        await self.over
        with contextlib.suppress(ConnectionError):
            await response.write_eof()
        return response

    def _part(self, apart: Apart) -> None:
        """From now on it is somewhere to write to and no more, so what belongs to the request is let go of."""
        last = LAST_CHUNK if self.chunked else b""
        self.over.add_done_callback(lambda over: apart.end(last))
        self._response.apart = apart
        self._subscription = None
        del self._request, self._response
