"""How what is watched is shown: lines for a file or a pipe, JSON for programs, or bars (see `screen`).

Every view is an async context with `show` for a task, `link` for the server's comings and goings,
`print` for lines of output and `say` for what is good to know: on a terminal all share its lines.
"""

from __future__ import annotations

import json
import os
import sys
import time
from types import TracebackType
from typing import Protocol, Self, TextIO

from progresshub.cli import words
from progresshub.cli.look import shown
from progresshub.cli.parser import PROGRAM
from progresshub.cli.standing import Standing
from progresshub.client import Task

STEP_PERCENT = 10
SILENCE_S = 15.0


class View(Protocol):
    standing: Standing

    async def __aenter__(self) -> Self: ...
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def show(self, task: Task) -> None: ...
    def link(self, connected: bool) -> None: ...
    def print(self, text: str) -> None: ...
    def say(self, text: str) -> None: ...


class Plain:
    """A view that needs nothing put away."""

    def __init__(self, file: TextIO) -> None:
        self.standing = Standing()
        self._file = file

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.flush()

    def show(self, task: Task) -> None:
        self.standing.saw(task)

    def link(self, connected: bool) -> None:
        pass

    def print(self, text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()

    def say(self, text: str) -> None:
        print(f"{PROGRAM}: {text}", file=sys.stderr)


class Lines(Plain):
    """A line for each change of a task's state, every ten percent, and after a while."""

    def __init__(self, file: TextIO) -> None:
        super().__init__(file)
        self._told: dict[str, tuple[str, int, float]] = {}
        self._connected = True

    def show(self, task: Task) -> None:
        super().show(task)
        state, tenth, now_s = words.state(task), int(task.percent or 0) // STEP_PERCENT, time.monotonic()
        before = self._told.get(task.id)
        if before is None or before[0] != state or tenth > before[1] or now_s - before[2] >= SILENCE_S:
            self._told[task.id] = (state, tenth, now_s)
            self._file.write(f"{words.line(task)}\n")
            self._file.flush()
        if task.final or task.deleted:
            del self._told[task.id]

    def link(self, connected: bool) -> None:
        if connected != self._connected:
            self._connected = connected
            self._file.write(f"the server is {'back' if connected else 'away; trying again'}\n")
            self._file.flush()


class Json(Plain):
    """Each change as a line of JSON."""

    def show(self, task: Task) -> None:
        super().show(task)
        self._file.write(json.dumps(shown(task), ensure_ascii=False) + "\n")
        self._file.flush()


def bars(file: TextIO) -> View:
    """What suits where it goes to."""
    if not file.isatty() or os.environ.get("TERM") == "dumb":
        return Lines(file)
    from progresshub.cli.screen import Screen  # noqa: PLC0415

    return Screen(file)
