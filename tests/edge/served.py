"""The whole application on a real socket, behind its guard, with as much of the house as a test asks for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from progresshub.clock import Clock
from progresshub.dialects import DIALECTS, generations
from progresshub.edge import house
from progresshub.edge.app import Site
from progresshub.edge.door import Door
from progresshub.edge.guard import Guard
from progresshub.edge.routes import Dialect
from progresshub.edge.tokens import Tokens
from progresshub.registry.hub import Hub
from progresshub.settings import Config, Server
from progresshub.web import WEB
from tests.parts import a_hub


class Served(NamedTuple):
    client: TestClient[web.Request, web.Application]
    app: web.Application
    tokens: Tokens
    hub: Hub

    @property
    def port(self) -> int:
        return self.client.port or 0

    async def status(self, method: str, path: str, **headers: str) -> int:
        """The status of an answer to a request with these headers, `_` standing for `-`."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.client.request(method, path, headers=named, allow_redirects=False) as response:
            return response.status


def config(**sections: Any) -> Config:
    """Settings; `server` may be given as a dictionary."""
    if isinstance(sections.get("server"), dict):
        sections["server"] = Server(**sections["server"])
    return Config(**sections)


@asynccontextmanager
async def served(
    data: Path,
    *,
    settings: Config | None = None,
    addresses: Sequence[str] = ("127.0.0.1:8080",),
    dialects: tuple[Dialect, ...] = (*DIALECTS, WEB),
    clock: Clock | None = None,
    **given: Any,
) -> AsyncIterator[Served]:
    """What else is `given` goes to the hub."""
    settings = settings or Config()
    async with a_hub(data, **given) as hub:
        tokens = Tokens(settings, data, clock)
        guard = Guard(settings, tokens, addresses)
        site = Site(hub, settings, dialects, fallback=house.HOUSE, guard=guard, door=Door(100, 30.0))
        app = site.app()
        house.furnish(app, settings, tokens, dialects)
        generations.furnish(app, hub, settings.generations)
        async with TestClient(TestServer(app)) as client:
            yield Served(client, app, tokens, hub)
