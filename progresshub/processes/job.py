"""What the runner is asked to do, and the way to call it off.

A `Stop` exists before its job is started, so that no request is lost however early it comes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from progresshub.protocol import Report

TASK_ID = "PROGRESSHUB_TASK_ID"
STEP = "PROGRESSHUB_STEP"


class Stop:
    """A wish to end one job: asked for at any time, as often as one likes, and never taken back."""

    def __init__(self) -> None:
        self.requested = False
        self._listener: Callable[[], None] | None = None

    def request(self) -> None:
        if not self.requested:
            self.requested = True
            if self._listener is not None:
                self._listener()

    def listen(self, listener: Callable[[], None] | None) -> None:
        """Call it when the wish comes, or now if it came already; None ends the listening."""
        self._listener = listener
        if self.requested and listener is not None:
            listener()


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One attempt at a task, or at one `step` of it.

    `directory` is the task's own, made when it is needed; output is appended to `log`; `timeout_s`
    None means no bound; `on_report` hears every report but the last word, which is the outcome.
    """

    task_id: str
    attempt: int
    directory: Path
    log: Path
    timeout_s: float | None
    on_report: Callable[[Report], None]
    stop: Stop
    step: str = ""

    @property
    def variables(self) -> dict[str, str]:
        """What its processes carry in their environment; whatever they start is known by it."""
        return {TASK_ID: self.task_id, **({STEP: self.step} if self.step else {})}

    @property
    def name(self) -> str:
        """Tells it from all others that run at the same time."""
        return name_of(self.task_id, self.step)


def name_of(task_id: str, step: str) -> str:
    """The name of the job whose processes carry these variables; empty for none."""
    return f"{task_id}/{step}" if step else task_id
