"""A wire between a browser and a server that can be cut, and mended again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

READ_BYTES = 65_536


class Wire:
    """Hands bytes on, both ways; while it is cut, every connection ends at once."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._cut = False
        self._writers: set[asyncio.StreamWriter] = set()
        self.url = ""

    def cut(self) -> None:
        self._cut = True
        for writer in self._writers:
            writer.transport.abort()

    def mend(self) -> None:
        self._cut = False

    async def join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._cut:
            writer.transport.abort()
            return
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._port)
        pair = {writer, server_writer}
        self._writers |= pair
        with suppress(ConnectionError):
            await asyncio.gather(_hand_on(reader, server_writer), _hand_on(server_reader, writer))
        self._writers -= pair
        for end in pair:
            end.transport.abort()


async def _hand_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(READ_BYTES):
        writer.write(data)
        await writer.drain()
    writer.close()


@asynccontextmanager
async def wire(url: str) -> AsyncIterator[Wire]:
    """A wire to the server at that address, with an address of its own."""
    joined = Wire(urlsplit(url).port or 80)
    listening = await asyncio.start_server(joined.join, "127.0.0.1", 0)
    joined.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    try:
        yield joined
    finally:
        joined.cut()
        listening.close()
        await listening.wait_closed()
