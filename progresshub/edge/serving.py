"""The application on its sockets, from the first connection to the last."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Iterable
from typing import Self

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from progresshub.edge.door import Door
from progresshub.settings import Config


class Serving:
    """An async context: inside it the application can be put on sockets, at its end all connections are closed."""

    def __init__(self, app: web.Application, config: Config, door: Door) -> None:
        settings = config.server
        self._door = door
        self._runner = web.AppRunner(
            app,
            access_log=None,
            handler_cancellation=True,
            keepalive_timeout=settings.keepalive_s,
            shutdown_timeout=settings.shutdown_grace_s,
            max_line_size=config.limits.header_bytes,
            max_field_size=config.limits.header_bytes,
            logger=_logger(),
        )
        self._servers: list[asyncio.Server] = []

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        return self

    async def __aexit__(self, failure: type[BaseException] | None, *_: object) -> None:
        if failure is not None:
            self._drop_connections()
        await self.end()

    async def open(self, sockets: Iterable[socket.socket]) -> None:
        """Answer on these sockets, which listen already."""
        inside = self._runner.server
        if inside is None:
            raise RuntimeError("the application is not set up")
        self._door.guards(inside, lambda: len(inside.connections))
        loop = asyncio.get_running_loop()
        for listening in sockets:
            if listening.family == socket.AF_UNIX:
                server = await loop.create_unix_server(self._door, sock=listening)
            else:
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
