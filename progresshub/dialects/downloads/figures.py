"""How many tasks there are in each status, and how far they are: counted, never looked up one by one.

Of what is waiting or completed the count says it all; what runs is at hand; of the rest it is
counted how far they came.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from progresshub.dialects.downloads import words
from progresshub.model import State, Task
from progresshub.registry.hub import Hub


@dataclass(slots=True)
class Figure:
    """Tasks of one status: their number, and the sum and highest of their progress in tenths of a percent."""

    tasks: int = 0
    tenths: int = 0
    highest: int = 0

    def add(self, tenths: int, tasks: int = 1) -> None:
        if tasks > 0:
            self.tasks += tasks
            self.tenths += tasks * tenths
            self.highest = max(self.highest, tenths)

    @property
    def average(self) -> float:
        """In percent."""
        return round(self.tenths / self.tasks / 10, 1) if self.tasks else 0.0


def running(hub: Hub) -> list[Task]:
    """The tasks that run, as others may see them, newest first."""
    shown = (hub.find(task.id) for task in hub.live(State.RUNNING))
    found = [task for task in shown if task is not None and task.state is State.RUNNING]
    return sorted(found, key=lambda task: -task.spec.seq)


def figures(hub: Hub) -> dict[str, Figure]:
    """One for each status."""
    found = {word: Figure() for word in words.STATUSES}
    for where, tasks in hub.journal.counts.items():
        if where.state in words.WAITING:
            found[words.PENDING].add(0, tasks)
        elif where.state is State.COMPLETED:
            found[words.COMPLETED].add(1_000, tasks)
    for reached, tasks in hub.journal.reached.items():
        found[words.STATUS[reached.state]].add(min(999, reached.tenths), tasks)
    for task in running(hub):
        found[words.status(task)].add(words.progress_tenths(task))
    return found


def together(some: Iterable[Figure]) -> Figure:
    whole = Figure()
    for figure in some:
        whole.tasks += figure.tasks
        whole.tenths += figure.tenths
        whole.highest = max(whole.highest, figure.highest)
    return whole


def chosen(all_figures: Mapping[str, Figure], word: str | None) -> dict[str, Figure]:
    """Those of one status, with nothing in the others; without a word all of them."""
    return {name: figure if word in (None, name) else Figure() for name, figure in all_figures.items()}
