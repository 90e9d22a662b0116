"""What reverse proxies say of the client they speak for. Only the word of those named in the settings holds."""

from __future__ import annotations

from functools import cache, lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from aiohttp import web

from progresshub.errors import InvalidConfig


class Proxies:
    """The trusted proxies, by address or network."""

    def __init__(self, trusted: tuple[str, ...]) -> None:
        self._networks = tuple(map(_network, trusted))
        self._trusts = lru_cache(maxsize=512)(self._is_trusted)

    def address(self, request: web.Request) -> str:
        """The client's address: the nearest one that is no trusted proxy's."""
        address = request.remote or ""
        if self.between(request):
            for hop in reversed(",".join(request.headers.getall("X-Forwarded-For", ())).split(",")):
                if hop.strip():
                    address = hop.strip()
                if not self._trusts(address):
                    break
        return address

    def host(self, request: web.Request) -> str:
        """The host and port that the client asked for."""
        own = request.headers.get("Host", "")
        return request.headers.get("X-Forwarded-Host", own) if self.between(request) else own

    def secure(self, request: web.Request) -> bool:
        """Whether the client came by https."""
        return request.secure or (self.between(request) and request.headers.get("X-Forwarded-Proto") == "https")

    def between(self, request: web.Request) -> bool:
        """Whether it is a trusted proxy that speaks to us."""
        return bool(self._networks) and self._trusts(request.remote or "")

    def _is_trusted(self, address: str) -> bool:
        try:
            ip = ip_address(address)
        except ValueError:
            return False
        return any(ip in network for network in self._networks)


@cache
def proxies(trusted: tuple[str, ...]) -> Proxies:
    return Proxies(trusted)


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text, strict=False)
    except ValueError as error:
        raise InvalidConfig(where="server.trusted_proxies", reason=str(error)) from None
