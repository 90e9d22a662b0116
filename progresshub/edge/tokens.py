"""Who may do what: tokens from the settings, those made by command line, and this machine's own.

Each scope includes those before it: `read`, `submit`, `command`, `admin`. A token that is taken
away stops counting within a second, and so do the sessions that were opened with it.
"""

from __future__ import annotations

import hmac
import logging
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from progresshub.clock import Clock
from progresshub.edge.backoff import Failures
from progresshub.edge.sessions import CODE_S, MOST_CODES, MOST_SESSIONS, SESSION_S, Tickets
from progresshub.edge.shares import Shares
from progresshub.edge.tokenfile import LADDER, digest, listed, local_token, revision
from progresshub.errors import StartupError, TooMany, Unauthorized
from progresshub.settings import Config

log = logging.getLogger(__name__)

LOOK_AGAIN_S = 1.0
MOST_REMEMBERED = 4_096


class Holder(NamedTuple):
    """A token that was recognised, and what it may do."""

    digest: bytes
    scopes: frozenset[str]


def implied(scopes: Iterable[str]) -> frozenset[str]:
    """The scopes up to the highest of these."""
    return frozenset(LADDER[: 1 + max((LADDER.index(scope) for scope in scopes if scope in LADDER), default=-1)])


class Tokens:
    """All tokens of one server, its browsers' sessions and its launch codes."""

    def __init__(self, config: Config, data: Path, clock: Clock | None = None) -> None:
        self._clock = clock or Clock()
        self._data = data
        secret = local_token(data)
        own = digest(secret)
        self.shares = Shares(secret.encode(), self._clock)
        self._own = Holder(own, implied(LADDER))
        self._named = [Holder(bytes.fromhex(one.sha256), implied(one.scopes)) for one in config.tokens.values()]
        self._revision = revision(data)
        self._made = _made(data)
        self._looked_s = self._clock.monotonic_s()
        self._failures = Failures(config.limits.auth_failures_per_min, self._clock)
        self._remembered: set[tuple[str, bytes]] = set()
        self._sessions = Tickets(self._clock, lasts_s=SESSION_S, most=MOST_SESSIONS)
        self._codes = Tickets(self._clock, lasts_s=CODE_S, most=MOST_CODES)
        # Cookies know no ports: two servers on one machine need different names.
        self.cookie = f"progresshub_{sha256(own).hexdigest()[:8]}"
        self.share_cookie = f"{self.cookie}_share"

    @property
    def configured(self) -> bool:
        """Whether anybody was given a token; this machine's own does not count."""
        return bool(self._named or self._up_to_date())

    def holder(self, token: str) -> Holder | None:
        """Whose token this is, if it is anybody's."""
        return self._find(digest(token))

    def verify(self, token: str, address: str) -> Holder:
        """The same for a token that something depends on: Unauthorized if it is wrong, TooMany after many such.

        An address that guessed too often is heard again only with a token it had used before: so it
        can't find one by guessing, nor lock out others behind the same address.
        """
        holder = self.holder(token)
        if self._failures.too_many(address) and (holder is None or (address, holder.digest) not in self._remembered):
            raise TooMany(reason="wrong tokens came from this address; wait a minute")
        if holder is None:
            self._failures.add(address)
            raise Unauthorized("The token is not valid.")
        if len(self._remembered) >= MOST_REMEMBERED:
            self._remembered.clear()
        self._remembered.add((address, holder.digest))
        return holder

    def log_in(self, holder: Holder) -> str:
        """A session for a browser, as the value of its cookie."""
        return self._sessions.issue(holder.digest)

    def session(self, cookie: str) -> Holder | None:
        """Who logged in there, as long as the session and the token it was opened with last."""
        found = self._sessions.look(cookie)
        return None if found is None else self._find(found)

    def log_out(self, cookie: str) -> None:
        self._sessions.take(cookie)

    def launch_code(self) -> str:
        """A code that logs one browser in as this machine's user, once, within ten minutes."""
        return self._codes.issue(self._own.digest)

    def redeem(self, code: str, address: str) -> Holder:
        """Use a launch code up."""
        if self._failures.too_many(address):
            raise TooMany(reason="wrong codes came from this address; wait a minute")
        if self._codes.take(code) is None:
            self._failures.add(address)
            raise Unauthorized("This launch code has been used or is too old.")
        return self._own

    def _find(self, wanted: bytes) -> Holder | None:
        """Every token is compared, whichever it is, so that the time taken tells nothing."""
        found = None
        for holder in (self._own, *self._named, *self._up_to_date()):
            if hmac.compare_digest(holder.digest, wanted):
                found = holder
        return found

    def _up_to_date(self) -> list[Holder]:
        """The tokens made by command line, as they are now or were when they could last be read."""
        now_s = self._clock.monotonic_s()
        if now_s - self._looked_s < LOOK_AGAIN_S:
            return self._made
        self._looked_s = now_s
        if (found := revision(self._data)) != self._revision:
            self._revision = found
            try:
                self._made = _made(self._data)
            except StartupError as error:
                log.warning("the tokens stay as they were: %s", error.message)
        return self._made


def _made(data: Path) -> list[Holder]:
    return [Holder(bytes.fromhex(kept.sha256), implied(kept.scopes)) for kept in listed(data).values()]
