"""The course of a download as few points, from the many that are recorded. Pure.

A point's speed is what was moved since the point before, divided by the time that took: so no
burst and no pause between two points is lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from progresshub.dialects.downloads import words
from progresshub.model import Event, Task
from progresshub.registry.traffic import counted


class Sample(NamedTuple):
    """How a task stood at a moment."""

    at_ms: int
    percent: float
    done_bytes: int | None
    speed_bps: float


class Point(NamedTuple):
    at_ms: int
    percent: float
    done_bytes: int
    speed_bps: float


def samples(events: Iterable[Event]) -> list[Sample]:
    return [_sample(event.id.ms, event.task) for event in events if event.task.progress is not None]


def _sample(at_ms: int, task: Task) -> Sample:
    done = counted(task)
    return Sample(at_ms, words.percent(task), None if done is None else int(done), words.speed_bps(task))


def thinned(course: Sequence[Sample], most: int) -> list[Point]:
    """At most that many points, evenly spaced in time; stretches of which nothing is recorded have none."""
    if not course:
        return []
    start_ms = course[0].at_ms
    width_ms = max(1.0, (course[-1].at_ms - start_ms + 1) / most)
    slots: dict[int, list[Sample]] = {}
    for sample in course:
        slots.setdefault(int((sample.at_ms - start_ms) / width_ms), []).append(sample)
    points: list[Point] = []
    for group in slots.values():
        points.append(_point(group, points[-1] if points else None))
    return points


def average(points: Sequence[Point]) -> float:
    """All that was moved, over the whole time, pauses included."""
    took_ms = points[-1].at_ms - points[0].at_ms if points else 0
    moved = sum(max(0, after.done_bytes - before.done_bytes) for before, after in pairwise(points))
    return round(1_000 * moved / took_ms, 1) if took_ms > 0 else 0.0


def _point(group: Sequence[Sample], before: Point | None) -> Point:
    last = group[-1]
    done = next((sample.done_bytes for sample in reversed(group) if sample.done_bytes is not None), None)
    if done is None:
        done = before.done_bytes if before else 0
    return Point(last.at_ms, last.percent, done, _speed(group, done, before))


def _speed(group: Sequence[Sample], done: int, before: Point | None) -> float:
    """Measured where the count went on; what was reported where it began (anew)."""
    took_ms = group[-1].at_ms - before.at_ms if before else 0
    if before is not None and done >= before.done_bytes and took_ms > 0:
        return round(1_000 * (done - before.done_bytes) / took_ms, 1)
    return round(sum(sample.speed_bps for sample in group) / len(group), 1)
