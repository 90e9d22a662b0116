"""The application on its sockets, from the first connection to the last."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Iterable
from typing import Any, Self

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from progresshub.edge.app import Site
from progresshub.edge.door import Door
from progresshub.edge.front import FITS, Reception
from progresshub.settings import Config

LINGER_S = 2.0
"""How long a body that nobody wants is taken after the answer, so that its sender gets to read that."""
LONGEST_STUCK_MS = 2**31 - 1
TOLD_EVERY_S = 60.0


class Serving:
    """An async context: inside it the application can be put on sockets, at its end all connections are closed."""

    def __init__(self, site: Site, app: web.Application, config: Config, door: Door) -> None:
        settings = config.server
        self._door = door
        self._site = site if settings.shortcuts and FITS else None
        self._stuck_ms = min(int(1000 * config.streams.stalled_deadline_s), LONGEST_STUCK_MS)
        self._connection: dict[str, Any] = {
            "access_log": None,
            "keepalive_timeout": settings.keepalive_s,
            "lingering_time": LINGER_S,
            "max_line_size": config.limits.header_bytes,
            "max_field_size": config.limits.header_bytes,
            "logger": _logger(),
        }
        grace_s = settings.shutdown_grace_s
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=grace_s, **self._connection)
        self._servers: list[asyncio.Server] = []
        self._reception: Reception | None = None
        self._seldom = _Seldom()

    async def __aenter__(self) -> Self:
        logging.getLogger("asyncio").addFilter(self._seldom)
        await self._runner.setup()
        return self

    async def __aexit__(self, failure: type[BaseException] | None, *_: object) -> None:
        if failure is not None:
            self._drop_connections()
        await self.end()
        logging.getLogger("asyncio").removeFilter(self._seldom)

    async def open(self, sockets: Iterable[socket.socket]) -> None:
        """Answer on these sockets, which listen already."""
        inside = self._runner.server
        if inside is None:
            raise RuntimeError("the application is not set up")
        if self._site is None:
            self._door.guards(inside, lambda: len(inside.connections))
        else:
            self._reception = reception = Reception(self._site, inside, self._connection)
            self._door.guards(reception, lambda: len(reception.present))
        loop = asyncio.get_running_loop()
        for listening in sockets:
            if listening.family == socket.AF_UNIX:
                server = await loop.create_unix_server(self._door, sock=listening)
            else:
                # Inherited by every connection: the kernel drops a peer that takes nothing for so long, or is gone.
                listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, self._stuck_ms)
                server = await loop.create_server(self._door, sock=listening)
            self._servers.append(server)

    def refuse_connections(self) -> None:
        """Take no new connection; those that are there go on."""
        while self._servers:
            self._servers.pop().close()

    async def end(self) -> None:
        """Close every connection, those that are being answered after the grace."""
        self.refuse_connections()
        await self._runner.cleanup()

    def _drop_connections(self) -> None:
        """No grace for anybody: who asks for the end a second time does not want to wait."""
        if self._reception is not None:
            for connection in tuple(self._reception.present):
                connection.abort()
        inside = self._runner.server
        for protocol in () if inside is None else inside.connections:
            if protocol.transport is not None:
                protocol.transport.abort()


def _logger() -> logging.Logger:
    """aiohttp's logger without a traceback for each request that is not HTTP: that is the client's mistake."""
    logger = logging.getLogger("aiohttp.server")
    logger.addFilter(_is_ours)
    return logger


def _is_ours(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


class _Seldom(logging.Filter):
    """Says once in a while, in one line, that no connection can be accepted; asyncio tries and tells every second."""

    def __init__(self) -> None:
        super().__init__()
        self._told_s = float("-inf")

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if not isinstance(error, OSError) or error.errno not in (errno.EMFILE, errno.ENFILE):
            return True
        record.msg, record.args, record.exc_info = f"no connection can be accepted: {error.strerror}", (), None
        due = record.created >= self._told_s + TOLD_EVERY_S
        if due:
            self._told_s = record.created
        return due
