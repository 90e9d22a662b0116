"""The server that the command line speaks to: where it is, and the right to ask it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

import aiohttp

from progresshub.errors import Unavailable

UNIX = "unix:"


class Address(NamedTuple):
    """Where a server is, and the local token for it; `token` is empty where there is none."""

    url: str
    token: str


def address(data: Path) -> Address | None:
    """The server that uses this data directory, as it left word; None when there is none."""
    try:
        told = json.loads((data / "server.json").read_text())
        token = (data / "token").read_text().strip()
    except (FileNotFoundError, ValueError):
        return None
    return Address(told["urls"][0], token)


class Remote:
    """An async context: a session with one server."""

    def __init__(self, where: Address) -> None:
        unix = where.url.startswith(UNIX)
        connector = aiohttp.UnixConnector(where.url.removeprefix(UNIX)) if unix else aiohttp.TCPConnector()
        self._session = aiohttp.ClientSession(
            base_url="http://localhost" if unix else where.url,
            connector=connector,
            headers={"Authorization": f"Bearer {where.token}"} if where.token else {},
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=5),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def answers(self) -> bool:
        try:
            async with self._session.get("/live") as response:
                return response.ok
        except aiohttp.ClientError:
            return False

    async def submit(self, kind: str, payload: Mapping[str, Any], **more: Any) -> str:
        """Submit a task; returns its id."""
        created = await self.post("/api/v1/tasks", {"type": kind, "payload": payload, **more})
        return str(created["task_id"])

    async def get(self, path: str) -> Any:
        async with self._session.get(path) as response:
            response.raise_for_status()
            return await response.json()

    async def post(self, path: str, body: Any) -> Any:
        async with self._session.post(path, json=body) as response:
            answer = await response.json()
            if not response.ok:
                raise Unavailable(f"The server refuses: {answer.get('error')}")
            return answer

    async def events(self, path: str, **query: str) -> AsyncIterator[tuple[str, Any]]:
        """The events of a stream, each with its data, until it ends."""
        name = ""
        async with self._session.get(path, params=query) as response:
            response.raise_for_status()
            async for line in response.content:
                field, _, value = line.decode().rstrip("\n").partition(": ")
                if field == "event":
                    name = value
                elif field == "data":
                    yield name, json.loads(value)
