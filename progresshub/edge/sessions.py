"""Browsers that have logged in, and one-time codes to log in with. Both are in memory only and die with the server."""

from __future__ import annotations

import secrets
from hashlib import sha256

from progresshub.clock import Clock

SESSION_S = 7 * 86_400
CODE_S = 600
MOST_SESSIONS = 1_000
MOST_CODES = 100


class Tickets:
    """Secrets that stand for a token for a while; when there are too many, the oldest goes.

    They are found by their hashes, whose order tells nobody how near a guess was.
    """

    def __init__(self, clock: Clock, *, lasts_s: float, most: int) -> None:
        self._clock = clock
        self._lasts_s = lasts_s
        self._most = most
        self._tickets: dict[bytes, tuple[bytes, float]] = {}

    def __len__(self) -> int:
        return len(self._tickets)

    def issue(self, digest: bytes) -> str:
        """A new ticket for the token with that digest."""
        ticket = secrets.token_urlsafe(32)
        while len(self._tickets) >= self._most:
            del self._tickets[next(iter(self._tickets))]
        self._tickets[_hash(ticket)] = (digest, self._clock.monotonic_s() + self._lasts_s)
        return ticket

    def look(self, ticket: str) -> bytes | None:
        """The digest of the token it stands for, as long as it lasts."""
        digest, until_s = self._tickets.get(_hash(ticket), (None, 0.0))
        return digest if self._clock.monotonic_s() < until_s else None

    def take(self, ticket: str) -> bytes | None:
        """The same, and it is used up."""
        digest = self.look(ticket)
        self._tickets.pop(_hash(ticket), None)
        return digest


def _hash(ticket: str) -> bytes:
    return sha256(ticket.encode(errors="surrogateescape")).digest()
