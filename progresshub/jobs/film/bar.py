"""How far a film is: one percentage over all its steps, with the milestones that watchers know.

Each step has a part of the way; where it begins and how far it gets until its end is announced are the
milestones: content from 10, scripts from 20, audio 30 to 49, visuals 50 to 80, composition 85 to 95.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import NamedTuple


class Part(NamedTuple):
    """From and to where a step leads, and the milestones its work lies between; percentages of the whole."""

    start: float
    first: float
    last: float
    end: float


PARTS = {
    "content": Part(0, 10, 19, 20),
    "scripts": Part(20, 20, 29, 30),
    "audio": Part(30, 30, 49, 50),
    "visuals": Part(50, 50, 80, 85),
    "composition": Part(85, 85, 95, 100),
}


class Bar:
    """Speaks for the steps one after another; `progress`, `steps` and `step` are those of a Context."""

    def __init__(
        self,
        progress: Callable[..., None],
        steps: Callable[[dict[str, float]], None],
        step: Callable[[str, float], AbstractContextManager[object]],
    ) -> None:
        self._progress = progress
        self._step = step
        self._part = PARTS["content"]
        self._stage: str | None = None
        steps({name: part.end - part.start for name, part in PARTS.items()})

    def step(self, name: str) -> AbstractContextManager[object]:
        """A step, from its beginning to its end."""
        self._part = PARTS[name]
        return self._step(name, self._part.end - self._part.start)

    def say(self, share: float, stage: str | None = None, message: str | None = None) -> None:
        """Tell what share of the step's work is done, 0 to 1, and what is being done now if that is something else."""
        self._stage = stage or self._stage
        part = self._part
        whole = part.first + (part.last - part.first) * min(1.0, max(0.0, share))
        own = 100 * (whole - part.start) / (part.end - part.start)
        # Rounded up, since watchers round down, and a milestone would be one short.
        self._progress(min(100.0, math.ceil(own * 1e6) / 1e6), stage=self._stage, message=message)
