"""The report channel's bytes, line by line: reports come out, whatever goes in.

A line that is no report is counted and forgotten, one that is too long is skipped to its end, and
of reports that only say how far it is, those that came together give way to the newest.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from progresshub.protocol import RESULT_BYTES, BadReport, Report, parse

LINE_BYTES = RESULT_BYTES + 65_536
KEEP = b"!keep"
LEAVE = b"!leave"
"""A worker's closing mark behind the last word on a job: ready for another one, or about to end."""

MANY_LINES = 16
"""Read together, these are a flood, and worth a cheaper look before they are parsed."""
_DIGITS = b"0123456789."
_WORDS = re.compile(rb'"(?:stage|message|steps?|status)"|\\')
_MEASURES = ("percent", "current", "total", "unit", "speed_bps", "eta_s", "metadata")


class ReportLines:
    """`bad` counts the lines that were no report; `mark` is the closing mark, once there was one."""

    def __init__(self) -> None:
        self.bad = 0
        self.mark = b""
        self._parts: list[bytes] = []
        self._held_bytes = 0
        self._skipping = False

    def feed(self, data: bytes) -> list[Report]:
        head, *tails = data.split(b"\n")
        self._hold(head)
        lines = []
        for tail in tails:
            lines.append(self._taken())
            self._hold(tail)
        reports: list[Report] = []
        for line in _thinned(lines):
            self._read(line, reports)
        return newest(reports)

    def _hold(self, part: bytes) -> None:
        self._held_bytes += len(part)
        if self._held_bytes > LINE_BYTES:
            self._skipping = True
            self._parts.clear()
        elif part:
            self._parts.append(part)

    def _taken(self) -> bytes:
        line = b"".join(self._parts)
        if self._skipping:
            self.bad += 1
        self._parts.clear()
        self._held_bytes, self._skipping = 0, False
        return line

    def _read(self, line: bytes, reports: list[Report]) -> None:
        if line in (KEEP, LEAVE):
            self.mark = line
        elif line.strip():
            try:
                reports.append(parse(line))
            except BadReport:
                self.bad += 1


def _thinned(lines: list[bytes]) -> list[bytes]:
    """Without the lines of mere numbers that the next line says anew: a flood is not worth parsing."""
    if len(lines) < MANY_LINES:
        return lines
    kept = []
    shape = b""
    for line in reversed(lines):
        later, shape = shape, line.translate(None, _DIGITS)
        if shape != later or _WORDS.search(shape):
            kept.append(line)
    return kept[::-1]


def newest(reports: Iterable[Report]) -> list[Report]:
    """Without the reports that the one right behind them replaces."""
    kept: list[Report] = []
    for report in reports:
        if kept and _replaces(report, kept[-1]):
            kept[-1] = report
        else:
            kept.append(report)
    return kept


def _replaces(newer: Report, older: Report) -> bool:
    """Whether `older` says nothing that is not said anew."""
    if (newer.stage, newer.message, newer.step) != (older.stage, older.message, older.step):
        return False
    if newer.status or older.status or newer.steps or older.steps:
        return False
    return all(getattr(newer, name) is not None or getattr(older, name) is None for name in _MEASURES)
