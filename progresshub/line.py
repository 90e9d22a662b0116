"""Who is next: tasks that wait for a slot, by queue and priority.

Queues share the slots by weight (stride scheduling: Waldspurger and Weihl, 1995): each has a
virtual time that a start moves on by 1/weight, and the queue that is furthest behind goes first.
One that was empty joins at the present, so it can't claim the past. Within a queue the higher
priority goes first, and among equals the older task.
"""

from __future__ import annotations

from collections import Counter
from heapq import heappop, heappush

from progresshub.model import Spec
from progresshub.queues import Queues


class Line:
    """Waiting tasks. `take` gives the next one its slot, `give_back` frees a queue's slot."""

    def __init__(self, queues: Queues, slots: int) -> None:
        self._queues = queues
        self._slots = slots
        self._waiting: dict[str, list[tuple[int, int, str]]] = {}
        self._times: dict[str, float] = {}
        self._now = 0.0
        self._taken: Counter[str] = Counter()

    def join(self, spec: Spec) -> None:
        waiting = self._waiting.setdefault(spec.queue, [])
        if not waiting:
            self._times[spec.queue] = max(self._now, self._times.get(spec.queue, 0.0))
        heappush(waiting, (-spec.priority, spec.seq, spec.id))

    def take(self) -> tuple[str, str] | None:
        """The queue and id of the task whose turn it is; None while nothing may start."""
        if self._taken.total() >= self._slots:
            return None
        able = [name for name, waiting in self._waiting.items() if waiting and self._may_start(name)]
        if not able:
            return None
        name = min(able, key=self._times.__getitem__)
        self._now = self._times[name]
        self._times[name] += 1 / self._queues[name].weight
        self._taken[name] += 1
        return name, heappop(self._waiting[name])[2]

    def give_back(self, queue: str) -> None:
        self._taken[queue] -= 1

    def _may_start(self, name: str) -> bool:
        queue = self._queues[name]
        return not queue.paused and (queue.slots == 0 or self._taken[name] < queue.slots)
