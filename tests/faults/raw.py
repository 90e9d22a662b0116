"""A connection below HTTP, for clients that do not behave."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from tests.wait import PATIENCE_S

DRIP_S = 0.02
LIVE = b"GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Raw:
    """Sends bytes, and reads answers only when it is asked to."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._loop = asyncio.get_running_loop()

    async def send(self, data: bytes) -> None:
        await self._loop.sock_sendall(self.sock, data)

    async def answer(self) -> bytes:
        """What comes next, in one piece; empty when the connection is closed instead."""
        async with asyncio.timeout(PATIENCE_S):
            try:
                return await self._loop.sock_recv(self.sock, 65_536)
            except ConnectionError:
                return b""

    async def alive(self) -> bool:
        """Whether a request gets its answer."""
        try:
            await self.send(LIVE)
        except ConnectionError:
            return False
        return b'"alive"' in await self.answer()

    async def drip(self, data: bytes) -> None:
        """Send it over and over, a little at a time, until the other side has had enough."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                try:
                    async with asyncio.timeout(DRIP_S):
                        if not await self._loop.sock_recv(self.sock, 65_536):
                            return
                except TimeoutError:
                    pass
                except ConnectionError:
                    return
                try:
                    await self.send(data)
                except ConnectionError:
                    return


@asynccontextmanager
async def raw(url: str, *, receive_bytes: int = 0) -> AsyncIterator[Raw]:
    """A connection to a server; with a small receive buffer the server soon notices that nobody reads."""
    address = urlsplit(url)
    with socket.socket() as sock:
        if receive_bytes:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        sock.setblocking(False)
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.get_running_loop().sock_connect(sock, (address.hostname, address.port))
        yield Raw(sock)
