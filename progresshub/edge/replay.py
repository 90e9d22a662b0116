"""A watcher's past, told from the store before its future is told by the bus."""

from __future__ import annotations

from progresshub.edge.sse import Frames, Stream, lines
from progresshub.model import Event, EventId, EventType, Task
from progresshub.registry.hub import Hub
from progresshub.storage.persistence import ENTRIES

PIECE = 500


async def replay(hub: Hub, task: Task, after: EventId, frames: Frames, stream: Stream) -> Event | None:
    """Send a task's stored progress later than `after`; returns the last event that was sent."""
    await hub.kept()
    last: Event | None = None
    while True:
        events = await hub.store.history(task, start=_following(after), types=ENTRIES, limit=PIECE)
        await stream.send(b"".join(lines(frame) for event in events for frame in frames(event)))
        if events:
            last, after = events[-1], events[-1].id
        if len(events) < PIECE:
            return last


def _following(event_id: EventId) -> EventId:
    return EventId(event_id.ms, event_id.n + 1)


def ending(task: Task) -> Event:
    """The last event of a final task."""
    return Event(task.entry or task.changed, EventType(task.state.value), task)
