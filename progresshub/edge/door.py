"""The door: how many connections come in, and how long one may take to say what it wants.

aiohttp has no bound on either. A connection beyond the limit is closed at once; one that has sent no
whole request within the given time is dropped.
"""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Callable

RESERVED_FILES = 128
"""Descriptors kept free of clients, for children, the database and logs; half of them, where there are few."""


class Door:
    """A protocol factory in front of another one."""

    def __init__(self, most: int, patience_s: float) -> None:
        allowed = _files_allowed()
        self._most = min(most, max(allowed - RESERVED_FILES, allowed // 2))
        self._patience_s = patience_s
        self._waiting: dict[asyncio.BaseProtocol, asyncio.TimerHandle] = {}
        self._inside: Callable[[], asyncio.BaseProtocol] = _Closed
        self._count: Callable[[], int] = lambda: 0
        self._entering = 0
        self.turned_away = 0

    def guards(self, inside: Callable[[], asyncio.BaseProtocol], count: Callable[[], int]) -> None:
        """Say what is behind the door, and how many connections are in there."""
        self._inside = inside
        self._count = count

    def __call__(self) -> asyncio.BaseProtocol:
        if self._count() + self._entering >= self._most:
            self.turned_away += 1
            return _Closed()
        loop = asyncio.get_running_loop()
        protocol = self._inside()
        self._waiting[protocol] = loop.call_later(self._patience_s, self._drop, protocol)
        # It is counted inside from the loop's next pass on, and many may come before that.
        self._entering += 1
        loop.call_soon(self._entered)
        return protocol

    def spoke(self, protocol: asyncio.BaseProtocol) -> None:
        """A whole request has come through this connection."""
        timer = self._waiting.pop(protocol, None)
        if timer is not None:
            timer.cancel()

    def _entered(self) -> None:
        self._entering -= 1

    def _drop(self, protocol: asyncio.BaseProtocol) -> None:
        self._waiting.pop(protocol, None)
        transport = getattr(protocol, "transport", None)
        if transport is not None:
            transport.abort()


class _Closed(asyncio.Protocol):
    """What a client gets to speak to when there are too many: nobody."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            transport.abort()


def _files_allowed() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1 << 20 if soft == resource.RLIM_INFINITY else soft
