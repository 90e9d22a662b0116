"""What somebody who watches has seen and still waits for. No I/O: whoever drives it asks and feeds.

Nothing is told twice from one view of the server, nothing older than what was told, and whoever
watches named tasks is told how each of them ended.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from progresshub.client.answers import Happening, Task
from progresshub.client.asks import Ask, event_stream
from progresshub.client.refusals import ClientError
from progresshub.client.sse import Event, Parser, TooLong
from progresshub.model import FINAL, State

MOST_NAMED = 100
"""Of more tasks than these all events are asked for, and those of others passed over."""

LIVE = tuple(state for state in State if state not in FINAL)
NOWHERE = (0, 0)

_read = msgspec.json.Decoder(Happening).decode


class Following:
    """Watches these tasks until each has ended, or without any all there are, for ever.

    `stale` says that the tasks themselves must be looked at before anything else: at the beginning,
    after a break, and when the server could not tell all that was missed.
    """

    def __init__(self, task_ids: Sequence[str]) -> None:
        self.stale = True
        self.unfinished: dict[str, tuple[int, int]] = dict.fromkeys(task_ids, NOWHERE)
        self.first = True
        self._names = tuple(self.unfinished)
        self._parser = Parser()

    @property
    def named(self) -> bool:
        return bool(self._names)

    @property
    def over(self) -> bool:
        return self.named and not self.unfinished

    @property
    def retry_ms(self) -> int | None:
        return self._parser.retry_ms

    def ask(self) -> Ask[bytes]:
        """For the stream: where it has broken off, from there on."""
        self._parser = Parser(self._parser.last_id)
        self.stale = True
        return event_stream(self._names if len(self._names) <= MOST_NAMED else (), self._parser.last_id)

    def feed(self, chunk: bytes) -> Iterator[Task]:
        """The news in these bytes."""
        for event in self._events(chunk):
            if event.name == "gap":
                self.stale = True
                continue
            happening = _happening(event)
            if happening.type == "deleted" and not happening.task.final:
                yield from self._deleted(happening.task)
            elif self._is_news(happening.task):
                yield happening.task

    def looked(self, tasks: Iterable[Task]) -> Iterator[Task]:
        """The news in how the tasks stand now."""
        self.stale = self.first = False
        yield from filter(self._is_news, tasks)

    def gone(self, task_id: str) -> None:
        """It was deleted when nobody looked."""
        self.unfinished.pop(task_id, None)

    def _events(self, chunk: bytes) -> list[Event]:
        try:
            return self._parser.feed(chunk)
        except TooLong as error:
            raise ClientError(f"the server sends {error}", "NOT_UNDERSTOOD") from None

    def _deleted(self, task: Task) -> Iterator[Task]:
        if self.unfinished.pop(task.id, None) is not None:
            yield msgspec.structs.replace(task, deleted=True)

    def _is_news(self, task: Task) -> bool:
        if self.named and task.id not in self.unfinished:
            return False
        at = _position(task.stream_id)
        if at < self.unfinished.get(task.id, NOWHERE):
            return False
        if task.final:
            self.unfinished.pop(task.id, None)
        else:
            self.unfinished[task.id] = at
        return True


def _happening(event: Event) -> Happening:
    try:
        return _read(event.data)
    except msgspec.DecodeError as error:
        raise ClientError(f"the server's event {event.name} can't be read: {error}", "NOT_UNDERSTOOD") from None


def _position(stream_id: str) -> tuple[int, int]:
    ms, _, n = stream_id.partition("-")
    return (int(ms), int(n)) if ms.isdigit() and n.isdigit() else NOWHERE
