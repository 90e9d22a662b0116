"""The dashboard's files as they are served: from memory, compressed once, and never anything that is not ours.

The shell names the files by a version made of all their contents, so that browsers keep them for
good; under any other version they are served as well, and asked for again each time.
"""

from __future__ import annotations

import gzip
import mimetypes
import re
from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from html import escape
from importlib.resources import files
from typing import NamedTuple

from aiohttp import web

from progresshub import __version__
from progresshub.edge import house
from progresshub.edge.routes import Call, Route
from progresshub.errors import UnknownPath

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "media-src 'self'; base-uri 'self'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
SAFE = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
SHELL_HEADERS = {
    **SAFE,
    "Content-Security-Policy": POLICY,
    "Cache-Control": "no-cache",
    "Vary": "Accept",
}
FOREVER = "public, max-age=31536000, immutable"
SHELL = "index.html"
MODULE = "progresshub.js"
FIRST = "list.js"
COMPRESSES = 0.9
"""A file that gzip makes no smaller than this share of itself is sent as it is."""
_IMPORT = re.compile(r'^import .*from "\./([\w.-]+)";$', re.MULTILINE)
_PLACE = re.compile(r"\{(\w+)\}")


class Asset(NamedTuple):
    """A file in memory; `compressed` is empty where that saves nothing."""

    data: bytes
    compressed: bytes
    content_type: str
    etag: str


@cache
def assets() -> Mapping[str, Asset]:
    """Every file of the dashboard by its name."""
    folder = files("progresshub") / "web" / "static"
    return {path.name: _asset(path.name, path.read_bytes()) for path in folder.iterdir() if path.is_file()}


@cache
def version() -> str:
    """What changes whenever one of the files does."""
    etags = "".join(asset.etag for _, asset in sorted(assets().items()))
    return sha256(etags.encode()).hexdigest()[:12]


@cache
def shell(base_path: str, module: str = FIRST) -> str:
    """The page that all pages of the dashboard begin with; what is shown is decided in the browser.

    It names the scripts that it will want, or each would wait for the one that asks for it.
    """
    text = assets()[SHELL].data.decode()
    wanted = sorted(_imported("main.js") | _imported(module))
    preloads = "\n".join(f'<link rel="modulepreload" href="-/web/{version()}/{name}">' for name in wanted)
    said = {"base": escape(base_path), "preloads": preloads, "version": version(), "release": __version__}
    return _PLACE.sub(lambda place: said[place[1]], text)


def _imported(module: str) -> set[str]:
    """A script, and all that it can't begin without."""
    names, new = set(), {module}
    while new:
        names |= new
        new = {name for known in new for name in _IMPORT.findall(assets()[known].data.decode())} - names
    return names


def wants_page(request: web.Request) -> bool:
    """Whether it is a browser that goes somewhere, rather than a program that asks."""
    return "text/html" in request.headers.get("Accept", "")


async def front(call: Call[None, None]) -> web.Response:
    """A page for people, a list for programs."""
    return await page(call) if wants_page(call.request) else await house.index(call)


async def page(call: Call[None, None]) -> web.Response:
    return _shell(call, FIRST)


async def new(call: Call[None, None]) -> web.Response:
    return _shell(call, "new.js")


async def task(call: Call[None, None]) -> web.Response:
    return _shell(call, "task.js")


def _shell(call: Call[None, None], module: str) -> web.Response:
    text = shell(call.config.server.base_path, module)
    return web.Response(text=text, content_type="text/html", headers=SHELL_HEADERS)


async def file(call: Call[None, None]) -> web.Response:
    asset = assets().get(call.path("name"))
    if asset is None or call.path("name") == SHELL:
        raise UnknownPath(path=call.request.path)
    return _answer(call.request, asset, FOREVER if call.path("version") == version() else "no-cache")


async def module(call: Call[None, None]) -> web.Response:
    """The client module, at an address that stays; pages of allowed origins import it."""
    answer = _answer(call.request, assets()[MODULE], "no-cache")
    answer.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return answer


def _answer(request: web.Request, asset: Asset, caching: str) -> web.Response:
    headers = {**SAFE, "Cache-Control": caching, "ETag": f'"{asset.etag}"', "Vary": "Accept-Encoding"}
    if asset.etag in request.headers.get("If-None-Match", ""):
        return web.Response(status=304, headers=headers)
    body = asset.data
    if asset.compressed and "gzip" in request.headers.get("Accept-Encoding", ""):
        headers["Content-Encoding"] = "gzip"
        body = asset.compressed
    return web.Response(body=body, content_type=asset.content_type, charset="utf-8", headers=headers)


def _asset(name: str, data: bytes) -> Asset:
    compressed = gzip.compress(data, 9, mtime=0)
    saves = len(compressed) < COMPRESSES * len(data)
    content_type = "text/javascript" if name.endswith(".js") else mimetypes.guess_type(name)[0] or "text/plain"
    return Asset(data, compressed if saves else b"", content_type, sha256(data).hexdigest()[:16])


HTML = {200: "text/html"}

ROUTES = (
    Route(
        method="GET",
        path="/",
        handler=front,
        summary="The dashboard; what is here, for programs",
        scope=None,
        answers={200: house.Index},
    ),
    Route(method="GET", path="/new", handler=new, summary="The dashboard's forms", scope=None, answers=HTML),
    Route(method="GET", path="/tasks/{id}", handler=task, summary="A task's page", scope=None, answers=HTML),
    Route(
        method="GET",
        path=f"/{MODULE}",
        handler=module,
        summary="A module that watches tasks from any web page",
        scope=None,
        answers={200: "text/javascript", 304: "it is what you have"},
    ),
    Route(
        method="GET",
        path="/-/web/{version}/{name}",
        handler=file,
        summary="A file of the dashboard",
        scope=None,
        answers={200: "the file", 304: "it is what you have"},
    ),
)
