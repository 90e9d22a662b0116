"""Who has guessed wrong too often lately. The table is bounded, and every minute begins anew."""

from __future__ import annotations

from collections import Counter
from ipaddress import IPv6Address

from progresshub.clock import Clock

MOST_ADDRESSES = 4_096
MINUTE_S = 60.0
CROWD = "all others"


class Failures:
    """Counts wrong tokens by client address; past the bound of the table, newcomers share one count."""

    def __init__(self, most_per_min: int, clock: Clock) -> None:
        self._most = most_per_min
        self._clock = clock
        self._began_s = clock.monotonic_s()
        self._counts: Counter[str] = Counter()

    def add(self, address: str) -> None:
        self._counts[self._place(address)] += 1

    def too_many(self, address: str) -> bool:
        now_s = self._clock.monotonic_s()
        if now_s - self._began_s >= MINUTE_S:
            self._began_s = now_s
            self._counts.clear()
        return self._counts[self._place(address)] >= self._most if self._counts else False

    def _place(self, address: str) -> str:
        group = _group(address)
        return group if group in self._counts or len(self._counts) < MOST_ADDRESSES else CROWD


def _group(address: str) -> str:
    """One client has a whole /64 of IPv6 addresses at its disposal."""
    if ":" not in address:
        return address
    try:
        return IPv6Address(address.partition("%")[0]).packed[:8].hex()
    except ValueError:
        return address
