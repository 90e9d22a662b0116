"""Which host a request is for, and which page it comes from: pure checks of what browsers say about themselves.

A page that makes its name resolve to this machine still sends its own name as `Host`, so names are
held against an exact list. The port is left out of it: rebinding can't change a name, and a port
forwarded from elsewhere keeps a local one. A literal address is no name, so nobody can rebind it;
it passes where the server listens on all of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from ipaddress import ip_address

from progresshub.errors import Forbidden, ForeignHost

LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
EVERYWHERE = frozenset({"", "*", "0.0.0.0", "::"})  # noqa: S104 - recognised, not listened on
SHOWN_CHARS = 100
_HOST = re.compile(r"(?:\[(?P<v6>[0-9a-f:.]+)\]|(?P<name>[a-z0-9_.-]+))(?::(?P<port>\d{1,5}))?", re.IGNORECASE)


@lru_cache(maxsize=512)
def host_name(host: str) -> str:
    """The name in a `Host`, lower case, without port and brackets; empty for what is none."""
    if is_address(host):
        return host.lower()
    match = _HOST.fullmatch(host)
    return "" if match is None else (match["v6"] or match["name"]).lower()


@lru_cache(maxsize=512)
def is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def listened(address: str) -> str:
    """The host in `host:port`, without brackets; `unix:` for a socket's path."""
    return "unix:" if address.startswith("unix:") else address.rpartition(":")[0].strip("[]").lower()


def is_local(address: str) -> bool:
    """Whether only this machine can reach what listens there."""
    host = listened(address)
    return host in ("unix:", "localhost") or (is_address(host) and ip_address(host).is_loopback)


class Hosts:
    """The names the server answers for. An allowed one with a port holds for that port alone."""

    def __init__(self, addresses: Iterable[str], allowed: Iterable[str]) -> None:
        names = {listened(address) for address in addresses}
        self._any_address = bool(names & EVERYWHERE)
        self._names = LOCAL | {host.lower() for host in allowed} | (names - EVERYWHERE - {"unix:"})

    def check(self, given: Sequence[str], *others: str) -> None:
        """Refuse a request that does not name exactly one host, or anywhere one that is not ours."""
        if len(given) != 1:
            raise ForeignHost(host=", ".join(given)[:SHOWN_CHARS] or "(none)")
        for host in {*given, *others}:  # mostly one and the same
            name = host_name(host)
            if name not in self._names and host.lower() not in self._names and not self._is_any(name):
                raise ForeignHost(host=host[:SHOWN_CHARS])

    def _is_any(self, name: str) -> bool:
        return self._any_address and is_address(name)


class Origins:
    """Whose pages may call the APIs: our own, those that are named, or with `*` any, but then without credentials."""

    def __init__(self, allowed: Iterable[str]) -> None:
        named = {origin.lower().rstrip("/") for origin in allowed}
        self.some = bool(named)
        self.any = "*" in named
        self._named = named - {"*"}

    def names(self, origin: str) -> bool:
        return origin.lower() in self._named

    def allows(self, origin: str) -> bool:
        return self.any or self.names(origin)

    def trusts(self, origin: str | None, host: str) -> bool:
        """Whether a cookie that comes along may speak for the user."""
        return origin is None or is_own(origin, host) or self.names(origin)

    def check(self, method: str, headers: Mapping[str, str], host: str) -> None:
        """Refuse what a foreign page makes a browser send, unless it is a person following a link."""
        origin = headers.get("Origin")
        if origin is not None:
            if not is_own(origin, host) and not self.allows(origin):
                raise Forbidden(reason=f"pages of {origin[:SHOWN_CHARS]} are not named in server.allowed_origins")
            return
        elsewhere = headers.get("Sec-Fetch-Site") in ("cross-site", "same-site")
        if elsewhere and not is_visit(method, headers) and not self.allows(origin_of(headers.get("Referer", ""))):
            raise Forbidden(reason="the page it comes from is not named in server.allowed_origins")


def is_own(origin: str, host: str) -> bool:
    """Whether a page of this origin was served under the same host and port as the request is for."""
    scheme, _, authority = origin.lower().partition("://")
    return scheme in ("http", "https") and authority == host.lower()


def is_visit(method: str, headers: Mapping[str, str]) -> bool:
    """Somebody goes to another page in a tab of its own: nothing of it is shown to the page they left."""
    visit = headers.get("Sec-Fetch-Mode") == "navigate" and headers.get("Sec-Fetch-Dest") == "document"
    return visit and method in ("GET", "HEAD")


def origin_of(url: str) -> str:
    """The origin of a page's address; a browser tells it of media and downloads, which send no `Origin`."""
    scheme, separator, rest = url.partition("://")
    return f"{scheme}{separator}{rest.partition('/')[0]}"
