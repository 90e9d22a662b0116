"""Bars on a terminal: one for each task that is not over, what has ended above them, and how it all stands below.

Nothing is made up: a total that is not known is a bar that pulses, and the time left is only told
when it is known. Texts are cut so that a task is always one line.
"""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import suppress
from datetime import datetime, timedelta
from types import TracebackType
from typing import NamedTuple, Self, TextIO

from rich.console import Console
from rich.progress_bar import ProgressBar
from rich.style import Style
from rich.text import Text

from progresshub.cli import taskbar, words
from progresshub.cli.painter import Painter
from progresshub.cli.parser import PROGRAM
from progresshub.cli.standing import Standing
from progresshub.client import Progress, Task
from progresshub.model import State

FRAME_S = 0.1
BARS = ((100, 24), (70, 16), (45, 10), (28, 6))
"""The least width of the terminal, and of a bar then."""

SPEED_CELLS, LEFT_CELLS, AMOUNT_CELLS = 9, 11, 17
AMOUNT_ROOM = 54
GLYPHS = {State.COMPLETED: "✓", State.FAILED: "✗", State.CANCELLED: "✗", State.RUNNING: "•", State.RETRYING: "↻"}
ASCII = {"✓": "+", "✗": "x", "•": "*", "↻": "~", "·": "-", "…": "."}


class _Line(NamedTuple):
    """A task's line as it was made last."""

    of: Task
    columns: int
    text: str
    cells: int


class Screen:
    """An async context; `show` what is new, it is painted with the next frame."""

    def __init__(self, file: TextIO) -> None:
        self._console = Console(file=file, highlight=False, markup=False, emoji=False)
        self._painter = Painter(file, lambda: self._console.size.width)
        self._taskbar = taskbar.Taskbar(file, os.environ)
        self.standing = Standing()
        self._live: dict[str, Task] = {}
        self._lines: dict[str, _Line] = {}
        self._above: list[str] = []
        self._connected = True
        self._changed = True
        self._size = self._console.size
        self._ticker: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._ticker = asyncio.create_task(self._tick())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._ticker is not None:
            self._ticker.cancel()
            with suppress(asyncio.CancelledError):
                await self._ticker
        self._paint()
        self._painter.close()
        self._taskbar.clear()

    def show(self, task: Task) -> None:
        self.standing.saw(task)
        if task.final or task.deleted:
            self._live.pop(task.id, None)
            self._lines.pop(task.id, None)
            self._above.append(self._rendered(self._ended(task)))
        else:
            self._live[task.id] = task
        self._changed = True

    def link(self, connected: bool) -> None:
        self._connected = connected
        self._changed = True

    def print(self, text: str) -> None:
        """Whole lines, above the bars."""
        self._above.append(text)
        self._changed = True

    def say(self, text: str) -> None:
        self.print(f"{PROGRAM}: {text}\n")

    async def _tick(self) -> None:
        while True:
            if self._changed or self._pulses() or self._console.size != self._size:
                self._paint()
            await asyncio.sleep(FRAME_S)

    def _pulses(self) -> bool:
        return any(map(_pulses, self._live.values()))

    def _paint(self) -> None:
        self._size = self._console.size
        self._changed = False
        above, self._above = "".join(self._above), []
        tasks = sorted(self._live.values(), key=lambda task: task.status is not State.RUNNING)
        room = self._room(len(tasks))
        footer = self._footer(len(tasks) - room)
        lines = [self._line(task) for task in tasks[:room]] + footer
        self._painter.paint(lines, above)
        self._taskbar.show(self.standing)

    def _room(self, tasks: int) -> int:
        """How many of them can be shown: the cursor rests on a line of its own, and the footer has up to three."""
        room = self._size.height - 1 - (len(self.standing.tasks) > 1) - (not self._connected)
        return max(1, room if tasks <= room else room - 1)

    def _line(self, task: Task) -> tuple[str, int]:
        """What has not changed is not made anew; a bar that pulses always has."""
        known = self._lines.get(task.id)
        if known is None or known.of is not task or known.columns != self._size.width or _pulses(task):
            row = self._row(task)
            text = self._rendered(row).rstrip("\n")
            known = self._lines[task.id] = _Line(task, self._size.width, text, min(self._size.width, row.cell_len))
        return known.text, known.cells

    def _row(self, task: Task) -> Text:
        """A sign, the title, the bar, the percentage, and as many words as there is room for."""
        width = self._size.width
        title, bar = min(30, width // 4 + 2), next((cells for least, cells in BARS if width >= least), 0)
        room = width - title - bar - 11
        colour = words.STALLED if task.stalled else words.COLOURS.get(task.status, "")
        sign, name = self._sign(GLYPHS.get(task.status, "·")), self._sign(words.fitted(words.name(task), title))
        row = Text.assemble((sign, colour), f" {name} ")
        if bar:
            row.append_text(self._bar(task, bar)).append(" ")
        row.append(f"{words.percent(task):>4}")
        if room > 0:
            told = _told(task, room)
            style = "" if task.status is State.RUNNING and not task.stalled else colour
            row.append(" ").append(self._sign(words.fitted(told, min(room, words.width(told)))), style=style)
        return row

    def _bar(self, task: Task, cells: int) -> Text:
        colour = words.STALLED if task.stalled else words.COLOURS.get(task.status, "white")
        bar = ProgressBar(
            total=100,
            completed=_fine_percent(task) or 0.0,
            width=cells,
            pulse=_pulses(task),
            complete_style=Style(color=colour),
            finished_style=Style(color="green"),
            pulse_style=Style(color=colour),
            animation_time=time.monotonic(),
        )
        drawn = Text()
        for piece in self._console.render(bar):
            drawn.append(piece.text, style=piece.style)
        return drawn

    def _ended(self, task: Task) -> Text:
        """What is left of a task that is over; one line of the terminal's width at most."""
        glyph = self._sign(GLYPHS.get(task.status, "·"))
        told = f"{words.name(task)}  {words.state(task)}"
        told += f" in {words.lasted(task)}" if task.status is State.COMPLETED else f" {words.doing(task)}"
        text = Text(f"{glyph} ", style=words.COLOURS.get(task.status, ""))
        room = self._console.size.width - 3
        cut = told.rstrip() if words.width(told) <= room else words.fitted(told, room)
        return text.append(self._sign(cut), style="")

    def _footer(self, hidden: int) -> list[tuple[str, int]]:
        told = [f"{self._sign('…')} and {hidden} more"] if hidden > 0 else []
        if len(self.standing.tasks) > 1:
            told.append(self._standing())
        if not self._connected:
            told.append("the server is away; trying again")
        cut = [self._sign(words.fitted(text, min(words.width(text), self._size.width - 1))) for text in told]
        return [
            (self._rendered(Text(text, style="yellow" if "away" in text else "dim")).rstrip("\n"), words.width(text))
            for text in cut
        ]

    def _standing(self) -> str:
        parts = [self.standing.counts()]
        if (percent := self.standing.percent()) is not None:
            parts.append(f"{percent:.0f}% of all")
        if (left_s := self.standing.left_s()) is not None:
            at = datetime.now().astimezone() + timedelta(seconds=left_s)
            parts.append(f"{words.span(left_s)} left, until {at:%H:%M}")
        return " · ".join(parts)

    def _rendered(self, what: Text) -> str:
        with self._console.capture() as captured:
            self._console.print(what, no_wrap=True, overflow="crop", crop=True)
        return captured.get()

    def _sign(self, text: str) -> str:
        """The same for terminals that know no more than ASCII."""
        if self._console.encoding.lower().startswith("utf"):
            return text
        return "".join(ASCII.get(character, character) for character in text)


def _pulses(task: Task) -> bool:
    return task.percent is None and task.status is State.RUNNING and not task.stalled


def _told(task: Task, room: int) -> str:
    """What is said beside a bar, in columns as long as it goes well."""
    if task.status is not State.RUNNING or task.stalled or task.cancelling:
        return ": ".join(filter(None, (words.state(task), words.doing(task))))
    progress = task.progress or Progress()
    left = words.span(progress.eta_seconds) if progress.eta_seconds is not None else ""
    if room < SPEED_CELLS + LEFT_CELLS:
        return left
    amount = f"{words.amount(progress):<{AMOUNT_CELLS}} " if room >= AMOUNT_ROOM else ""
    figures = f"{words.speed(progress):>{SPEED_CELLS}} {left and f'{left} left':>{LEFT_CELLS}} {amount}"
    return f"{figures if figures.strip() else ''}{words.doing(task)}".rstrip()


def _fine_percent(task: Task) -> float | None:
    """As exact as the counts are, where they are what the percentage follows from."""
    progress = task.progress
    if progress is None or progress.percent is None:
        return None
    if progress.current is None or not progress.total:
        return progress.percent
    fine = 100 * progress.current / progress.total
    return fine if progress.percent <= fine < progress.percent + 1 else progress.percent
