"""Server-Sent Events as bytes come in, after the WHATWG's rules. No I/O.

An event that is cut off is never told.
"""

from __future__ import annotations

import re
from typing import NamedTuple

MOST_BYTES = 64 * 1_048_576

_BREAK = re.compile(rb"\r\n|\n|\r")
_MARK = b"\xef\xbb\xbf"


class TooLong(ValueError):
    """An event larger than anybody sends."""


class Event(NamedTuple):
    """`id` is the last one that was told, here or before."""

    id: str
    name: str
    data: bytes


class Parser:
    """One stream. `retry_ms` is when the server wants to see us again, None while it has not said."""

    def __init__(self, last_id: str = "") -> None:
        self.last_id = last_id
        self.retry_ms: int | None = None
        self._begun = False
        self._after_return = False
        self._line: list[bytes] = []
        self._name = ""
        self._data: list[bytes] = []
        self._bytes = 0

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that these bytes complete; TooLong when there is no end to one."""
        if not chunk:
            return []
        ends_line = chunk.endswith(b"\r")
        if self._after_return and chunk.startswith(b"\n"):  # the second half of a line break
            chunk = chunk[1:]
        self._after_return = ends_line
        first, *rest = _BREAK.split(chunk)
        self._hold(first)
        events = []
        for begun in rest:
            if event := self._end_line():
                events.append(event)
            self._hold(begun)
        return events

    def _hold(self, piece: bytes) -> None:
        self._bytes += len(piece)
        if self._bytes > MOST_BYTES:
            raise TooLong(f"an event of more than {MOST_BYTES} bytes")
        self._line.append(piece)

    def _end_line(self) -> Event | None:
        line = b"".join(self._line)
        self._line.clear()
        if not self._begun:
            self._begun, line = True, line.removeprefix(_MARK)
        if not line:
            return self._end_event()
        name, _, value = line.partition(b":")
        self._field(name, value.removeprefix(b" "))
        return None

    def _field(self, name: bytes, value: bytes) -> None:
        match name:
            case b"data":
                self._data.append(value)
            case b"event":
                self._name = value.decode(errors="replace")
            case b"id" if b"\0" not in value:
                self.last_id = value.decode(errors="replace")
            case b"retry" if value.isdigit():
                self.retry_ms = int(value[:9])

    def _end_event(self) -> Event | None:
        event = Event(self.last_id, self._name or "message", b"\n".join(self._data)) if self._data else None
        self._data.clear()
        self._name, self._bytes = "", 0
        return event
