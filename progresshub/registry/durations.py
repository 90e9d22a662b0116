"""How long the steps of each named pipeline usually take, as far as has been seen.

A step's usual duration follows the newest ones smoothly. What is learned is a setting of the store,
small whatever the history.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from progresshub.model import StepState, Task

KIND = "pipeline"
SETTING = "durations:"
MOST_STEPS = 200
NEWEST_COUNTS = 0.3
"""What the newest duration counts against all that were before it."""


class Durations:
    """By pipeline and step, in milliseconds."""

    def __init__(self) -> None:
        self._usual_ms: dict[str, dict[str, float]] = {}

    def of(self, pipeline: str) -> Mapping[str, float]:
        return self._usual_ms.get(pipeline, {})

    def learn(self, task: Task) -> tuple[str, str] | None:
        """Take in what a task's last attempt showed; returns the setting that restores it, if there is news."""
        name = task.spec.payload.get("name")
        if task.spec.kind != KIND or not isinstance(name, str):
            return None
        seen = _seen_ms(task)
        if not seen:
            return None
        usual = dict(self.of(name))
        for step, took_ms in seen.items():
            before = usual.pop(step, float(took_ms))
            usual[step] = round(before + NEWEST_COUNTS * (took_ms - before), 1)
        self._usual_ms[name] = dict(list(usual.items())[-MOST_STEPS:])
        return f"{SETTING}{name}", msgspec.json.encode(self._usual_ms[name]).decode()

    def restore(self, settings: Mapping[str, str]) -> None:
        """Take over what an earlier server learned."""
        for name, value in settings.items():
            if name.startswith(SETTING):
                self._usual_ms[name.removeprefix(SETTING)] = msgspec.json.decode(value, type=dict[str, float])


def _seen_ms(task: Task) -> dict[str, int]:
    """How long the steps took that were done in the last attempt."""
    begun_ms = task.started_ms or 0
    return {
        step.name: step.finished_ms - step.started_ms
        for step in task.steps
        if step.state is StepState.COMPLETED
        and step.finished_ms is not None
        and step.started_ms is not None
        and begun_ms <= step.started_ms <= step.finished_ms
    }
