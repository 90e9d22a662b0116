"""A connection's protocol: aiohttp's own, which answers at once what is asked again and again, and lets streams go.

A request for a prompt route is answered in the pass of the loop that brought it: nothing is scheduled, and head and
body go out in one write. Whatever is not whole and plain, or would have to wait, goes aiohttp's way as if this were
not here. It is aiohttp that parses; what is leaned on is how its handler queues what it has parsed, which `FITS`
looks for.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from aiohttp import StreamReader, web
from aiohttp.helpers import rfc822_formatted_time
from aiohttp.http import SERVER_SOFTWARE, HttpVersion11, RawRequestMessage, StreamWriter

from progresshub.edge.apart import Apart, Opened
from progresshub.edge.app import Answer, Site
from progresshub.edge.routes import Route

FITS = all(
    hasattr(web.RequestHandler, name)
    for name in (
        "_buffer_paused", "_messages", "_next_keepalive_close_time", "_parser", "_task_handler", "_upgraded", "_waiter",
        "finish_response",
    )
)  # fmt: skip
"""Whether this aiohttp is made as we think; with another one everything goes its way."""

_NAME = re.compile(r"\\{(\w+)\\}")


class Reception:
    """Who is connected, the prompt routes, and the way from a parsed request to an answer's bytes.

    The `settings` are those of aiohttp's handler.
    """

    def __init__(self, site: Site, inside: web.Server, settings: Mapping[str, Any]) -> None:
        self.present: set[Front | Apart] = set()
        self._site = site
        self._inside = inside
        self._settings = settings
        self._routes = [(route.method, _pattern(path), route) for path, route in site.prompt_routes()]

    def __call__(self) -> Front:
        """What speaks to a new client."""
        return Front(self, self._inside, **self._settings)

    def find(self, method: str, path: str) -> tuple[Route, Mapping[str, str]] | None:
        """The route of exactly this address; None where there is a query, or anything escaped."""
        for its_method, pattern, route in self._routes:
            if method == its_method and (match := pattern.fullmatch(path)) is not None:
                return route, match.groupdict()
        return None

    def answer(self, route: Route, request: web.Request, names: Mapping[str, str], body: bytes) -> bytes | None:
        answer = self._site.promptly(route, request, names, body)
        return None if answer is None else written(answer)


class Front(web.RequestHandler):
    """One connection. Between requests aiohttp waits at `_waiter` for something to lie in `_messages`.

    A client that sends so many at once that aiohttp stops reading (`_buffer_paused`) is left to it.
    """

    __slots__ = ("_reception",)

    def __init__(self, reception: Reception, manager: web.Server, **settings: Any) -> None:
        super().__init__(manager, loop=asyncio.get_running_loop(), **settings)
        self._reception = reception

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._reception.present.add(self)

    def connection_lost(self, failure: BaseException | None) -> None:
        self._reception.present.discard(self)
        super().connection_lost(failure)

    def abort(self) -> None:
        if self.transport is not None:
            self.transport.abort()

    @property
    def lets_go(self) -> bool:
        """Whether a stream that is being answered may go on by itself: nothing has been asked behind it."""
        return not (self._messages or self._upgraded or self._force_close or self.transport is None)

    async def finish_response(
        self, request: web.BaseRequest, response: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """The usual, or nothing where a stream goes on by itself: then to aiohttp its client has left."""
        apart = response.apart if isinstance(response, Opened) else None
        if apart is None or self.transport is None:
            return await super().finish_response(request, response, start_time)
        transport, self.transport, self._task_handler = self.transport, None, None
        self.connection_lost(None)
        again = self._reception if response.chunked and response.keep_alive else None
        apart.take(transport, self._reception.present, again)
        return response, True

    def data_received(self, data: bytes) -> None:
        waiter = self._waiter
        if waiter is None or waiter.done() or self._messages:
            super().data_received(data)  # an answer is under way: what comes now has its turn after it
            return
        self._waiter = None  # aiohttp is woken only for what is left to it
        super().data_received(data)
        self._waiter = waiter
        while self._messages and not self._buffer_paused and self._answered(*self._messages[0]):
            self._messages.popleft()
            if self._parser is not None:
                self._parser.message_consumed()
        if self._messages and not waiter.done():
            waiter.set_result(None)

    def _answered(self, message: Any, payload: StreamReader) -> bool:
        transport, manager, factory = self.transport, self._manager, self._request_factory
        if transport is None or manager is None or factory is None or self._task_handler is None:
            return False
        if not _is_plain(message) or not payload.is_eof() or transport.get_write_buffer_size():
            return False
        found = self._reception.find(message.method, message.path)
        if found is None:
            return False
        route, names = found
        writer = StreamWriter(self, self._loop)
        request = factory(message, payload, self, writer, self._task_handler)
        body = payload.read_nowait()
        answer = self._reception.answer(route, request, names, body) if isinstance(request, web.Request) else None
        if answer is None:
            self._messages[0] = (message, self._again(body))
            return False
        manager.requests_count += 1
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        transport.write(answer)
        return True

    def _again(self, body: bytes) -> StreamReader:
        """A body that has been read, to be read once more."""
        payload = StreamReader(self, len(body), loop=self._loop)
        payload.feed_data(body)
        payload.feed_eof()
        return payload


def written(answer: Answer) -> bytes:
    """A whole answer on the wire, with the headers that aiohttp gives every one."""
    own = (("Content-Length", len(answer.body)), ("Date", rfc822_formatted_time()), ("Server", SERVER_SOFTWARE))
    lines = "".join(f"{name}: {value}\r\n" for name, value in (*answer.headers, *own))
    return f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}\r\n{lines}\r\n".encode() + answer.body


def _is_plain(message: Any) -> bool:
    """A request with nothing special about it, after which the connection goes on."""
    return (
        isinstance(message, RawRequestMessage)
        and message.version == HttpVersion11
        and not (message.should_close or message.upgrade or message.chunked or message.compression)
        and "Expect" not in message.headers
    )


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(_NAME.sub(r"(?P<\1>[0-9A-Za-z_-]+)", re.escape(path)))
