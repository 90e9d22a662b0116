"""Who is next: tasks that wait for a slot, by queue and priority.

Queues share the slots by weight (stride scheduling: Waldspurger and Weihl, 1995): each has a
virtual time that a start moves on by 1/weight, and the queue that is furthest behind goes first.
One that was empty joins at the present, so it can't claim the past. Within a queue the higher
priority goes first, and among equals the older task.

A task may also keep to a lane, which lets only so many through at once, whatever their queues. Who finds
it full steps aside and lets others pass.
"""

from __future__ import annotations

from collections import Counter
from heapq import heappop, heappush
from typing import NamedTuple

from progresshub.kinds import Lane
from progresshub.model import Spec
from progresshub.registry.queues import Queues


class Turn(NamedTuple):
    """A task that may start, and what it takes up until it is given back."""

    queue: str
    task_id: str
    lane: Lane | None


class _Waiting(NamedTuple):
    """Compared by the first two, which no two tasks have in common."""

    rank: int
    seq: int
    task_id: str
    lane: Lane | None


class Line:
    """Waiting tasks. `take` gives the next one its slot, `give_back` frees what a turn took."""

    def __init__(self, queues: Queues, slots: int) -> None:
        self._queues = queues
        self._slots = slots
        self._waiting: dict[str, list[_Waiting]] = {}
        self._aside: dict[str, dict[str, list[_Waiting]]] = {}
        self._times: dict[str, float] = {}
        self._now = 0.0
        self._taken: Counter[str] = Counter()
        self._under_way: Counter[str] = Counter()

    def join(self, spec: Spec, lane: Lane | None = None) -> None:
        self._enter(spec.queue, _Waiting(-spec.priority, spec.seq, spec.id, lane))

    def take(self) -> Turn | None:
        """Whose turn it is; None while nothing may start."""
        if self._taken.total() >= self._slots:
            return None
        while able := [name for name, waiting in self._waiting.items() if waiting and self._may_start(name)]:
            name = min(able, key=self._times.__getitem__)
            first = heappop(self._waiting[name])
            if first.lane is not None and self._under_way[first.lane.name] >= first.lane.slots:
                heappush(self._aside.setdefault(first.lane.name, {}).setdefault(name, []), first)
                continue
            return self._let_in(name, first)
        return None

    def give_back(self, turn: Turn) -> None:
        self._taken[turn.queue] -= 1
        if turn.lane is not None:
            self._under_way[turn.lane.name] -= 1
            self._call_back(turn.lane.name)

    def _let_in(self, queue: str, first: _Waiting) -> Turn:
        self._now = self._times[queue]
        self._times[queue] += 1 / self._queues[queue].weight
        self._taken[queue] += 1
        if first.lane is not None:
            self._under_way[first.lane.name] += 1
        return Turn(queue, first.task_id, first.lane)

    def _enter(self, queue: str, who: _Waiting) -> None:
        waiting = self._waiting.setdefault(queue, [])
        if not waiting:
            self._times[queue] = max(self._now, self._times.get(queue, 0.0))
        heappush(waiting, who)

    def _call_back(self, lane: str) -> None:
        """One of each queue: a single one might be of a queue that stands still."""
        for queue, aside in self._aside.pop(lane, {}).items():
            self._enter(queue, heappop(aside))
            if aside:
                self._aside.setdefault(lane, {})[queue] = aside
        if not self._under_way[lane]:
            del self._under_way[lane]

    def _may_start(self, name: str) -> bool:
        queue = self._queues[name]
        return not queue.paused and (queue.slots == 0 or self._taken[name] < queue.slots)
