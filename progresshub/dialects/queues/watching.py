"""One task's events as they happen, over the queues dialect: all that a page about that task needs to stay true."""

from __future__ import annotations

import msgspec
from aiohttp import web

from progresshub.dialects.queues import words
from progresshub.dialects.queues.progress import last_seen
from progresshub.dialects.queues.tasks import TASK, task_of
from progresshub.edge import sse
from progresshub.edge.routes import Call, Route
from progresshub.edge.wire import encode
from progresshub.model import Task


class WatchQuery(msgspec.Struct):
    """A task of another queue counts as unknown; `last_event_id` is for clients that can't send the header."""

    queue: str | None = None
    last_event_id: str = ""


async def events_stream(call: Call[WatchQuery, None]) -> web.StreamResponse:
    """The task as it is, then each event with the task as it was just after, until its end has been told."""
    seen = last_seen(call, call.query.last_event_id)
    connection = sse.Stream(call.request, call.config.streams)
    live = sse.encoding(words.all_frames, chunked=connection.chunked)
    subscription = call.hub.bus.watch([call.path("id")], live, connection)
    with connection.fed_by(subscription):
        task = await task_of(call)
        if task.final and seen is not None and seen >= task.changed:
            return web.Response(status=204)
        await connection.open()
        await connection.send(sse.lines(_now(task)))
        if task.final:
            connection.finish()
        subscription.release(lambda event: event.id > task.changed)
        return await connection.wait()


def _now(task: Task) -> sse.Frame:
    return sse.Frame("task", encode({"type": "task", "task": words.body(task)}), task.changed)


ROUTES = (
    Route(
        method="GET",
        path=f"{TASK}/events/stream",
        handler=sse.patient(events_stream),
        summary="Everything that happens to a task, as it happens",
        shared=True,
        query=WatchQuery,
        answers={
            200: "text/event-stream: task, then one event type for each thing that can happen",
            204: "nothing more is to come",
        },
    ),
)
