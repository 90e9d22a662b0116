"""The one chain that every request passes before anything is done for it.

Its order is fixed: host, page of origin, who asks, content type, length. Each link is a check of
its own; a request that none of them refuses has the scopes that `admit` returns.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from aiohttp import web

from progresshub.edge.hosts import Hosts, Origins, is_local
from progresshub.edge.proxies import proxies
from progresshub.edge.routes import FORM, Route
from progresshub.edge.tokens import Holder, Tokens, implied
from progresshub.edge.uploads import BESIDES_BYTES
from progresshub.errors import Forbidden, StartupError, TooLarge, Unauthorized, UnsupportedMedia
from progresshub.settings import Config, Server

PROBES = frozenset({"/health", "/ready", "/live"})
OPEN = implied(["submit"])
READ = implied(["read"])
NOTHING: frozenset[str] = frozenset()
SHARE = "share"

EXPOSED = "Content-Disposition, Content-Range, Retry-After, X-Log-Offset, X-Log-Size, X-Request-ID"
ASKED = (
    "Accept, Authorization, Cache-Control, Content-Type, Idempotency-Key, Last-Event-ID, Prefer, Range, X-Request-ID"
)
PREFLIGHT_KEPT_S = "600"


def check_exposure(config: Config, tokens: Tokens) -> None:
    """Refuse to start where others than this machine's users could come in without a token."""
    if tokens.configured or config.server.insecure or not is_exposed(config.server):
        return
    raise StartupError(
        reason="it would be open to other machines; make a token first (progresshub token add NAME),"
        " listen on 127.0.0.1 without trusted proxies, or say --insecure"
    )


def is_exposed(server: Server) -> bool:
    """Whether other machines reach it: at its own addresses, or through a proxy that it was told of."""
    return bool(server.trusted_proxies) or not all(map(is_local, server.listen or (f"{server.host}:{server.port}",)))


class Guard:
    """The chain, for the addresses that the server listens on."""

    def __init__(self, config: Config, tokens: Tokens, addresses: Sequence[str]) -> None:
        server = config.server
        self._tokens = tokens
        self._hosts = Hosts(addresses, server.allowed_hosts)
        self._origins = Origins(server.allowed_origins)
        self._proxies = proxies(server.trusted_proxies)
        self._may_be_open = server.insecure or not is_exposed(server)
        self._config = config

    def admit(self, request: web.Request, route: Route | None, subject: str) -> frozenset[str]:
        """The scopes of whoever asks about `subject`, the path's `id`, empty where it has none.

        Without a route (nothing is there) all but the last checks hold.
        """
        host = self._proxies.host(request)
        by_path = isinstance(request.get_extra_info("sockname"), str)
        if not by_path and (route is None or route.path not in PROBES):
            self._hosts.check(request.headers.getall("Host", ()), request.host, host)
        if request.method == "OPTIONS":
            return NOTHING
        if _is_shared(request, route) and self._tokens.shares.opens(request.query.get(SHARE, ""), subject):
            return READ  # whoever has the address may read there, on whatever page it stands
        self._origins.check(request.method, request.headers, host)
        scopes = self._scopes(request, route, host, subject)
        if route is not None and request.body_exists:
            if route.has_body:
                check_media(request.content_type, route.takes)
            check_length(request.content_length, self._most_bytes(route, request.content_type))
        return scopes

    def cors(self, request: web.Request) -> Mapping[str, str]:
        """What lets the pages of allowed origins read an answer; credentials only for those that are named."""
        if not self._origins.some:
            return {}
        origin = request.headers.get("Origin")
        if origin is not None and self._origins.names(origin):
            shared = {"Access-Control-Allow-Origin": origin, "Access-Control-Allow-Credentials": "true"}
        elif self._origins.any:
            shared = {"Access-Control-Allow-Origin": "*"}
        else:
            return {"Vary": "Origin"}
        return {**shared, "Access-Control-Expose-Headers": EXPOSED, "Vary": "Origin"}

    def preflight(self, request: web.Request, methods: Iterable[str]) -> web.Response:
        """The answer to OPTIONS, for browsers that ask before they send, and for anybody else."""
        allowed = ", ".join(sorted({*methods, "OPTIONS"}))
        headers = {"Allow": allowed, **self.cors(request)}
        if "Access-Control-Allow-Origin" in headers:
            headers["Access-Control-Allow-Methods"] = allowed
            headers["Access-Control-Allow-Headers"] = ASKED
            headers["Access-Control-Max-Age"] = PREFLIGHT_KEPT_S
            if request.headers.get("Access-Control-Request-Private-Network") == "true":
                headers["Access-Control-Allow-Private-Network"] = "true"
        return web.Response(status=204, headers=headers)

    def _most_bytes(self, route: Route, content_type: str) -> int:
        if route.upload is not None and content_type == FORM:
            return route.upload.most_bytes(self._config) + BESIDES_BYTES
        return self._config.limits.body_bytes

    def _scopes(self, request: web.Request, route: Route | None, host: str, subject: str) -> frozenset[str]:
        """What whoever asks may do; where everybody may do what is asked, a token that means nothing is no matter."""
        needed = None if route is None else route.scope
        everybody = OPEN if self._may_be_open and not self._tokens.configured else NOTHING
        enough = needed is None or needed in everybody
        holder: Holder | None
        authorization = request.headers.get("Authorization")
        token = "" if authorization is None else bearer(authorization)
        shared = _is_shared(request, route)
        if shared and self._tokens.shares.opens(token, subject):
            return everybody | READ
        if token:
            holder = (
                self._tokens.holder(token) if enough else self._tokens.verify(token, self._proxies.address(request))
            )
        else:
            holder = self._session(request, host)
        scopes = everybody if holder is None else everybody | holder.scopes
        if needed is None or needed in scopes:
            return scopes
        if shared and self._tokens.shares.opens(self._cookie(request, self._tokens.share_cookie, host), subject):
            return scopes | READ
        if holder is None:
            raise Unauthorized
        raise Forbidden(reason=f"it needs a token of scope {needed}")

    def _session(self, request: web.Request, host: str) -> Holder | None:
        cookie = self._cookie(request, self._tokens.cookie, host)
        return self._tokens.session(cookie) if cookie else None

    def _cookie(self, request: web.Request, name: str, host: str) -> str:
        """A cookie's value, if the page that sends it may speak for the user; else it is empty."""
        if "Cookie" not in request.headers or not self._origins.trusts(request.headers.get("Origin"), host):
            return ""
        return request.cookies.get(name, "")


def _is_shared(request: web.Request, route: Route | None) -> bool:
    """Whether a ticket could let read what is asked for."""
    return route is not None and route.shared and request.method in ("GET", "HEAD")


def bearer(authorization: str) -> str:
    """The token of an `Authorization: Bearer`; empty for anything else."""
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def check_media(content_type: str, takes: Sequence[str]) -> None:
    if content_type not in takes:
        raise UnsupportedMedia(content_type=content_type, expected=" or ".join(takes))


def check_length(content_length: int | None, limit_bytes: int) -> None:
    """What is announced; what comes is counted as it is read."""
    if content_length is not None and content_length > limit_bytes:
        raise TooLarge(limit_bytes=limit_bytes)
