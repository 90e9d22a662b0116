"""The tasks at hand: all live ones, and of the finished ones the most recent.

A dictionary with two duties more: it lets go of what is old, and knows which task holds a unique key.
Only the hub puts anything in.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from progresshub.model import Spec, Task
from progresshub.storage.persistence import short


class Registry:
    """Tasks by id. At most `recent` of them are final."""

    def __init__(self, recent: int) -> None:
        self._tasks: dict[str, Task] = {}
        self._recent: deque[str] = deque()
        self._most_recent = recent
        self._holders: dict[str, str] = {}
        self._by_short: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._tasks)

    def __iter__(self) -> Iterator[Task]:
        return iter(tuple(self._tasks.values()))

    def get(self, task_id: str) -> Task | None:
        return self._tasks.get(task_id)

    def beginning(self, digits: str) -> Task | None:
        """The task whose id begins with these 12 hexadecimal digits."""
        return self._tasks.get(self._by_short.get(digits, ""))

    def put(self, task: Task) -> None:
        """Keep a task, new or changed; one that has become final may push an older one out."""
        known = self._tasks.get(task.id)
        self._tasks[task.id] = task
        if known is None:
            self._by_short[short(task.id)] = task.id
        if not task.final:
            if task.spec.unique_key:
                self._holders[task.spec.unique_key] = task.id
        elif known is None or not known.final:
            self._let_go(task.spec)
            self._recent.append(task.id)
            if len(self._recent) > self._most_recent:
                self._pop(self._recent.popleft())

    def drop(self, task: Task) -> bool:
        """Forget a task; says whether it was there."""
        self._let_go(task.spec)
        return self._pop(task.id)

    def holder(self, unique_key: str, now_ms: int) -> str | None:
        """The task that keeps others from the same work: until its window ends or it is final."""
        task = self._tasks.get(self._holders.get(unique_key, ""))
        return task.id if task is not None and task.spec.unique_until_ms > now_ms else None

    def _pop(self, task_id: str) -> bool:
        if self._by_short.get(short(task_id)) == task_id:
            del self._by_short[short(task_id)]
        return self._tasks.pop(task_id, None) is not None

    def _let_go(self, spec: Spec) -> None:
        if self._holders.get(spec.unique_key) == spec.id:
            del self._holders[spec.unique_key]
