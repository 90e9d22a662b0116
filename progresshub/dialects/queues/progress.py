"""Progress over the queues dialect: the latest, the history, live streams, and reports from outside."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import Annotated, Any

import msgspec
from aiohttp import web

from progresshub.dialects.queues import words
from progresshub.dialects.queues.tasks import OfQueue, states, task_of
from progresshub.edge import sse
from progresshub.edge.replay import ending, replay
from progresshub.edge.routes import JSON, TEXT, Call, Route
from progresshub.edge.wire import event_id, reply
from progresshub.errors import InvalidField, InvalidRequest, NoProgress
from progresshub.model import FINAL, FIRST, Event, EventId, EventType, State, Task
from progresshub.protocol import Report, parse, parse_text
from progresshub.registry.hub import Hub
from progresshub.storage.persistence import ENTRIES, Filter, place

PAGE = 1_000
MOST_STREAMED = 10
MOST_CHOSEN = 100
MOST_MISSED = 10_000
FORM = "application/x-www-form-urlencoded"


class Latest(msgspec.Struct, omit_defaults=True):
    """The last entry of a task's progress; `status` is empty unless it is the final one."""

    progress: words.Entry
    is_final: bool
    stream_id: str
    status: str


class Past(msgspec.Struct, omit_defaults=True):
    stream_id: str
    progress: words.Entry
    is_final: bool
    status: str = ""


class History(msgspec.Struct):
    """Entries, oldest first."""

    task_id: str
    count: int
    history: list[Past]


class Info(msgspec.Struct):
    """How much of a task's progress is kept; the entries are empty when it has none."""

    task_id: str
    has_progress: bool
    length: int
    first_entry: str
    last_entry: str


class StartQuery(msgspec.Struct):
    """`-` is the beginning, else the id of the first entry wanted."""

    start_id: str = "-"
    limit: Annotated[int, msgspec.Meta(ge=1, le=PAGE)] = PAGE


class StreamQuery(msgspec.Struct):
    """`start_id`: `$` only what comes, `0` everything, or the id after which to begin."""

    history: str = ""
    start_id: str = ""
    last_event_id: str = ""


class MultiQuery(msgspec.Struct):
    """1 to 10 ids, divided by commas."""

    task_ids: str = ""
    last_event_id: str = ""


class AllQuery(msgspec.Struct):
    """Which tasks' events; `id` is one or up to 100, divided by commas, alone or with the others."""

    queue: str | None = None
    type: str | None = None
    state: str | None = None
    id: str | None = None
    last_event_id: str = ""


async def latest(call: Call[OfQueue, None]) -> web.Response:
    task = await task_of(call)
    if task.entry is None:
        raise NoProgress(task_id=task.id)
    return reply(_latest(task if _has_spoken(task) else await _last_recorded(call.hub, task)))


def latest_known(call: Call[OfQueue, None]) -> Latest | None:
    """The same of a task in memory that has something to tell."""
    task = call.hub.find(call.path("id"))
    return None if task is None or task.entry is None or not _has_spoken(task) else _latest(task)


def _latest(task: Task) -> Latest:
    at = task.entry or FIRST
    return Latest(words.entry(task, at), task.final, str(at), words.status(task))


def _has_spoken(task: Task) -> bool:
    """Not so when a new attempt has begun and said nothing yet."""
    return task.progress is not None or task.final


async def _last_recorded(hub: Hub, task: Task) -> Task:
    """The task as it was at its last entry that is kept; not every one is."""
    await hub.kept()
    _, _, last = await hub.store.extent(task, ENTRIES)
    past = [] if last is None else await hub.store.history(task, start=last, types=ENTRIES, limit=1)
    return past[0].task if past else task


async def history(call: Call[StartQuery, None]) -> web.Response:
    task = await task_of(call)
    start = _start(call.query.start_id)
    await call.hub.kept()
    events = await call.hub.store.history(task, start=start, types=ENTRIES, limit=call.query.limit)
    return reply(History(task.id, len(events), [_past(event) for event in events]))


def _past(event: Event) -> Past:
    task = event.task
    return Past(str(event.id), words.entry(task, event.id), task.final, words.status(task))


def _start(text: str) -> EventId:
    start = FIRST if text == "-" else event_id(text)
    if start is None:
        raise InvalidField(field="start_id", reason=f"{text[:40]!r} is neither '-' nor the id of an entry")
    return start


async def info(call: Call[OfQueue, None]) -> web.Response:
    task = await task_of(call)
    await call.hub.kept()
    length, first, last = await call.hub.store.extent(task, ENTRIES)
    return reply(Info(task.id, length > 0, length, str(first or ""), str(last or "")))


async def report(call: Call[None, bytes]) -> web.Response:
    task = await call.hub.report(call.path("id"), _read(call.request.content_type, call.body))
    return reply(words.entry(task, task.entry or FIRST))


def report_news(call: Call[None, bytes]) -> words.Entry | None:
    """Take a report that only tells how far it is; nobody has to wait for such a one."""
    task = call.hub.report_news(call.path("id"), _read(call.request.content_type, call.body))
    return None if task is None else words.entry(task, task.entry or FIRST)


def _read(content_type: str, body: bytes) -> Report:
    if content_type == JSON or body.startswith(b"{"):  # curl -d says "form" of whatever it sends
        return parse(body)
    try:
        return parse_text(body.decode())
    except UnicodeDecodeError:
        raise InvalidRequest(reason="the text is not UTF-8") from None


async def stream(call: Call[StreamQuery, None]) -> web.StreamResponse:
    """One task's progress: what was, where asked for, then what comes, until its end has been told."""
    seen = last_seen(call, call.query.last_event_id)
    start, past = _beginning(call.query, seen)
    connection = sse.Stream(call.request, call.config.streams)
    live = sse.encoding(words.frames, chunked=connection.chunked)
    subscription = call.hub.bus.watch([call.path("id")], live, connection)
    with connection.fed_by(subscription):
        task = await task_of(call)
        if task.final and seen is not None and seen >= (task.entry or FIRST):
            return web.Response(status=204)
        await connection.open()
        after = await _tell_past(call.hub, task, start, past, connection)
        subscription.release(lambda event: event.id > after)
        return await connection.wait()


async def _tell_past(hub: Hub, task: Task, start: EventId | None, past: sse.Frames, connection: sse.Stream) -> EventId:
    """Tell what had happened by the time of the join; returns the id up to which nothing needs telling again."""
    last: Event | None = None
    if start is not None:
        last = await replay(hub, task, start, past, connection)
    if last is None and task.final:
        last = ending(task)
        await connection.send(b"".join(map(sse.lines, words.frames(last))))
    if last is None:
        return start or FIRST
    if last.task.final:
        connection.finish()
    return last.id


def last_seen(call: Call[Any, Any], from_query: str) -> EventId | None:
    """The last event that a client which comes again has seen; None when it says nothing that makes sense."""
    seen = event_id(call.request.headers.get("Last-Event-ID") or from_query)
    return seen if seen is not None and seen <= call.hub.events.last else None


def _beginning(query: StreamQuery, seen: EventId | None) -> tuple[EventId | None, sse.Frames]:
    """The id after which to begin, None for what comes only, and the words for what was."""
    wants_history = query.history.lower() == "true"
    past = words.history_frames if wants_history else words.frames
    text = query.start_id or ("0" if wants_history else "$")
    start = None if text == "$" else event_id(text)
    if start is None and text != "$":
        raise InvalidField(field="start_id", reason=f"{text[:40]!r} is neither '$' nor '0' nor the id of an entry")
    return (start if seen is None else seen), past


async def multi_stream(call: Call[MultiQuery, None]) -> web.StreamResponse:
    """Several tasks' progress: the latest of each at once, then each change, until all have ended."""
    ids = _ids(call.query.task_ids)
    left = set(ids)
    connection = sse.Stream(call.request, call.config.streams)
    live = sse.encoding(words.multi_frames, chunked=connection.chunked)

    def is_last_of_all(event: Event) -> bool:
        left.discard(event.task.id)
        if not left:
            connection.write(live.wrap(sse.lines(words.all_done(ids, event.id))))
        return not left

    connection.until(is_last_of_all)
    subscription = call.hub.bus.watch(ids, live, connection)
    with connection.fed_by(subscription):
        tasks = [await call.hub.get(task_id) for task_id in ids]
        told = {task.id: task.entry or FIRST for task in tasks}
        left.difference_update(task.id for task in tasks if task.final)
        seen = last_seen(call, call.query.last_event_id)
        if not left and seen is not None and max(told.values()) <= seen:
            return web.Response(status=204)
        await connection.open()
        await _tell_latest(tasks, seen or FIRST, connection)
        if not left:
            await connection.send(sse.lines(words.all_done(ids, max(told.values()))))
            connection.finish()
        subscription.release(lambda event: event.id > told[event.task.id])
        return await connection.wait()


async def _tell_latest(tasks: list[Task], seen: EventId, connection: sse.Stream) -> None:
    for task in tasks:
        if task.entry is not None and task.entry > seen and (task.progress or task.final):
            event = ending(task) if task.final else Event(task.entry, EventType.PROGRESSED, task)
            await connection.send(b"".join(map(sse.lines, words.multi_frames(event))))


def _ids(text: str) -> list[str]:
    ids = list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if not 1 <= len(ids) <= MOST_STREAMED:
        raise InvalidRequest(reason=f"task_ids names 1 to {MOST_STREAMED} tasks, divided by commas")
    return ids


async def all_stream(call: Call[AllQuery, None]) -> web.StreamResponse:
    """Every event of every task that fits, from now on or from the last one that was seen."""
    query = call.query
    takes = Chosen(Filter(queue=query.queue, kind=query.type, states=states(query.state)), _chosen(query.id))
    seen = last_seen(call, query.last_event_id)
    connection = sse.Stream(call.request, call.config.streams)
    connection.until(lambda event: False)
    live = sse.encoding(words.all_frames, chunked=connection.chunked)
    subscription = call.hub.bus.watch_all(takes, live, connection)
    with connection.fed_by(subscription):
        await connection.open()
        after = FIRST if seen is None else await _tell_missed(call.hub, seen, takes, connection)
        subscription.release(lambda event: event.id > after, told=after)
        return await connection.wait()


@dataclass(frozen=True, slots=True)
class Chosen:
    """The events of which tasks a stream carries; equal choices share their frames."""

    filter: Filter
    task_ids: frozenset[str] | None

    def __call__(self, task: Task) -> bool:
        return (self.task_ids is None or task.id in self.task_ids) and self.filter.takes(place(task))


def _chosen(text: str | None) -> frozenset[str] | None:
    if text is None:
        return None
    task_ids = frozenset(text.split(","))
    if len(task_ids) > MOST_CHOSEN:
        raise InvalidRequest(reason=f"id names at most {MOST_CHOSEN} tasks, divided by commas")
    return task_ids


async def _tell_missed(hub: Hub, seen: EventId, takes: Chosen, connection: sse.Stream) -> EventId:
    """Send what happened since; where that is more than is told one by one, say so and show how things stand."""
    now = hub.events.last
    await hub.kept()
    events = await hub.store.since(seen, MOST_MISSED)
    await hub.kept()  # what the store gave may still be on its way to the bus
    if len(events) < MOST_MISSED:
        for event in events:
            if takes(event.task):
                await connection.send(b"".join(map(sse.lines, words.all_frames(event))))
        return events[-1].id if events else seen
    running = (hub.find(task.id) for state in State if state not in FINAL for task in hub.live(state))
    live = islice((task for task in running if task is not None and takes(task)), PAGE)
    await connection.send(sse.lines(words.gap(seen, now, list(live))))
    return now


TASK = "/api/v1/tasks/{id}/progress"

ROUTES = (
    Route(
        method="GET",
        path=TASK,
        handler=latest,
        summary="The latest progress",
        shared=True,
        query=OfQueue,
        answers={200: Latest},
        prompt=latest_known,
    ),
    Route(
        method="POST",
        path=TASK,
        handler=report,
        summary="Report the progress of an external task: JSON, or a text such as 42%, 3/10, done, failed: why",
        scope="submit",
        body=Report,
        raw=True,
        takes=(JSON, TEXT, FORM),
        answers={200: words.Entry},
        prompt=report_news,
    ),
    Route(
        method="GET",
        path=f"{TASK}/history",
        handler=history,
        summary="Recorded progress, oldest first",
        shared=True,
        query=StartQuery,
        answers={200: History},
    ),
    Route(
        method="GET",
        path=f"{TASK}/info",
        handler=info,
        summary="How much progress is recorded",
        shared=True,
        query=OfQueue,
        answers={200: Info},
    ),
    Route(
        method="GET",
        path=f"{TASK}/stream",
        handler=sse.patient(stream),
        summary="Progress as it happens",
        shared=True,
        query=StreamQuery,
        answers={200: "text/event-stream: progress, history, done", 204: "nothing more is to come"},
    ),
    Route(
        method="GET",
        path="/api/v1/progress/stream",
        handler=sse.patient(multi_stream),
        summary="Progress of several tasks as it happens",
        query=MultiQuery,
        answers={200: "text/event-stream: progress, done", 204: "nothing more is to come"},
    ),
    Route(
        method="GET",
        path="/api/v1/events/stream",
        handler=sse.patient(all_stream),
        summary="Every event of every task that fits, as it happens",
        query=AllQuery,
        answers={200: "text/event-stream: one event type for each thing that can happen, and gap"},
    ),
)
