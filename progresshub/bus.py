"""Fan-out: one event, encoded once for each dialect, reaches every watcher of its task.

Publishing never waits and wakes nobody: it appends, and one flush a loop pass hands the same bytes
to every watcher that keeps up. One that does not is owed the newest progress of each task and every
other event, up to a bound; past it, or past its deadline, it is cut off and resumes by event id.

A subscription begins *held*: events are kept for it while its past is replayed from the store, and
`release` lets go of those it has not seen. So nothing is missed and nothing comes twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple, Protocol

from msgspec.structs import replace

from progresshub.model import FINAL, FIRST, Event, EventId, EventType, Task
from progresshub.states import CONFLATABLE

POLL_S = 0.05
BEAT_SLICES = 16
MANY_EVENTS = 8
"""With so many in one flush, events come faster than they go out one by one."""


class Encoding(NamedTuple):
    """How a dialect's watchers on one kind of connection see events.

    `encode` gives an event's bytes, empty where the dialect has no word for it; `wrap` frames what
    goes out in one write; `beat` is sent to a connection that may have been silent for a while.
    """

    encode: Callable[[Event], bytes]
    wrap: Callable[[bytes], bytes]
    beat: bytes
    goodbye: bytes


class Sink(Protocol):
    """A watcher's end of the line. None of these may wait or raise."""

    def write(self, data: bytes) -> int:
        """Take bytes to send; returns the backlog there is then."""

    def backlog(self) -> int:
        """Bytes accepted and not yet sent."""

    def ended(self, event: Event) -> bool:
        """A task it watches has had its last event; True when nothing more is to come."""

    def finish(self) -> None:
        """Everything has been written: end in good order."""

    def cut(self) -> None:
        """It could not keep up: drop the connection at once."""


class _Flow(Enum):
    HELD = auto()
    LIVE = auto()
    STALLED = auto()
    CLOSED = auto()


_HELD, _LIVE, _STALLED, _CLOSED = _Flow  # a member of an enumeration is slow to look up, for each of thousands


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """high_water_bytes: past it a watcher counts as stalled; owed_events: most it may be owed;
    stalled_deadline_s: longest it may stay stalled; heartbeat_s: longest silence."""

    high_water_bytes: int = 32_768
    owed_events: int = 1_000
    stalled_deadline_s: float = 30.0
    heartbeat_s: float = 15.0


class _Frame(NamedTuple):
    event: Event
    data: bytes


class Subscription:
    """One watcher's place on the bus."""

    __slots__ = ("_bus", "_channels", "_missed", "encoding", "flow", "sink", "stalled_at_s")

    def __init__(self, bus: Bus, channels: tuple[_Channel, ...], encoding: Encoding, sink: Sink) -> None:
        self._bus = bus
        self._channels = channels
        self.flow = _HELD
        self._missed: dict[object, _Frame] = {}
        self.encoding = encoding
        self.sink = sink
        self.stalled_at_s = 0.0

    def release(self, fresh: Callable[[Event], bool] = lambda event: True, told: EventId = FIRST) -> None:
        """Go live: of what came since the join, what is still `fresh` to this watcher is written now.

        It has been told everything up to `told`, so nothing sends it back behind that. What is still on
        its way is brought first, for it may be something that is known already.
        """
        if self.flow is _HELD:
            for channel in self._channels:
                self._bus.bring(channel.topic)
        if self.flow is _HELD:
            self._missed = {key: self._beyond(told, one) for key, one in self._missed.items() if fresh(one.event)}
            self._catch_up()

    def close(self) -> None:
        """Leave the bus; safe to call at any time and more than once."""
        self.flow = _CLOSED
        self._missed.clear()
        self._bus.drop(self, self._channels)

    def deliver(self, data: bytes, ended: Iterable[Event]) -> None:
        """Write what was encoded for all, and see whether that was the last of it."""
        if data and self.sink.write(data) > self._bus.limits.high_water_bytes:
            self.flow = _STALLED
            self._bus.stalled(self)
        for event in ended:
            if self.sink.ended(event):
                self.close()
                self.sink.finish()
                return

    def owe(self, frames: Iterable[_Frame]) -> None:
        """Keep events for later, up to the bound.

        Somebody who is slow gets of progress only the newest of a task, and of the rest all; somebody
        whose past is being told gets every event while there is room for it.
        """
        whole = self.flow is _HELD
        self._keep(frames, whole=whole)
        if whole and len(self._missed) > self._bus.limits.owed_events:
            all_frames, self._missed = self._missed.values(), {}
            self._keep(all_frames, whole=False)
        if len(self._missed) > self._bus.limits.owed_events:
            self.cut()

    def _keep(self, frames: Iterable[_Frame], *, whole: bool) -> None:
        for frame in frames:
            key: object = frame.event.id
            if frame.event.type in CONFLATABLE and not whole:
                key = frame.event.task.id
                self._missed.pop(key, None)
            self._missed[key] = frame

    def check(self, now_s: float) -> bool:
        """Whether a stalled watcher needs no more looking after."""
        if self.flow is not _STALLED:
            return True
        if self.sink.backlog() == 0:
            self._catch_up()
        elif now_s - self.stalled_at_s > self._bus.limits.stalled_deadline_s:
            self.cut()
        return self.flow is not _STALLED

    def cut(self) -> None:
        self._bus.cut_off += 1
        self.close()
        self.sink.cut()

    def _beyond(self, told: EventId, frame: _Frame) -> _Frame:
        if frame.event.resume is None or frame.event.resume >= told:
            return frame
        event = replace(frame.event, resume=told)
        return _Frame(event, self.encoding.encode(event))

    def _catch_up(self) -> None:
        self.flow = _LIVE
        frames, self._missed = self._missed.values(), {}
        data = b"".join(frame.data for frame in frames)
        ended = [frame.event for frame in frames if is_last(frame.event)]
        if data or ended:
            self.deliver(self.encoding.wrap(data) if data else b"", ended)


class _Channel:
    """The watchers of one topic that see it in one encoding."""

    __slots__ = ("encoding", "subscriptions", "topic")

    def __init__(self, topic: _Topic, encoding: Encoding) -> None:
        self.topic = topic
        self.encoding = encoding
        self.subscriptions: dict[Subscription, None] = {}

    def send(self, events: list[Event]) -> None:
        frames = [_Frame(event, self.encoding.encode(event)) for event in events]
        data = b"".join(frame.data for frame in frames)
        wrapped = self.encoding.wrap(data) if data else b""
        ended = [event for event in events if is_last(event)]
        for subscription in tuple(self.subscriptions):
            if subscription.flow is _LIVE:
                subscription.deliver(wrapped, ended)
            elif subscription.flow is not _CLOSED:
                subscription.owe(frame for frame in frames if frame.data or is_last(frame.event))


class _Topic:
    """One task's events, or those of all tasks that pass a filter."""

    __slots__ = ("channels", "key", "pending")

    def __init__(self, key: object) -> None:
        self.key = key
        self.channels: dict[Encoding, _Channel] = {}
        self.pending: list[Event] = []


class Bus:
    """Who watches what. Belongs to one event loop; `close` ends every subscription."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.delivered = 0
        self.cut_off = 0
        self._topics: dict[object, _Topic] = {}
        self._wide: dict[Callable[[Task], bool], _Topic] = {}
        self._dirty: list[_Topic] = []
        self._subscriptions: dict[Subscription, None] = {}
        self._stalled: dict[Subscription, None] = {}
        self._flushed_s = 0.0
        self._flush_cost_s = 0.0
        self._flush_events = 0
        self._beats_due = 0.0
        self._beat: asyncio.TimerHandle | None = None
        self._poll: asyncio.TimerHandle | None = None
        self.closed = False

    def __len__(self) -> int:
        return len(self._subscriptions)

    def watch(self, task_ids: Iterable[str], encoding: Encoding, sink: Sink) -> Subscription:
        """Join, held, the events of these tasks."""
        topics = [self._topics.setdefault(task_id, _Topic(task_id)) for task_id in task_ids]
        return self._join(topics, encoding, sink)

    def watch_all(self, wanted: Callable[[Task], bool], encoding: Encoding, sink: Sink) -> Subscription:
        """Join, held, the events of every task that `wanted` takes; equal filters share their frames."""
        return self._join([self._wide.setdefault(wanted, _Topic(wanted))], encoding, sink)

    def publish(self, event: Event) -> None:
        topic = self._topics.get(event.task.id)
        if topic is not None:
            self._append(topic, event)
        for wanted, wide in self._wide.items():
            if wanted(event.task):
                self._append(wide, event)

    def bring(self, topic: _Topic) -> None:
        """Hand what was published of a topic to its watchers now."""
        if not topic.pending:
            return
        events, topic.pending = topic.pending, []
        for channel in tuple(topic.channels.values()):
            channel.send(events)
            self.delivered += len(events) * len(channel.subscriptions)

    def stalled(self, subscription: Subscription) -> None:
        """Look after a watcher until it has caught up or is cut off."""
        loop = asyncio.get_running_loop()
        subscription.stalled_at_s = loop.time()
        self._stalled[subscription] = None
        if self._poll is None:
            self._poll = loop.call_later(POLL_S, self._check_stalled)

    def drop(self, subscription: Subscription, channels: Iterable[_Channel]) -> None:
        self._subscriptions.pop(subscription, None)
        self._stalled.pop(subscription, None)
        for channel in channels:
            channel.subscriptions.pop(subscription, None)
            topic = channel.topic
            if not channel.subscriptions and topic.channels.get(channel.encoding) is channel:
                del topic.channels[channel.encoding]
            if not topic.channels:
                self._topics.pop(topic.key, None)
                self._wide.pop(topic.key, None)  # type: ignore[call-overload]

    def close(self) -> None:
        """End every stream in good order; what is pending goes out first."""
        self.closed = True
        self._flush()
        for timer in (self._beat, self._poll):
            if timer is not None:
                timer.cancel()
        for subscription in tuple(self._subscriptions):
            if subscription.flow is _LIVE:
                subscription.sink.write(subscription.encoding.goodbye)
            subscription.close()
            subscription.sink.finish()

    def _join(self, topics: list[_Topic], encoding: Encoding, sink: Sink) -> Subscription:
        channels = tuple(topic.channels.setdefault(encoding, _Channel(topic, encoding)) for topic in topics)
        subscription = Subscription(self, channels, encoding, sink)
        if self.closed:
            subscription.close()
            sink.finish()
            return subscription
        for channel in channels:
            channel.subscriptions[subscription] = None
        self._subscriptions[subscription] = None
        if self._beat is None:
            self._beat = asyncio.get_running_loop().call_later(self._beat_interval_s, self._send_beats)
        return subscription

    def _append(self, topic: _Topic, event: Event) -> None:
        if not topic.pending:
            if not self._dirty:
                self._schedule_flush()
            self._dirty.append(topic)
        topic.pending.append(event)

    def _schedule_flush(self) -> None:
        """At once when idle; under load after a part of the last flush's cost that grows with its events, up to all
        of it: who publishes without pause keeps half of the loop, and is sent in few large writes."""
        loop = asyncio.get_running_loop()
        wait_s = self._flushed_s + self._flush_cost_s * min(1.0, self._flush_events / MANY_EVENTS) - loop.time()
        if wait_s > 0.0005:
            loop.call_later(wait_s, self._flush)
        else:
            loop.call_soon(self._flush)

    def _flush(self) -> None:
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        dirty, self._dirty = self._dirty, []
        self._flush_events = sum(len(topic.pending) for topic in dirty)
        for topic in dirty:
            self.bring(topic)
        self._flushed_s = loop.time()
        self._flush_cost_s = self._flushed_s - begun_s

    def _check_stalled(self) -> None:
        loop = asyncio.get_running_loop()
        now_s = loop.time()
        for subscription in tuple(self._stalled):
            if subscription.check(now_s):
                self._stalled.pop(subscription, None)
        self._poll = loop.call_later(POLL_S, self._check_stalled) if self._stalled else None

    @property
    def _beat_interval_s(self) -> float:
        return self.limits.heartbeat_s / BEAT_SLICES

    def _send_beats(self) -> None:
        """A heartbeat to a slice of the watchers, so that thousands of them make no spike."""
        for subscription in self._next_slice():
            self._subscriptions[subscription] = self._subscriptions.pop(subscription)
            if subscription.flow is _LIVE:
                subscription.deliver(subscription.encoding.beat, ())
        self._beat = None
        if self._subscriptions:
            self._beat = asyncio.get_running_loop().call_later(self._beat_interval_s, self._send_beats)

    def _next_slice(self) -> list[Subscription]:
        self._beats_due += len(self._subscriptions) / BEAT_SLICES
        size = min(int(self._beats_due), len(self._subscriptions))
        self._beats_due -= size
        watchers: Iterator[Subscription] = iter(self._subscriptions)
        return [next(watchers) for _ in range(size)]


def is_last(event: Event) -> bool:
    """Whether nothing follows for this task."""
    return event.type is EventType.DELETED or (event.task.state in FINAL and event.type not in CONFLATABLE)
