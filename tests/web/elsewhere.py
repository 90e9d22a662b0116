"""A web page of another origin than the server's, strict about what it loads."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

POLICY = (
    "default-src 'none'; script-src 'nonce-own' {hub}; connect-src {hub}; img-src {hub};"
    " require-trusted-types-for 'script'"
)


class Elsewhere:
    """Its one page holds what `show` says; `origin` is whom the server has to allow."""

    def __init__(self) -> None:
        self.origin = ""
        self._hub = ""
        self._body = ""

    @property
    def allowed(self) -> str:
        """The setting that lets its pages in."""
        return f'server.allowed_origins=["{self.origin}"]'

    def show(self, hub: str, body: str, script: str = "") -> None:
        """A page with this in it, which may load from `hub` alone; the script is a module."""
        self._hub = hub
        self._body = f'{body}<script type="module" nonce="own">{script}</script>'

    async def answer(self, request: web.Request) -> web.Response:
        page = f'<!doctype html><html lang="en"><title>Elsewhere</title><main>{self._body}</main></html>'
        headers = {"Content-Security-Policy": POLICY.format(hub=self._hub)}
        return web.Response(text=page, content_type="text/html", headers=headers)


@asynccontextmanager
async def another_site() -> AsyncIterator[Elsewhere]:
    elsewhere = Elsewhere()
    app = web.Application()
    app.router.add_get("/", elsewhere.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    elsewhere.origin = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield elsewhere
    finally:
        await runner.cleanup()
