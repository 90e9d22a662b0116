"""Reads ffmpeg's own status line: how much of the media's time has been written, of all there is.

What is read first about the inputs gives the total, the longest of them; without one nothing is said.
"""

from __future__ import annotations

import re

from progresshub.protocol import Report
from progresshub.readers.lines import Lines

LINE_BYTES = 4_096

_WORTH = re.compile(rb"Duration: \d|time=\d")
_CLOCK = r"(\d{2,4}):([0-5]\d):([0-5]\d(?:\.\d{1,6})?)"
_DURATION = re.compile(rf"^\s*Duration: {_CLOCK}", re.ASCII)
_TIME = re.compile(rf"\btime={_CLOCK}", re.ASCII)


class FfmpegReader:
    """A Reader: each new time becomes a report in seconds of the media."""

    def __init__(self) -> None:
        self._lines = Lines(_WORTH.search, LINE_BYTES)
        self._total_s = 0.0
        self._current_s = 0.0

    def feed(self, data: bytes) -> list[Report]:
        reports: list[Report] = []
        for segment in self._lines.feed(data):
            if found := _DURATION.search(segment.text):
                self._total_s = max(self._total_s, _seconds(found))
            elif (found := _TIME.search(segment.text)) and _seconds(found) > self._current_s and self._total_s:
                self._current_s = _seconds(found)
                current = min(self._current_s, self._total_s)
                reports.append(Report(current=current, total=self._total_s, unit="s"))
        return reports


def _seconds(clock: re.Match[str]) -> float:
    hours, minutes, seconds = clock.groups()
    return 3600 * int(hours) + 60 * int(minutes) + float(seconds)
