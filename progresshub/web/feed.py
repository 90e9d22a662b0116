"""What keeps the dashboard live: one stream of rows, which begins with how things stand.

A row says all that is shown of a task, so nothing is lost when only the newest is told: who comes
again hears of each task that has changed once, and who missed too much begins anew.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from functools import cache
from itertools import islice

import msgspec
from aiohttp import web

from progresshub.bus import Encoding
from progresshub.edge import sse
from progresshub.edge.routes import Call, Route
from progresshub.edge.wire import encode, event_id
from progresshub.model import FINAL, Event, EventId, EventType, State, Task
from progresshub.registry.hub import Hub
from progresshub.storage.persistence import Filter
from progresshub.web.rows import Gone, Row, row

NEWEST = 300
PIECE = 500
MOST_LIVE = 10_000
MOST_MISSED = 5_000
BEAT = b"event: beat\ndata: {}\n\n"
GOODBYE = b"event: goodbye\ndata: {}\n\n"


class FeedQuery(msgspec.Struct):
    """`since` is the last event that was seen; what it was is also taken from Last-Event-ID."""

    since: str = ""


class Hello(msgspec.Struct):
    """Ends what is told of the past. `resumed` is false where everything known before is void; `total` is how
    many tasks there are, `now_ms` the server's clock."""

    now_ms: int
    total: int
    resumed: bool
    heartbeat_s: float


async def feed(call: Call[FeedQuery, None]) -> web.StreamResponse:
    """How things stand, or what has changed since; then every change as it happens."""
    hub = call.hub
    seen = event_id(call.request.headers.get("Last-Event-ID") or call.query.since)
    connection = sse.Stream(call.request, call.config.streams)
    connection.until(lambda event: False)
    subscription = hub.bus.watch_all(_everything, _encoding(chunked=connection.chunked), connection)
    with connection.fed_by(subscription):
        await connection.open()
        now = hub.events.last
        await hub.kept()
        missed = None if seen is None or seen > now else await _missed(hub, seen)
        async for rows in _newest(hub) if missed is None else _pieces(missed):
            await connection.send(_frame("rows", rows))
        hello = Hello(
            now_ms=hub.clock.now_ms(),
            total=hub.journal.counts.total(),
            resumed=missed is not None,
            heartbeat_s=call.config.streams.heartbeat_s,
        )
        await connection.send(b"id: %b\n%b" % (str(now).encode(), _frame("hello", hello)))
        subscription.release(told=now)
        return await connection.wait()


def _everything(task: Task) -> bool:
    """All watchers name the same filter, so they share what is encoded."""
    return True


@cache
def _encoding(*, chunked: bool) -> Encoding:
    wrap = sse.chunk if chunked else bytes
    return Encoding(frame, wrap, wrap(BEAT), wrap(GOODBYE))


def frame(event: Event) -> bytes:
    """What the dashboard is told of an event."""
    gone = event.type is EventType.DELETED
    told = Gone(event.task.id) if gone else row(event.task)
    return b"id: %b\n%b" % (str(event.resume or event.id).encode(), _frame("gone" if gone else "row", told))


def _frame(name: str, data: object) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), encode(data))


async def _newest(hub: Hub) -> AsyncIterator[list[Row]]:
    """The newest tasks, and then all that have not ended."""
    newest, _ = await hub.page(Filter(), None, NEWEST)
    yield [row(task) for task in newest]
    known = {task.id for task in newest}
    async for rows in _pieces(task for task in _live(hub) if task.id not in known):
        yield rows


async def _missed(hub: Hub, seen: EventId) -> list[Task] | None:
    """Each task that has changed since; None when it is too much. Not all progress is kept, so what is live is told."""
    events = await hub.store.since(seen, MOST_MISSED)
    if len(events) == MOST_MISSED:
        return None
    tasks = {event.task.id: event.task for event in events}
    tasks.update((task.id, task) for task in _live(hub) if task.changed > seen)
    return list(tasks.values())


def _live(hub: Hub) -> Iterable[Task]:
    shown = (hub.find(task.id) for state in State if state not in FINAL for task in hub.live(state))
    return islice((task for task in shown if task is not None), MOST_LIVE)


async def _pieces(tasks: Iterable[Task]) -> AsyncIterator[list[Row]]:
    iterator = iter(tasks)
    while piece := [row(task) for task in islice(iterator, PIECE)]:
        yield piece


ROUTES = (
    Route(
        method="GET",
        path="/-/feed",
        handler=sse.patient(feed),
        summary="The dashboard's list as it changes",
        query=FeedQuery,
        answers={200: "text/event-stream: rows, hello, row, gone, beat, goodbye"},
    ),
)
