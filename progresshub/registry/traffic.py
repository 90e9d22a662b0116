"""How many bytes tasks have moved lately, in slices of time.

Made of progress as it is reported, so an answer about any window up to an hour costs a sum over
slices and no look at the history. A count that goes back has begun anew.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from progresshub.model import Event, EventId, EventType, Task
from progresshub.storage.persistence import Store

SLICE_MS = 5_000
LONGEST_MS = 3_600_000
BYTES = frozenset({"bytes", "B"})
PIECE = 1_000
MOST_PIECES = 100


class Traffic:
    """Hears of every event from `since_ms` on; remembers the last hour. `live` are the tasks that went on before."""

    def __init__(self, live: Iterable[Task] = (), since_ms: int = 0) -> None:
        self._since_ms = since_ms
        self._slices: Counter[int] = Counter()
        self._counted = {task.id: count for task in live if (count := counted(task)) is not None}

    def hear(self, event: Event) -> None:
        task = event.task
        if (count := counted(task)) is not None:
            before = self._counted.get(task.id)
            if before is None:
                before = count if self._has_a_past(task) else 0.0
            self._counted[task.id] = count
            self._add(event.id.ms, count - before if count >= before else count)
        if task.final or event.type is EventType.DELETED:
            self._counted.pop(task.id, None)

    def moved_bytes(self, now_ms: int, window_ms: int) -> int:
        """All that was moved in the last `window_ms`, give or take a slice."""
        first = (now_ms - window_ms) // SLICE_MS + 1
        return int(sum(size for number, size in self._slices.items() if number >= first))

    async def recall(self, store: Store, until: EventId) -> None:
        """Learn from the store of the hour before `until`, in pieces; of more than that many, only the oldest."""
        start = EventId(max(0, until.ms - LONGEST_MS), 0)
        past = Traffic(since_ms=start.ms)
        for _ in range(MOST_PIECES):
            events = [event for event in await store.since(start, PIECE) if event.id <= until]
            for event in events:
                past.hear(event)
            if len(events) < PIECE:
                break
            start = events[-1].id
        self._slices += past._slices

    def _add(self, at_ms: int, size: float) -> None:
        number = at_ms // SLICE_MS
        self._slices[number] += int(size)
        if len(self._slices) > LONGEST_MS // SLICE_MS + 1:
            for old in [known for known in self._slices if known < number - LONGEST_MS // SLICE_MS]:
                del self._slices[old]

    def _has_a_past(self, task: Task) -> bool:
        """Whether what is counted first may have been there before."""
        return task.attempt > 1 or bool(task.spec.retry_of) or (task.started_ms or 0) < self._since_ms


def counted(task: Task) -> float | None:
    """The bytes so far, where bytes are counted.

    A stage that counts none, and a task of several steps, may say them in the metadata.
    """
    progress = task.progress
    if progress is None:
        return None
    if progress.unit in BYTES and progress.current is not None:
        return progress.current
    said = progress.metadata.get("done_bytes")
    return float(said) if type(said) is int and said >= 0 else None
