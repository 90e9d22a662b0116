"""Which of a task's progress is recorded: as little as tells the story, and never without bound."""

from __future__ import annotations

from enum import Enum, auto

from progresshub import pace
from progresshub.model import EventType, Progress, Task


class Verdict(Enum):
    LEAVE = auto()
    KEEP = auto()
    THIN_AND_KEEP = auto()
    """There are too many entries: every second one has to go first."""


class Recorder:
    """Remembers for each running task what was recorded last, and how much."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._recorded: dict[str, tuple[Progress, int]] = {}

    def judge(self, task: Task, kind: EventType) -> Verdict:
        """What to do with a progress entry; a change of stage is always kept."""
        last, count = self._recorded.get(task.id, (None, 0))
        if task.progress is None:
            return Verdict.LEAVE
        if kind is EventType.PROGRESSED and not pace.worth_recording(last, task.progress):
            return Verdict.LEAVE
        full = count >= self._most
        left = count // 2 + 1 if full else count  # what is stored and what waits may be odd, both of them
        self._recorded[task.id] = (task.progress, left + 1)
        return Verdict.THIN_AND_KEEP if full else Verdict.KEEP

    def forget(self, task: Task) -> None:
        self._recorded.pop(task.id, None)
