"""What a task leaves behind, over the queues dialect: its log, its files, its events."""

from __future__ import annotations

import os
from io import BytesIO
from typing import Annotated, BinaryIO
from urllib.parse import quote

import msgspec
from aiohttp import hdrs, web

from progresshub.clock import rfc3339
from progresshub.dialects.queues.tasks import TASK, OfQueue, task_of
from progresshub.dialects.queues.words import STATE, TaskBody, body
from progresshub.edge.attachment import attachment
from progresshub.edge.follow import follow
from progresshub.edge.routes import Call, Route
from progresshub.edge.wire import event_id, reply
from progresshub.errors import InvalidField
from progresshub.model import FIRST, EventType

MOST_EVENTS = 1_000
READ_BYTES = 65_536
CHANGES = frozenset(EventType) - {EventType.PROGRESSED}


class LogQuery(msgspec.Struct):
    """`tail` begins with that many last lines, `offset` at that byte; `follow` goes on until the task ends."""

    tail: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] | None = None
    offset: Annotated[int, msgspec.Meta(ge=0)] = 0
    limit: Annotated[int, msgspec.Meta(ge=1)] | None = None
    follow: str = ""


class FileBody(msgspec.Struct):
    name: str
    size: int
    modified_at: str
    url: str


class FileList(msgspec.Struct):
    task_id: str
    files: list[FileBody]


class EventBody(msgspec.Struct):
    id: str
    type: str
    at: str
    state: str
    task: TaskBody


class EventList(msgspec.Struct):
    """Everything that happened to a task and is kept, oldest first."""

    task_id: str
    count: int
    events: list[EventBody]


class EventsQuery(msgspec.Struct):
    """`start_id`: `-` is the beginning, else the id of the first event wanted; `progress` false leaves progress out."""

    start_id: str = "-"
    limit: Annotated[int, msgspec.Meta(ge=1, le=MOST_EVENTS)] = MOST_EVENTS
    progress: str = "true"


async def logs(call: Call[LogQuery, None]) -> web.StreamResponse:
    """A task's output as it was written; `X-Log-Offset` and `X-Log-Size` say which part of how much comes."""
    query = call.query
    task = await task_of(call)
    with call.hub.files.open_log(task.id) or BytesIO() as log:
        size = log.seek(0, os.SEEK_END)
        start = min(query.offset, size) if query.tail is None else tail_offset(log, size, query.tail)
        headers = {
            "Content-Type": "text/plain; charset=utf-8",
            "X-Content-Type-Options": "nosniff",
            "X-Log-Offset": str(start),
            "X-Log-Size": str(size),
        }
        response = web.StreamResponse(headers=headers)
        wanted = min(size - start, query.limit or size)
        follows = query.follow.lower() == "true" and query.limit is None
        if not follows:
            response.content_length = wanted
        await response.prepare(call.request)
        if call.request.method == hdrs.METH_HEAD:
            return response
        log.seek(start)
        await _copy(log, wanted, response)
    if follows:
        await follow(call.hub, task.id, start + wanted, response)
    await response.write_eof()
    return response


async def _copy(log: BinaryIO, size: int, response: web.StreamResponse) -> None:
    while size > 0 and (data := log.read(min(size, READ_BYTES))):
        await response.write(data)
        size -= len(data)


def tail_offset(log: BinaryIO, size: int, lines: int) -> int:
    """Where the last `lines` lines of a file of `size` bytes begin; a line that is not ended counts."""
    position, left = size, lines
    while position > 0:
        begin = max(0, position - READ_BYTES)
        log.seek(begin)
        block = log.read(position - begin)
        end = len(block) - (1 if position == size and block.endswith(b"\n") else 0)
        while left > 0 and (end := block.rfind(b"\n", 0, end)) >= 0:
            left -= 1
            if left == 0:
                return begin + end + 1
        if lines == 0:
            return size
        position = begin
    return 0


async def files(call: Call[OfQueue, None]) -> web.Response:
    task = await task_of(call)
    top = f"/api/v1/tasks/{task.id}/files/"
    found = [
        FileBody(file.name, file.size_bytes, rfc3339(file.modified_ms), top + quote(file.name))
        for file in call.hub.files.list(task.id)
    ]
    return reply(FileList(task.id, found))


async def file(call: Call[OfQueue, None]) -> web.StreamResponse:
    task = await task_of(call)
    name = call.path("name")
    return attachment(call.hub.files.find(task.id, name))


async def events(call: Call[EventsQuery, None]) -> web.Response:
    task = await task_of(call)
    text = call.query.start_id
    start = FIRST if text == "-" else event_id(text)
    if start is None:
        raise InvalidField(field="start_id", reason=f"{text[:40]!r} is neither '-' nor the id of an event")
    await call.hub.kept()
    types = CHANGES if call.query.progress.lower() == "false" else None
    found = await call.hub.store.history(task, start=start, types=types, limit=call.query.limit)
    shown = [
        EventBody(str(event.id), event.type.value, rfc3339(event.id.ms), STATE[event.task.state], body(event.task))
        for event in found
    ]
    return reply(EventList(task.id, len(shown), shown))


ROUTES = (
    Route(
        method="GET",
        path=f"{TASK}/logs",
        handler=logs,
        summary="What a task has printed",
        shared=True,
        query=LogQuery,
        answers={200: "text/plain"},
    ),
    Route(
        method="GET",
        path=f"{TASK}/files",
        handler=files,
        summary="The files a task has made",
        shared=True,
        query=OfQueue,
        answers={200: FileList},
    ),
    Route(
        method="GET",
        path=f"{TASK}/files/{{name:.+}}",
        handler=file,
        summary="One of them",
        shared=True,
        query=OfQueue,
        answers={200: "the file", 206: "the part of it that Range asks for"},
    ),
    Route(
        method="GET",
        path=f"{TASK}/events",
        handler=events,
        summary="Everything that happened to a task",
        shared=True,
        query=EventsQuery,
        answers={200: EventList},
    ),
)
