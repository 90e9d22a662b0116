"""The server's own pages: its index, documents and metrics, and the way in for browsers.

It also answers for every path that no dialect owns, in a body that has the fields of all of them.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import msgspec
from aiohttp import web

from progresshub import __version__
from progresshub.edge import metrics, openapi
from progresshub.edge.docs import page, style
from progresshub.edge.proxies import proxies
from progresshub.edge.routes import JSON, Call, Dialect, Route
from progresshub.edge.sessions import SESSION_S
from progresshub.edge.tokenfile import LADDER
from progresshub.edge.tokens import Holder, Tokens
from progresshub.edge.wire import encode, reply
from progresshub.errors import HubError, InvalidRequest
from progresshub.settings import Config

CODE = {
    "invalid_request": (400, "VALIDATION_ERROR"),
    "invalid_field": (400, "VALIDATION_ERROR"),
    "invalid_payload": (400, "VALIDATION_ERROR"),
    "unknown_pipeline": (400, "VALIDATION_ERROR"),
    "unauthorized": (401, "UNAUTHORIZED"),
    "forbidden": (403, "FORBIDDEN"),
    "unknown_path": (404, "NOT_FOUND"),
    "unknown_task": (404, "NOT_FOUND"),
    "unknown_file": (404, "NOT_FOUND"),
    "wrong_method": (405, "METHOD_NOT_ALLOWED"),
    "too_slow": (408, "REQUEST_TIMEOUT"),
    "too_large": (413, "PAYLOAD_TOO_LARGE"),
    "unsupported_media": (415, "UNSUPPORTED_MEDIA_TYPE"),
    "foreign_host": (421, "MISDIRECTED_REQUEST"),
    "upgrade_needed": (426, "UPGRADE_REQUIRED"),
    "too_many": (429, "TOO_MANY_REQUESTS"),
    "unavailable": (503, "UNAVAILABLE"),
    "storage_full": (507, "STORAGE_FULL"),
}
RETRY_AFTER_S = "2"
PRIVATE = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
PAGE_HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class ErrorBody(msgspec.Struct):
    """A refusal with the fields of every dialect's; `detail` says the same as `message`."""

    error: str
    message: str
    status_code: int
    details: dict[str, Any]
    detail: str


class Api(msgspec.Struct):
    name: str
    summary: str
    paths: tuple[str, ...]


class Index(msgspec.Struct):
    """What is here. `links` are paths."""

    name: str
    version: str
    apis: list[Api]
    links: dict[str, str]


class Login(msgspec.Struct):
    """A token, or a launch code in its place."""

    token: str = ""
    code: str = ""


class Session(msgspec.Struct):
    """What whoever asks may do, and whether that is because they have logged in."""

    scopes: list[str]
    logged_in: bool = False


class LaunchQuery(msgspec.Struct):
    """The code is the one that the server shows when it starts. It works once, for ten minutes."""

    code: str


class Documents:
    """What is written about the dialects; each document is made when it is first asked for."""

    def __init__(self, dialects: tuple[Dialect, ...], config: Config) -> None:
        self.dialects = dialects
        self._base_path = config.server.base_path

    @cached_property
    def json(self) -> bytes:
        return encode(self._document)

    @cached_property
    def page(self) -> str:
        return page(self._document)

    @cached_property
    def _document(self) -> dict[str, Any]:
        return openapi.document(self.dialects, __version__, self._base_path)


TOKENS = web.AppKey("tokens", Tokens)
DOCUMENTS = web.AppKey("documents", Documents)


def furnish(app: web.Application, config: Config, tokens: Tokens, dialects: tuple[Dialect, ...]) -> None:
    """Give the application what the house's handlers need; `dialects` are all but the house."""
    app[TOKENS] = tokens
    app[DOCUMENTS] = Documents((*dialects, HOUSE), config)


def refuse(error: HubError) -> web.Response:
    status, code = CODE.get(error.code, (500, "INTERNAL_ERROR"))
    headers = {"Retry-After": RETRY_AFTER_S} if status in (429, 503) else None
    return reply(ErrorBody(code, error.message, status, error.details, error.message), status, headers)


async def index(call: Call[None, None]) -> web.Response:
    """What is here, for programs; whoever serves the page for people hands over to it."""
    base = call.config.server.base_path
    apis = [
        Api(dialect.name, dialect.summary, tuple(base + prefix for prefix in dialect.prefixes))
        for dialect in call.request.app[DOCUMENTS].dialects
        if dialect is not HOUSE
    ]
    links = {"docs": "/docs", "openapi": "/openapi.json", "health": "/health", "metrics": "/metrics"}
    body = Index("progresshub", __version__, apis, {name: base + path for name, path in links.items()})
    return reply(body, headers={"Vary": "Accept"})


async def docs(call: Call[None, None]) -> web.Response:
    return web.Response(text=call.request.app[DOCUMENTS].page, content_type="text/html", headers=PAGE_HEADERS)


async def docs_css(call: Call[None, None]) -> web.Response:
    return web.Response(text=style(), content_type="text/css", headers=PAGE_HEADERS)


async def openapi_json(call: Call[None, None]) -> web.Response:
    headers = {"Cache-Control": "no-cache"}
    return web.Response(body=call.request.app[DOCUMENTS].json, content_type=JSON, headers=headers)


async def metrics_text(call: Call[None, None]) -> web.Response:
    headers = {"Content-Type": metrics.CONTENT_TYPE_LATEST, "Cache-Control": "no-store"}
    return web.Response(body=metrics.exposition(call.hub), headers=headers)


async def launch(call: Call[LaunchQuery, None]) -> web.Response:
    """Where the start-up line's address leads: logged in, and on to the page.

    Whoever is in already just goes on, and so do programs that only look whether there is something.
    """
    tokens = call.request.app[TOKENS]
    on = web.Response(status=303, headers={"Location": f"{call.config.server.base_path}/", **PRIVATE})
    known = tokens.session(call.request.cookies.get(tokens.cookie, "")) is not None
    if known or call.request.method == "HEAD":
        return on
    return _logged_in(call, _redeem(call, call.query.code), on)


async def login(call: Call[None, Login]) -> web.Response:
    asked = call.body
    if bool(asked.token) == bool(asked.code):
        raise InvalidRequest(reason="it needs a token or a code")
    holder = _redeem(call, asked.code) if asked.code else call.request.app[TOKENS].verify(asked.token, _address(call))
    return _logged_in(call, holder, reply(_session(holder.scopes, logged_in=True), headers=PRIVATE))


async def logout(call: Call[None, None]) -> web.Response:
    tokens = call.request.app[TOKENS]
    tokens.log_out(call.request.cookies.get(tokens.cookie, ""))
    response = web.Response(status=204, headers=PRIVATE)
    response.del_cookie(tokens.cookie, path=_cookie_path(call))
    return response


async def session(call: Call[None, None]) -> web.Response:
    tokens = call.request.app[TOKENS]
    known = tokens.session(call.request.cookies.get(tokens.cookie, "")) is not None
    return reply(_session(call.scopes, logged_in=known), headers=PRIVATE)


def _session(scopes: frozenset[str], *, logged_in: bool) -> Session:
    return Session([scope for scope in LADDER if scope in scopes], logged_in)


def _redeem(call: Call[Any, Any], code: str) -> Holder:
    return call.request.app[TOKENS].redeem(code, _address(call))


def _address(call: Call[Any, Any]) -> str:
    return proxies(call.config.server.trusted_proxies).address(call.request)


def _cookie_path(call: Call[Any, Any]) -> str:
    return call.config.server.base_path or "/"


def _logged_in(call: Call[Any, Any], holder: Holder, response: web.Response) -> web.Response:
    tokens = call.request.app[TOKENS]
    response.set_cookie(
        tokens.cookie,
        tokens.log_in(holder),
        max_age=SESSION_S,
        path=_cookie_path(call),
        secure=proxies(call.config.server.trusted_proxies).secure(call.request),
        httponly=True,
        samesite="Strict",
    )
    return response


HOUSE = Dialect(
    name="house",
    summary="The server's own pages, and the way in for browsers",
    routes=(
        Route(method="GET", path="/docs", handler=docs, summary="This page", scope=None, answers={200: "text/html"}),
        Route(
            method="GET",
            path="/-/docs.css",
            handler=docs_css,
            summary="Its looks",
            scope=None,
            answers={200: "text/css"},
        ),
        Route(
            method="GET",
            path="/openapi.json",
            handler=openapi_json,
            summary="The same for programs",
            scope=None,
            answers={200: "application/json: an OpenAPI 3.1 document"},
        ),
        Route(
            method="GET",
            path="/metrics",
            handler=metrics_text,
            summary="Figures for monitoring",
            answers={200: "text/plain: in Prometheus' format"},
        ),
        Route(
            method="GET",
            path="/-/login",
            handler=launch,
            summary="Log a browser in by the address that the server shows at its start",
            scope=None,
            query=LaunchQuery,
            answers={303: "logged in; the page is at /"},
        ),
        Route(
            method="POST",
            path="/-/login",
            handler=login,
            summary="Log a browser in",
            scope=None,
            body=Login,
            answers={200: Session},
        ),
        Route(
            method="POST",
            path="/-/logout",
            handler=logout,
            summary="Log it out",
            scope=None,
            answers={204: "logged out"},
        ),
        Route(
            method="GET",
            path="/-/session",
            handler=session,
            summary="What you may do",
            scope=None,
            answers={200: Session},
        ),
    ),
    prefixes=("/-",),
    refuse=refuse,
)
