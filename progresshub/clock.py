"""The program's one clock, and the ids of events that are made from it.

Everything that asks for the time asks here, so a test can turn the hands. Wall time only names
moments; what is measured (timeouts, speeds, heartbeats) uses the monotonic side.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime

from progresshub.model import FIRST, EventId


class Clock:
    """Wall time in milliseconds since the epoch, and a monotonic time in seconds."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic_s(self) -> float:
        return time.monotonic()


class EventClock:
    """Gives event ids that only ever grow, even when the wall clock is turned back."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.last = FIRST

    def next(self) -> EventId:
        now_ms = self._clock.now_ms()
        last = self.last
        self.last = EventId(now_ms, 0) if now_ms > last.ms else EventId(last.ms, last.n + 1)
        return self.last

    def saw(self, event_id: EventId) -> None:
        """Learn of an id given by somebody else: the next one comes after it."""
        self.last = max(self.last, event_id)


def rfc3339(ms: int) -> str:
    """`2026-01-29T12:00:00.123Z`; whole seconds are written without a fraction."""
    text = datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds" if ms % 1000 else "seconds")
    return text.replace("+00:00", "Z")


def naive(ms: int) -> str:
    """`2026-01-29T12:00:00`: UTC in whole seconds, for those who do not name the zone."""
    return datetime.fromtimestamp(ms // 1000, UTC).replace(tzinfo=None).isoformat()
