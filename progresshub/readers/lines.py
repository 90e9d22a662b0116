"""A terminal's idea of lines: bytes in any pieces become the texts that stood on a line one after another.

The pieces never matter, only their sum. What is held is bounded: a text is cut at `most` bytes, and
of a single feed only the newest `SEGMENTS` texts are kept, since nobody could have read the others.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

LINE_BYTES = 65_536
SEGMENTS = 256

_SIMPLE_BREAKS = (b"\n", b"\r", b"\b")
# Each alternative begins with a literal: that lets the engine skip from candidate to candidate.
_MOVE = rb"\x1b(?:\[[0-9;]{0,16}[ABDEFGHdf]|\]9;4;(?:[124];([0-9]{1,3})|[03][0-9;]{0,8})(?:\x07|\x1b\\))"
_BREAK = re.compile(rb"\n|\r\r*\n?|\x08\x08*|" + _MOVE)
_MOVES = re.compile(_MOVE)
_ESCAPE = re.compile(
    rb"\x1b(?:\[[0-9;:<=>?]{0,32}[ -/]{0,4}[@-~]|\][^\x07\x08\x1b\r\n]{0,256}(?:\x07|\x1b\\)|[()][0-9A-Za-z]|[=>78])"
)
_UNDECIDED = re.compile(rb"\x1b(?:\[[0-9;:<=>?]{0,32}[ -/]{0,4}|\][^\x07\x08\x1b\r\n]{0,256}\x1b?|[()])?\Z")
_UNDECIDED_BYTES = 300


class Segment(NamedTuple):
    """A text that stood on a line, without colours. The terminal's own taskbar progress counts as one, `42%`.

    `redrawn`: it was written over another; `replaced`: another was written over it;
    `complete`: nothing will be added to it.
    """

    text: str
    redrawn: bool
    replaced: bool
    complete: bool


class Lines:
    """Splits a stream into segments, and passes over those whose bytes `worth` finds nothing in."""

    def __init__(self, worth: Callable[[bytes], object] = bool, most: int = LINE_BYTES) -> None:
        self._worth = worth
        self._most = most
        self._text = b""
        self._redrawn = False
        self._undecided = b""

    def feed(self, data: bytes) -> list[Segment]:
        """The segments that `data` completes."""
        data = self._decided(self._undecided + data)
        if not self._worth(self._text + data):
            data = self._without_finished_lines(data)
        position, segments = 0, []
        breaks = list(_BREAK.finditer(data))
        if len(breaks) > SEGMENTS:
            self._turn(breaks[-SEGMENTS - 1])
            position = breaks[-SEGMENTS - 1].end()
        for found in breaks[-SEGMENTS:]:
            self._add(data[position : found.start()])
            if self._worth(self._text):
                segments.append(self._segment(replaced=b"\n" not in found[0], complete=True))
            if found[1]:
                segments.append(Segment(f"{found[1].decode()}%", True, True, True))
            self._turn(found)
            position = found.end()
        self._add(data[position:])
        return segments

    @property
    def partial(self) -> Segment | None:
        """The text that is still being written, if it is worth anything."""
        return self._segment(replaced=False, complete=False) if self._worth(self._text) else None

    def _decided(self, data: bytes) -> bytes:
        """`data` without an end that the next bytes may give another meaning."""
        if data.endswith(b"\r"):
            self._undecided = b"\r"
            return data.rstrip(b"\r")
        found = _UNDECIDED.search(data, max(0, len(data) - _UNDECIDED_BYTES))
        cut = found.start() if found else len(data)
        self._undecided = data[cut:]
        return data[:cut]

    def _without_finished_lines(self, data: bytes) -> bytes:
        last = max(map(data.rfind, _SIMPLE_BREAKS))
        for found in _MOVES.finditer(data, max(last, 0)):
            last = found.start()
        if last < 0:
            return data
        self._text = b""
        return data[last:]

    def _add(self, text: bytes) -> None:
        if len(self._text) < self._most:
            self._text = (self._text + text)[: self._most]

    def _turn(self, found: re.Match[bytes]) -> None:
        self._text = b""
        self._redrawn = b"\n" not in found[0]

    def _segment(self, *, replaced: bool, complete: bool) -> Segment:
        text = _ESCAPE.sub(b"", self._text).decode("utf-8", "replace")
        return Segment(text, self._redrawn, replaced, complete)
