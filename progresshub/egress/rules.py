"""Where a download may connect to, and how long that may take.

Read from the settings `[downloads]`; nothing a client sends takes part.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit


class Upstream(NamedTuple):
    """Another proxy that everything goes through."""

    host: str
    port: int
    user: str
    password: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """`allowed` are places that need not be public, as (host, port); silence longer than `idle_s` ends a connection."""

    allow_private: bool = False
    allowed: frozenset[tuple[str, int]] = frozenset()
    upstream: Upstream | None = None
    connect_s: float = 20.0
    idle_s: float = 120.0

    @property
    def needed(self) -> bool:
        """Whether there is anything to check or to pass on."""
        return not self.allow_private or self.upstream is not None

    def may_be_private(self, host: str, port: int) -> bool:
        return self.allow_private or (host.lower(), port) in self.allowed


def rules_of(settings: Mapping[str, Any]) -> Rules:
    """What the settings of `[downloads]` mean for connections."""
    patience_s = settings["socket_timeout_s"]
    return Rules(
        allow_private=settings.get("allow_private", False),
        allowed=frozenset(map(_place, settings.get("allow_hosts", ()))),
        upstream=_upstream(settings.get("proxy", "")),
        connect_s=patience_s,
        idle_s=2 * patience_s,
    )


def _place(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host.strip("[]").lower(), int(port)


def _upstream(url: str) -> Upstream | None:
    if not url:
        return None
    parts = urlsplit(url)
    return Upstream(
        parts.hostname or "", parts.port or 80, unquote(parts.username or ""), unquote(parts.password or "")
    )
