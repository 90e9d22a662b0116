"""Requests that the server itself makes: to addresses that clients name, and so only to public ones.

A name is resolved once, each of its addresses looked at, and what is connected to is one of those; a
redirection is not followed.
"""

from __future__ import annotations

import socket
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from progresshub.addresses import is_public
from progresshub.edge.hosts import is_address
from progresshub.settings import Callbacks


def refusal_of(url: str, settings: Callbacks) -> str:
    """Why nothing can be sent there, as far as the text tells; empty when it can, or when there is no text."""
    if not url:
        return ""
    if any(character.isspace() or not character.isprintable() for character in url):
        return "it contains spaces or control characters"
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        return str(error)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        return "it must begin with http:// or https:// and name a host"
    if not settings.allow_private and is_address(parts.hostname) and not is_public(parts.hostname):
        return f"{parts.hostname} is not a public address"
    return ""


class PublicResolver(AbstractResolver):
    """Finds addresses as the system does; a name with one that is not public is not found."""

    def __init__(self) -> None:
        self._all = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._all.resolve(host, port, family)
        for address in found:
            if not is_public(address["host"]):
                raise OSError(None, f"{host} is not at a public address")
        return found

    async def close(self) -> None:
        await self._all.close()


def session(settings: Callbacks) -> aiohttp.ClientSession:
    """For requests that settings allow; each has an end."""
    given: dict[str, Any] = {} if settings.allow_private else {"resolver": PublicResolver()}
    connector = aiohttp.TCPConnector(force_close=True, use_dns_cache=False, **given)
    return aiohttp.ClientSession(
        connector=connector,
        timeout=aiohttp.ClientTimeout(total=settings.timeout_s),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
    )
