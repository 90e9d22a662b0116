"""How all tasks that are watched stand together: how many are where, how much is done, how long it takes."""

from __future__ import annotations

from collections import Counter

from progresshub.cli import words
from progresshub.client import Task
from progresshub.model import State


class Standing:
    """All tasks that were shown, and how they stand together. Beyond `most` the first that ended are only counted."""

    def __init__(self) -> None:
        self.tasks: dict[str, Task] = {}
        self.most: int | None = None
        self._counted: Counter[str] = Counter()

    def saw(self, task: Task) -> None:
        self.tasks[task.id] = task
        if self.most is not None and len(self.tasks) > self.most:
            ended = next((one for one in self.tasks.values() if one.final or one.deleted), None)
            if ended is not None:
                self._counted[words.state(self.tasks.pop(ended.id))] += 1

    @property
    def failed(self) -> bool:
        return any(task.status in (State.FAILED, State.CANCELLED) or task.deleted for task in self.tasks.values())

    @property
    def completed(self) -> bool:
        return all(task.status is State.COMPLETED for task in self.tasks.values())

    def counts(self) -> str:
        counted = self._counted + Counter(words.state(task) for task in self.tasks.values())
        return ", ".join(f"{count} {state}" for state, count in counted.most_common())

    def percent(self) -> float | None:
        """The mean; what is over counts as whole. None while nothing is known of any that goes on."""
        known = [100.0 if task.final or task.deleted else task.percent for task in self.tasks.values()]
        going = [task.percent for task in self.tasks.values() if not (task.final or task.deleted)]
        if not known or (going and all(percent is None for percent in going)):
            return None
        return sum(percent or 0.0 for percent in known) / len(known)

    def left_s(self) -> float | None:
        """Until the last has ended; None unless it is known of all that are not over."""
        going = [task for task in self.tasks.values() if not (task.final or task.deleted)]
        left = [task.progress.eta_seconds if task.progress else None for task in going]
        known = [seconds for seconds in left if seconds is not None]
        return max(known) if known and len(known) == len(going) else None
