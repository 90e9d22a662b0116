"""A server on a private address that must not be reached, and knows whether it was."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass


@dataclass
class Canary:
    port: int
    touched: int = 0


@asynccontextmanager
async def canary(host: str = "127.0.0.1") -> AsyncIterator[Canary]:
    """It counts connections, not requests: not even one may be opened."""
    bird = Canary(0)

    async def sing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        bird.touched += 1
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: video/mp4\r\nContent-Length: 6\r\n\r\nsecret")
        writer.close()

    server = await asyncio.start_server(sing, host, 0)
    bird.port = server.sockets[0].getsockname()[1]
    async with server:
        yield bird
