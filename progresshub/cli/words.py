"""Figures and texts for a terminal. What comes from outside can't move its cursor, nor turn the line around.

Widths are those of a terminal: an Arabic or Chinese title takes the room it is seen to take.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from itertools import pairwise

from rich import cells

from progresshub.client.answers import Progress, Task
from progresshub.model import State

SHORT_ID_CHARS = 8
UNITS = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))
COLOURS = {
    State.RUNNING: "cyan",
    State.RETRYING: "yellow",
    State.COMPLETED: "green",
    State.FAILED: "red",
    State.CANCELLED: "magenta",
}
STALLED = "yellow"

_SPACE = re.compile(r"[\t\n\v\f\r\x85\u2028\u2029]+")
_SEQUENCE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b.?")
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069\ufeff]")


def clean(text: str) -> str:
    """On one line, without control sequences and without marks that turn the direction of what follows."""
    return _UNSEEN.sub("", _SPACE.sub(" ", _SEQUENCE.sub("", text)))


def printable(line: str) -> str:
    """A line of a program's output: its colours stay, what moves the cursor goes, and of a line that was written over
    only the last version is left."""
    shown = next((part for part in reversed(line.split("\r")) if part), "")
    pieces = re.split(r"(\x1b\[[0-9;:]*m)", shown)
    kept = [
        piece if number % 2 else _UNSEEN.sub("", _SEQUENCE.sub("", piece.expandtabs()))
        for number, piece in enumerate(pieces)
    ]
    return "".join(kept) + ("\x1b[0m" if len(pieces) > 1 else "")


def width(text: str) -> int:
    """In cells."""
    return cells.cell_len(text)


def fitted(text: str, room: int) -> str:
    """As wide as that: cut with an ellipsis, or filled up."""
    if width(text) <= room:
        return cells.set_cell_size(text, room)
    return cells.set_cell_size(text, max(room - 1, 0)) + "…"[:room]


def name(task: Task) -> str:
    return clean(task.title) or task.kind


def short(task_id: str) -> str:
    return task_id[:SHORT_ID_CHARS]


def state(task: Task) -> str:
    """In a word, or two where it is not as it should be."""
    if task.deleted:
        return "deleted"
    if task.cancelling and not task.final:
        return "cancelling"
    return "stalled" if task.stalled and not task.final else task.status.value


def percent(task: Task) -> str:
    if task.final and task.status is not State.COMPLETED and not task.percent:
        return ""
    return "" if task.percent is None else f"{task.percent:.0f}%"


def doing(task: Task) -> str:
    """What is going on, or why it ended as it did."""
    if task.final:
        return "" if task.status is State.COMPLETED else clean(task.last_err)
    progress = task.progress or Progress()
    attempt = f"attempt {task.attempt} of {task.max_retry + 1}" if task.attempt > 1 else ""
    return ": ".join(filter(None, (attempt, clean(progress.stage), clean(progress.message))))


def amount(progress: Progress) -> str:
    """How much is done of how much."""
    if progress.current is None:
        return ""
    if progress.unit in ("", "bytes") and (progress.total or progress.current) >= 1_000:
        done, whole = size(progress.current), None if progress.total is None else size(progress.total)
        return done if whole is None else f"{done} / {whole}"
    done = f"{progress.current:g}" if progress.total is None else f"{progress.current:g}/{progress.total:g}"
    return f"{done} {clean(progress.unit)}".strip()


def speed(progress: Progress) -> str:
    if not progress.speed_bps:
        return ""
    if progress.unit in ("", "bytes"):
        return f"{size(progress.speed_bps)}/s"
    return f"{progress.speed_bps:.3g} {clean(progress.unit)}/s"


def size(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1_000:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1_000
    return f"{count:.1f} TB"


def span(seconds: float) -> str:
    """The two largest units, such as `1m05s`."""
    whole = max(0, round(seconds))
    for (unit, length), (lower, part) in pairwise(UNITS):
        if whole >= length:
            return f"{whole // length}{unit}{whole % length // part:02d}{lower}"
    return f"{whole}s"


def moment(text: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        return None


def lasted(task: Task) -> str:
    """How long it took, or has taken until now; how long ago it was submitted where it has not begun."""
    begun = moment(task.started_at) or moment(task.created_at)
    if begun is None:
        return ""
    return span(((moment(task.finished_at) or datetime.now(UTC)) - begun).total_seconds())


def line(task: Task) -> str:
    """A task in one line, for a file or a pipe."""
    told = " ".join(filter(None, (short(task.id), state(task), percent(task), name(task))))
    return f"{told}: {text}" if (text := doing(task)) else told
