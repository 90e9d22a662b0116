"""The web application: every dialect's routes behind one guard, and every refusal in its dialect's words."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from aiohttp import hdrs, web

from progresshub.edge.door import Door
from progresshub.edge.guard import Guard
from progresshub.edge.requestid import REQUEST_ID, request_id
from progresshub.edge.routes import FORM, Call, Dialect, Route
from progresshub.edge.uploads import UPLOADS, Uploads
from progresshub.edge.wire import JSON_TYPE, encode, read, read_query
from progresshub.errors import HubError, InvalidRequest, TooLarge, TooSlow, Unavailable, UnknownPath, WrongMethod
from progresshub.registry.hub import Hub
from progresshub.settings import Config
from progresshub.supervisor import supervised


class Answer(NamedTuple):
    """An answer that is whole."""

    status: int
    headers: Iterable[tuple[str, str]]
    body: bytes


class Site:
    """The dialects, and which of them owns a path."""

    def __init__(
        self, hub: Hub, config: Config, dialects: Sequence[Dialect], *, fallback: Dialect, guard: Guard, door: Door
    ) -> None:
        self._hub = hub
        self._config = config
        self._dialects = dialects
        self._fallback = fallback
        self._guard = guard
        self._door = door

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self._answer], client_max_size=max(1, self._config.limits.body_bytes))
        app.on_response_prepare.append(self._label)
        app[UPLOADS] = Uploads(self._hub.files, self._config)
        routes = [route for dialect in (*self._dialects, self._fallback) for route in dialect.routes]
        for route in sorted(routes, key=lambda route: route.prompt is None):
            handler = partial(self._serve, route)
            for method in (route.method, hdrs.METH_HEAD) if route.method == hdrs.METH_GET else (route.method,):
                app.router.add_route(method, self._config.server.base_path + route.path, handler)
        return app

    def prompt_routes(self) -> Iterator[tuple[str, Route]]:
        """The routes that may answer at once, each with its whole path."""
        for dialect in self._dialects:
            yield from ((self._config.server.base_path + route.path, route) for route in dialect.routes if route.prompt)

    def promptly(self, route: Route, request: web.Request, names: Mapping[str, str], body: bytes) -> Answer | None:
        """What such a route answers at once, through the same guard as ever; None where its handler has to."""
        if route.prompt is None:
            return None
        self._door.spoke(request.protocol)
        try:
            with supervised(request.method, request.path):
                scopes = self._guard.admit(request, route, names.get("id", ""))
                query = None if route.query is None else read_query({}, route.query)
                value = route.prompt(Call(self._hub, self._config, request, query, body, scopes, names))
        except HubError as error:
            refusal = self._refused(request, error)
            headers = (*refusal.headers.items(), *self._labels(request))
            return Answer(refusal.status, headers, refusal.body) if isinstance(refusal.body, bytes) else None
        return None if value is None else Answer(200, (*JSON_TYPE.items(), *self._labels(request)), encode(value))

    def _owner(self, path: str) -> Dialect:
        path = path.removeprefix(self._config.server.base_path)
        owned = (d for d in self._dialects if any(path == p or path.startswith(f"{p}/") for p in d.prefixes))
        return next(owned, self._fallback)

    @web.middleware
    async def _answer(self, request: web.Request, handler: Any) -> web.StreamResponse:
        """Hand a request on, and turn whatever is refused into an answer of the path's dialect."""
        self._door.spoke(request.protocol)
        try:
            with supervised(request.method, request.path):
                return await self._handled(request, handler)
        except HubError as error:
            if request.writer.output_size and request.transport is not None:
                request.transport.abort()  # an answer is under way already; all that can be done is to break it off
            return self._refused(request, error)

    async def _label(self, request: web.Request, response: web.StreamResponse) -> None:
        """What every answer carries, a stream as well, whose headers are gone when its handler returns."""
        for name, value in self._labels(request):
            known = response.headers.get(name, value)
            response.headers[name] = value if known == value or name != hdrs.VARY else f"{known}, {value}"

    def _labels(self, request: web.Request) -> Iterable[tuple[str, str]]:
        return ((REQUEST_ID, request_id(request)), *self._guard.cors(request).items())

    def _refused(self, request: web.Request, error: HubError) -> web.Response:
        response = self._owner(request.path).refuse(error)
        if isinstance(error, WrongMethod):
            response.headers[hdrs.ALLOW] = ", ".join(error.details["allowed"])
        if error.code == "unauthorized":
            response.headers[hdrs.WWW_AUTHENTICATE] = "Bearer"
        return response

    async def _handled(self, request: web.Request, handler: Any) -> web.StreamResponse:
        try:
            if request.match_info.http_exception is not None:
                self._guard.admit(request, None, "")
                if request.method == hdrs.METH_OPTIONS and isinstance(
                    request.match_info.http_exception, web.HTTPMethodNotAllowed
                ):
                    return self._guard.preflight(request, request.match_info.http_exception.allowed_methods)
            response: web.StreamResponse = await handler(request)
        except web.HTTPNotFound:
            raise UnknownPath(path=request.path) from None
        except web.HTTPMethodNotAllowed as error:
            allowed = sorted(error.allowed_methods)
            raise WrongMethod(path=request.path, method=error.method, allowed=allowed) from None
        except web.HTTPRequestEntityTooLarge:
            raise TooLarge(limit_bytes=self._config.limits.body_bytes) from None
        except ConnectionError:
            raise Unavailable(reason="the client has left") from None
        return response

    async def _serve(self, route: Route, request: web.Request) -> web.StreamResponse:
        names = request.match_info
        scopes = self._guard.admit(request, route, names.get("id", ""))
        query = None if route.query is None else read_query(request.query, route.query)
        call = Call(self._hub, self._config, request, query, await self._body(route, request), scopes, names)
        response: web.StreamResponse = await route.handler(call)
        return response

    async def _body(self, route: Route, request: web.Request) -> Any:
        if route.body is None or (route.upload is not None and request.content_type == FORM):
            return None
        patience_s = self._config.server.request_timeout_s
        try:
            async with asyncio.timeout(patience_s):
                data = await request.read()
        except TimeoutError:
            raise TooSlow(limit_s=patience_s) from None
        if route.raw:
            return data
        if not data:
            raise InvalidRequest(reason="it has no body")
        return read(data, route.body)
