"""A few lines at the bottom of a terminal that are painted again and again, and what is printed above them.

The cursor always rests below what was painted, so whatever else is written only ends up underneath;
each painting first takes back all that the last one took, also when the terminal has become narrower since.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TextIO

HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"
ERASE_BELOW = "\x1b[J"
ERASE_LINE_REST = "\x1b[K"


class Painter:
    """`columns` tells how wide the terminal is now."""

    def __init__(self, file: TextIO, columns: Callable[[], int]) -> None:
        self._file = file
        self._columns = columns
        self._widths: list[int] = []
        self._hidden = False

    def paint(self, lines: Sequence[tuple[str, int]], above: str = "") -> None:
        """Put these lines, each with its width in cells, in place of the last; `above` is printed for good."""
        back = self._back()
        body = "".join(f"{text}{ERASE_LINE_REST}\n" for text, _ in lines)
        self._write(f"{self._hide()}{back}{ERASE_BELOW if above or not lines else ''}{above}{body}{ERASE_BELOW}")
        self._widths = [width for _, width in lines]

    def close(self) -> None:
        """Leave what is painted where it is."""
        self._widths = []
        if self._hidden:
            self._hidden = False
            self._write(SHOW)

    def _hide(self) -> str:
        hidden, self._hidden = self._hidden, True
        return "" if hidden else HIDE

    def _back(self) -> str:
        """To the beginning of what was painted; a line wider than the terminal is now takes several."""
        columns = max(1, self._columns())
        rows = sum(max(1, -(-width // columns)) for width in self._widths)
        return f"\r\x1b[{rows}A" if rows else "\r"

    def _write(self, text: str) -> None:
        self._file.write(text)
        self._file.flush()
