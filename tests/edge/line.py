"""One connection to a server, read answer by answer, and requests about one task as bytes."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

from tests.serving import Client, serving
from tests.wait import PATIENCE_S


class Asked:
    """A task, and requests for its progress as bytes."""

    def __init__(self, server: Client, task_id: str) -> None:
        self.server = server
        self.path = f"/api/v1/tasks/{task_id}/progress"

    def get(self, path: str = "", *headers: str, host: str = "localhost") -> bytes:
        lines = (f"GET {path or self.path} HTTP/1.1", f"Host: {host}", *headers, "", "")
        return "\r\n".join(lines).encode()

    def post(self, body: str, *headers: str, of: str = "application/json", path: str = "") -> bytes:
        about = (f"Content-Type: {of}", f"Content-Length: {len(body.encode())}", *headers)
        lines = (f"POST {path or self.path} HTTP/1.1", "Host: localhost", *about, "", body)
        return "\r\n".join(lines).encode()


@asynccontextmanager
async def asked(data: Path, *flags: str) -> AsyncIterator[Asked]:
    """An external task that has got to 10 %."""
    async with serving(data, *flags) as server:
        task_id = await server.submit("external")
        await server.report(task_id, percent=10)
        yield Asked(server, task_id)


class Line:
    """A connection that is read answer by answer."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def answer(self) -> tuple[bytes, bytes]:
        """Head and body of the next one."""
        async with asyncio.timeout(PATIENCE_S):
            head = await self._reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"Content-Length: (\d+)", head)
            return head, await self._reader.readexactly(int(length[1])) if length else b""

    async def until(self, mark: bytes) -> bytes:
        """What comes, up to the mark."""
        async with asyncio.timeout(PATIENCE_S):
            return await self._reader.readuntil(mark)

    async def rest(self) -> bytes:
        """What still comes until the connection is closed."""
        async with asyncio.timeout(PATIENCE_S):
            try:
                return await self._reader.read()
            except ConnectionError:
                return b""

    async def percents(self, answers: int) -> list[bytes]:
        """The percentages in the next answers, empty where there is none."""
        bodies = [(await self.answer())[1] for _ in range(answers)]
        return [b"".join(re.findall(rb'"percentage":(\d+)', body)) for body in bodies]


@asynccontextmanager
async def line_to(url: str) -> AsyncIterator[Line]:
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        yield Line(reader, writer)
    finally:
        writer.close()
