"""WebSocket messages on the wire, and one connection that carries them, beside SSE's on the same bus.

A message is framed once for all who watch: servers do not mask (RFC 6455, 5.1), so the bytes are
the same for everybody. What clients say is read and left alone; pings and the end are aiohttp's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from functools import cache

from aiohttp import WSCloseCode, web

from progresshub.bus import Encoding
from progresshub.edge.outlet import Outlet
from progresshub.errors import UpgradeNeeded
from progresshub.model import Event
from progresshub.settings import Streams

MOST_SAID_BYTES = 65_536
CLOSE_S = 2.0
_TEXT = 0x81

Messages = Callable[[Event], Iterable[bytes]]


@cache
def encoding(messages: Messages) -> Encoding:
    """How watchers see a dialect's messages (JSON texts); the same function gives the same encoding."""
    return Encoding(lambda event: b"".join(map(text, messages(event))), bytes, b"", b"")


def text(message: bytes) -> bytes:
    """A text message as one unmasked frame (RFC 6455, 5.2)."""
    size = len(message)
    if size < 126:
        return bytes((_TEXT, size)) + message
    if size < 1 << 16:
        return bytes((_TEXT, 126)) + size.to_bytes(2) + message
    return bytes((_TEXT, 127)) + size.to_bytes(8) + message


class Socket(Outlet):
    """A watcher's connection over WebSocket, and the request handler that waits beside it."""

    def __init__(self, request: web.Request, settings: Streams) -> None:
        super().__init__(settings)
        self._request = request
        self._socket = web.WebSocketResponse(
            heartbeat=settings.heartbeat_s, compress=False, max_msg_size=MOST_SAID_BYTES, timeout=CLOSE_S
        )
        self._code: int = WSCloseCode.GOING_AWAY

    async def open(self) -> None:
        """Go over to WebSocket; UpgradeNeeded when that was not asked for."""
        if not self._socket.can_prepare(self._request):
            raise UpgradeNeeded(path=self._request.path)
        await self._socket.prepare(self._request)
        self.connect(self._request.transport)

    async def send(self, message: bytes) -> None:
        """Send one message to this watcher alone. Only before its subscription is released."""
        if self.over.done():
            return
        try:
            async with asyncio.timeout(self.settings.stalled_deadline_s):
                await self._socket.send_str(message.decode())
        except (TimeoutError, ConnectionError):
            self.cut()

    def ended(self, event: Event) -> bool:
        over = super().ended(event)
        if over:
            self._code = WSCloseCode.OK
        return over

    def finish(self, code: int | None = None) -> None:
        """Everything has been written: close with that code, or as it ends: well, or because the server stops."""
        if code is not None and not self.over.done():
            self._code = code
        super().finish()

    async def wait(self) -> web.WebSocketResponse:
        """Until it is over, or the client has left; the subscription writes meanwhile."""
        listening = asyncio.ensure_future(self._listen())
        try:
            await asyncio.wait([listening, self.over], return_when=asyncio.FIRST_COMPLETED)
        finally:
            listening.cancel()
            await asyncio.wait([listening])
        await self._close()
        return self._socket

    async def _listen(self) -> None:
        async for _ in self._socket:
            continue

    async def _close(self) -> None:
        """A peer that has stopped reading is not waited for: it is dropped."""
        try:
            async with asyncio.timeout(CLOSE_S):
                await self._socket.close(code=self._code)
        except (TimeoutError, ConnectionError):
            self.cut()
