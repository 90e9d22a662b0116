"""Reads the plain progress in any tool's output: `42%`, `42.5 %`, `[3/10]`, `3 of 10`.

Rather nothing than something made up. A number counts at once when its surroundings speak for it: it
is redrawn in place, stands in brackets or beside a bar, follows a word such as "downloading", or goes
with a speed. Otherwise it counts when it keeps growing while the text around it stays the same.
Numbers after words such as "coverage" or "cpu" never count. Of each line the first number that counts
is taken; what a tool says is passed on as it is, even when it starts again from the beginning.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from progresshub.protocol import Report
from progresshub.readers.lines import Lines, Segment

LINE_BYTES = 4_096
_NEAR = 48
_AHEAD = 160

_HINT = re.compile(rb"%|/ ?[0-9\x1b]|of ?[\x1b0-9]|\x1b\]9;4;")

_PERCENT = r"(?<![\w,/+])(?<!\d\.)(?<![^-]-)(?<!^-)(?P<percent>[0-9]{1,3}(?:[.,][0-9]{1,8})?)\s?%"
_AMOUNT = r"[0-9]{1,15}(?:\.[0-9]{1,6})?"
_UNIT = r"(?:[kKMGT]i?B|bytes|B)\b"
_RATIO = (
    rf"(?<![\w./:,+-])(?P<current>{_AMOUNT})(?: ?(?P<of>{_UNIT}))?(?: ?/ ?| of ) *"
    rf"(?P<total>{_AMOUNT})(?: ?(?P<unit>{_UNIT}))?(?!\.?\w)(?![/:,-]\w)(?! ?\([0-9])"
)
_THOUSANDS = {"k": 1, "K": 1, "M": 2, "G": 3, "T": 4}
_IN_PLACE = re.compile(f"{_PERCENT}|{_RATIO}", re.ASCII)
_IN_LINE = re.compile(rf"{_PERCENT}(?![\w%])|{_RATIO}", re.ASCII)

_BLOCKS = r"[█▉▊▋▌▍▎▏━╸╺░▒▓⣿]"
_BAR = r"[=#>*.\-_█▉▊▋▌▍▎▏━╸╺░▒▓⣿]"
_DOING = (
    r"(?:\w*percent\w*|\w*progress\w*|complete|completed|completion|done|finished|downloads?|uploads?"
    r"|(?:download|upload|transfer|extract|unpack|encod|decod|transcod|convert|render|process|install|compil|load"
    r"|fetch|sync|import|export|scan|index|transcrib|separat|generat|receiv|send|resolv|count|build|train|read"
    r"|writ|copy|verify|compress)ing"
    r"|(?:download|upload|transferr|extract|unpack|encod|convert|render|process|install|load|import|export|receiv"
    r"|copi|verifi)ed)"
)
_DONE = (
    r"(?:complete|completed|done|finished|downloaded|uploaded|processed|copied|transferred|loaded|written|extracted)"
)
_DOING_BEFORE = re.compile(rf"\b{_DOING}[^\w%,;]{{0,8}}$", re.IGNORECASE)
_DOING_APART = re.compile(rf"\b{_DOING}(?=\s*[^\w\s])[^\w%,;]{{1,8}}$", re.IGNORECASE)
_FOREIGN_BEFORE = re.compile(
    r"\b(?:cpu|mem\w*|ram|swap|gpu|disk|load|usage|used|free|util\w*|acc\w*|precision|recall|cover\w*|loss|scored?"
    r"|rated?|ratio|errors?|hits?|battery|humidity|quality|volume|overhead|confidence|probability|similarity"
    r"|threshold|discount|skip\w*|by|about|than|to|from|version)\b\W{0,4}$"
    # zstd's percentages are compression ratios.
    r"|\S\s+:\s?$|\bRead\s?:.*==> *$",
    re.ASCII | re.IGNORECASE,
)
_BESIDE_BAR = re.compile(
    rf"\[(?:{_BAR}|\s){{4,}}\]\s*$|(?:{_BAR}\s?){{5}}[\s|\]]*$|{_BLOCKS}[\s|\]]*$"
    r"|\d\s?[kKMGT]?i?B?\s?/\s?[\d.]+\s?[kKMGT]?i?B[\s(]*$"
)
_AFTER = re.compile(
    rf"\||\s?\[(?:{_BAR}|\s){{4}}|\s?{_DONE}\b|.*?(?:\bETA\b|\d\s?[kKMGT]?i?B/s\b|\bit/s\b)",
    re.IGNORECASE,
)
_NO_WORD = re.compile(r"\s*(?:$|[^\s\w])")
_COUNTED = re.compile(
    r"\b(?:step|file|item|chunk|epoch|batch|iter\w*|tests?|part|frame|page|task|stage|block|segment|track|package"
    r"|object|record|row|image|slide|scene|job|loop|pass)s?\W{0,4}$",
    re.ASCII | re.IGNORECASE,
)
_CLOSED = re.compile(r"\s*\]")
_NUMBERS = re.compile(r"[0-9]+(?:[.,][0-9]+)?")
_BLANKS = re.compile(r"\s+")


@dataclass(slots=True)
class _Trend:
    """How often in a row the same text came with a larger number."""

    shape: str = ""
    value: float = -1.0
    rises: int = 0

    def follow(self, shape: str, value: float) -> int:
        if shape != self.shape or value < self.value:
            self.shape, self.rises = shape, 0
        elif value > self.value:
            self.rises += 1
        self.value = value
        return self.rises


class PercentReader:
    """A Reader: each new figure that the output shows becomes one report with `percent` or `current` and `total`."""

    def __init__(self) -> None:
        self._lines = Lines(_HINT.search, LINE_BYTES)
        self._trend = _Trend()
        self._last: Report | None = None
        self._partial: Segment | None = None

    def feed(self, data: bytes) -> list[Report]:
        reports: list[Report] = []
        for segment in self._lines.feed(data):
            self._tell(self._read(segment), reports)
        partial = self._lines.partial
        if partial is not None and partial != self._partial:
            self._tell(_read_partial(partial), reports)
        self._partial = partial
        return reports

    def _tell(self, report: Report | None, reports: list[Report]) -> None:
        if report is not None and report != self._last:
            self._last = report
            reports.append(report)

    def _read(self, segment: Segment) -> Report | None:
        numbers = _numbers(segment)
        in_place = segment.redrawn or segment.replaced
        for number in numbers:
            if in_place or _speaks_for(number):
                return _report(number)
        if numbers and self._trend.follow(*_shape(numbers[0])) >= _rises_needed(numbers[0]):
            return _report(numbers[0])
        return None


def _read_partial(segment: Segment) -> Report | None:
    """Only what no further text can change: the same is read again when the line is complete."""
    number = next(iter(_numbers(segment)), None)
    if number is None or not _settled(number, segment):
        return None
    return _report(number) if segment.redrawn or _shown_as_progress(number) else None


def _numbers(segment: Segment) -> list[re.Match[str]]:
    pattern = _IN_PLACE if segment.redrawn else _IN_LINE
    return [found for found in pattern.finditer(segment.text) if _plausible(found)]


def _plausible(number: re.Match[str]) -> bool:
    if number["percent"]:
        in_range = _float(number["percent"]) <= 100
    else:
        current, total = _amounts(number)
        in_range = total >= 2 and current <= total
    before = _before(number)
    return in_range and (bool(_DOING_BEFORE.search(before)) or not _FOREIGN_BEFORE.search(before))


def _speaks_for(number: re.Match[str]) -> bool:
    """Whether the rest of the line shows that its number is progress."""
    before, text, end = _before(number), number.string, number.end()
    if _shown_as_progress(number) or _AFTER.match(text, end, end + _AHEAD):
        return True
    return bool(_DOING_BEFORE.search(before) and _NO_WORD.match(text, end))


def _shown_as_progress(number: re.Match[str]) -> bool:
    """Whether what stands before and around it does, whatever else is to follow."""
    before = _before(number)
    return _bracketed(number) or bool(_BESIDE_BAR.search(before) or _DOING_APART.search(before))


def _settled(number: re.Match[str], segment: Segment) -> bool:
    """Whether more text can't turn it into another number."""
    if number["percent"]:
        return segment.redrawn or number.end() < len(segment.text)
    return _bracketed(number)


def _bracketed(number: re.Match[str]) -> bool:
    return _before(number).rstrip().endswith("[") and bool(_CLOSED.match(number.string, number.end()))


def _before(number: re.Match[str]) -> str:
    return number.string[max(0, number.start() - _NEAR) : number.start()]


def _rises_needed(number: re.Match[str]) -> int:
    return 1 if number["total"] and _COUNTED.search(_before(number)) else 2


def _shape(number: re.Match[str]) -> tuple[str, float]:
    """What has to stay the same, and what has to grow, for a number to be progress."""
    if number["percent"]:
        text, value = number.string, _float(number["percent"])
        total = ""
    else:
        text, (value, _) = number.string[: number.start()], _amounts(number)
        total = number["total"]
    return _BLANKS.sub(" ", _NUMBERS.sub("0", text)) + total, value


def _report(number: re.Match[str]) -> Report:
    if number["percent"]:
        return Report(percent=_float(number["percent"]))
    current, total = _amounts(number)
    return Report(current=current, total=total, unit="bytes" if number["unit"] else None)


def _amounts(number: re.Match[str]) -> tuple[float, float]:
    unit = number["unit"]
    return float(number["current"]) * _scale(number["of"] or unit), float(number["total"]) * _scale(unit)


def _scale(unit: str | None) -> float:
    if not unit or unit[0] not in _THOUSANDS:
        return 1.0
    return float((1024 if "i" in unit else 1000) ** _THOUSANDS[unit[0]])


def _float(digits: str) -> float:
    return float(digits.replace(",", "."))
