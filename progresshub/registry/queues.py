"""The queues: their weights, slots and pauses.

A queue exists from the moment somebody names it. What is changed while the server runs outlives it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping

import msgspec

from progresshub.errors import InvalidField, TooMany, UnknownQueue

NAME = re.compile(r"[\w.:-]{1,64}", re.ASCII)
SETTING = "queue:"


class Queue(msgspec.Struct, frozen=True, kw_only=True):
    """weight: its share of the slots while queues compete; slots: how many of its tasks run at once, 0 as many
    as there are; paused: it takes tasks and starts none."""

    name: str
    weight: int = 1
    slots: int = 0
    paused: bool = False


class Queues:
    """All queues by name, in the order in which they were made."""

    def __init__(self, configured: Mapping[str, Queue], *, default_weight: int, most: int) -> None:
        self._queues = dict(configured)
        self._default_weight = default_weight
        self._most = most
        self._listeners: list[Callable[[], None]] = []

    def __iter__(self) -> Iterator[Queue]:
        return iter(tuple(self._queues.values()))

    def __getitem__(self, name: str) -> Queue:
        try:
            return self._queues[name]
        except KeyError:
            raise UnknownQueue(queue=name) from None

    def check(self, names: Iterable[str]) -> None:
        """Refuse names that could not be a queue's, or more queues than there may be."""
        new = {name for name in names if name not in self._queues}
        if not all(map(NAME.fullmatch, new)):
            raise InvalidField(field="queue", reason="1 to 64 letters, digits, dots, dashes, colons or underscores")
        if new and len(self._queues) + len(new) > self._most:
            raise TooMany(reason=f"there are {len(self._queues)} queues already, and at most {self._most}")

    def use(self, name: str) -> Queue:
        """The queue of that name, made on first use."""
        return self._queues.setdefault(name, Queue(name=name, weight=self._default_weight))

    def listen(self, listener: Callable[[], None]) -> None:
        """Hear of every change of a queue."""
        self._listeners.append(listener)

    def change(self, queue: Queue) -> tuple[str, str]:
        """Put a queue in place of its namesake; returns the setting that restores it."""
        self._queues[queue.name] = queue
        for listener in self._listeners:
            listener()
        return f"{SETTING}{queue.name}", msgspec.json.encode(queue).decode()

    def restore(self, settings: Mapping[str, str]) -> None:
        """Take over what an earlier server was told."""
        for name, value in settings.items():
            if name.startswith(SETTING):
                queue = msgspec.json.decode(value, type=Queue)
                self._queues[queue.name] = queue
