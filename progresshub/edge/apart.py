"""A stream that goes on without a request handler.

Once a watcher's past is told, nothing but the bus has anything to do with its connection: no parser, no request and
no task is needed until it ends. So aiohttp's protocol is exchanged for a small one, and when the stream is over
for one like the first, as if the request had just been answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from aiohttp import web

MOST_SAID_BYTES = 65_536


class Apart(asyncio.Protocol):
    """The connection meanwhile; `left` is called when it is gone."""

    __slots__ = ("_again", "_left", "_present", "_said", "_transport")

    def __init__(self, left: Callable[[], None]) -> None:
        self._left = left
        self._again: Callable[[], asyncio.Protocol] | None = None
        self._present: set[Any] = set()
        self._said = b""
        self._transport: asyncio.Transport | None = None

    def take(
        self, transport: asyncio.Transport, present: set[Any], again: Callable[[], asyncio.Protocol] | None
    ) -> None:
        """Take a connection over, as one of those present.

        `again` makes who has it after the stream, None closes it then.
        """
        self._transport, self._present, self._again = transport, present, again
        present.add(self)
        transport.set_protocol(self)

    def data_received(self, data: bytes) -> None:
        """What a client asks before the stream is over is for whoever comes after it."""
        self._said += data
        if len(self._said) > MOST_SAID_BYTES and self._transport is not None:
            self._transport.pause_reading()

    def connection_lost(self, failure: Exception | None) -> None:
        self._transport = None
        self._present.discard(self)
        self._left()

    def end(self, last: bytes) -> None:
        """The stream is over, with these bytes. A client that is behind with reading gets them and no more."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        transport.write(last)
        if self._again is None or transport.get_write_buffer_size():
            transport.close()
            return
        self.connection_lost(None)
        protocol = self._again()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        transport.resume_reading()
        if self._said:
            protocol.data_received(self._said)

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()


class Opened(web.StreamResponse):
    """The answer that a stream is; `apart` is set when it goes on by itself."""

    apart: Apart | None = None
