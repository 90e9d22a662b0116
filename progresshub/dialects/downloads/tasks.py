"""Downloads over the downloads dialect: ask for them, get them, call them off, list them, forget them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from aiohttp import web
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from progresshub.dialects.downloads import words
from progresshub.dialects.downloads.progress import newest
from progresshub.dialects.downloads.refusals import NotCompleted
from progresshub.edge.attachment import attachment
from progresshub.edge.idempotency import idempotency
from progresshub.edge.routes import Call, Route
from progresshub.edge.wire import reply
from progresshub.errors import InvalidRequest, TooLarge, UnknownFile
from progresshub.jobs.download import Download
from progresshub.model import State, Task
from progresshub.registry.hub import Hub
from progresshub.registry.submission import Submission
from progresshub.storage.persistence import Accepted

ORIGIN = "downloads"
QUEUE = "default"

Url = Annotated[str, msgspec.Meta(min_length=1, max_length=4_096)]


def _new_download() -> type[msgspec.Struct]:
    """What a download is asked for with: the kind's own payload, but for `url`, of which there may be several."""
    options = [field for field in msgspec.structs.fields(Download) if field.name != "url"]
    fields: list[Any] = [("url", Url | list[Url]), *((field.name, field.type, _default(field)) for field in options)]
    about = {"__doc__": "What to download: `url` is one address, or a list of which all or none are taken."}
    return msgspec.defstruct("NewDownload", fields, namespace=about, kw_only=True)


def _default(field: msgspec.structs.FieldInfo) -> Any:
    if field.default_factory is msgspec.NODEFAULT:
        return field.default
    return msgspec.field(default_factory=field.default_factory)


NewDownload = _new_download()


class Taken(msgspec.Struct):
    """`queue_position` counts from 1; who is first is next. For a list of addresses it speaks of the first of them,
    and `tasks` of each, in their order."""

    task_id: str
    status: str
    queue_position: int
    message: str
    tasks: list[Taken] | UnsetType = UNSET


class ListQuery(msgspec.Struct):
    status: str | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=200)] = 50


class Cancelled(msgspec.Struct):
    message: str
    cancelled: bool


class Message(msgspec.Struct):
    message: str


class Thumbnail(msgspec.Struct):
    thumbnail_url: str


async def create(call: Call[None, Any]) -> web.Response:
    asked = msgspec.to_builtins(call.body)
    urls = asked["url"] if isinstance(asked["url"], list) else [asked["url"]]
    most = call.config.limits.batch
    if not urls:
        raise InvalidRequest(reason="url: it names no address")
    if len(urls) > most:
        raise TooLarge(f"A list holds at most {most} addresses.", limit_tasks=most)
    submissions = [
        Submission(kind="download", payload={**asked, "url": url}, origin=ORIGIN, queue=QUEUE) for url in urls
    ]
    accepted = await call.hub.submit(submissions, await idempotency(call.request))
    taken = _taken(call.hub, accepted)
    if isinstance(asked["url"], list):
        return reply(replace(taken[0], message=f"{len(taken)} downloads taken", tasks=taken))
    return reply(taken[0])


def _taken(hub: Hub, accepted: Sequence[Accepted]) -> list[Taken]:
    waiting = sum(
        tasks for where, tasks in hub.journal.counts.items() if where.queue == QUEUE and where.state is State.PENDING
    )
    ahead = waiting - len(accepted)
    return [
        Taken(task.task_id, words.STATUS[task.state], max(1, ahead + nth), "download taken")
        for nth, task in enumerate(accepted, 1)
    ]


async def file(call: Call[None, None]) -> web.StreamResponse:
    task = await call.hub.get(call.path("task_id"))
    if task.state is not State.COMPLETED:
        raise NotCompleted(task_id=task.id, state=task.state)
    return attachment(call.hub.files.find(task.id, _file_of(call.hub, task)))


def _file_of(hub: Hub, task: Task) -> str:
    """What its result names, or the one file there is."""
    if (name := words.file_name(task)) is not None:
        return name
    found = hub.files.list(task.id)
    if len(found) != 1:
        raise UnknownFile(task_id=task.id, name="to download")
    return found[0].name


async def cancel(call: Call[None, None]) -> web.Response:
    task_id = call.path("task_id")
    await call.hub.cancel(task_id)
    return reply(Cancelled(f"Task {task_id} is cancelled", cancelled=True))


async def delete(call: Call[None, None]) -> web.Response:
    task_id = call.path("task_id")
    await call.hub.delete(task_id)
    return reply(Message(f"Task {task_id} and its files are deleted"))


async def tasks(call: Call[ListQuery, None]) -> web.Response:
    found = await newest(call.hub, call.query.status, call.query.limit)
    return reply([words.listed(task) for task in found])


async def thumbnail(call: Call[None, None]) -> web.Response:
    task = await call.hub.get(call.path("task_id"))
    found = words.thumbnail_url(task)
    if found is None:
        raise UnknownFile(task_id=task.id, name="thumbnail")
    return reply(Thumbnail(found))


ROUTES = (
    Route(
        method="POST",
        path="/api/download",
        handler=create,
        summary="Download what is at an address, or at each of a list",
        scope="submit",
        body=NewDownload,
        answers={200: Taken},
    ),
    Route(
        method="GET",
        path="/api/download/{task_id}",
        handler=file,
        summary="The file of a completed download",
        answers={200: "the file", 206: "the part of it that Range asks for"},
    ),
    Route(
        method="POST",
        path="/api/cancel/{task_id}",
        handler=cancel,
        summary="Cancel a task that has not ended",
        scope="submit",
        answers={200: Cancelled},
    ),
    Route(
        method="DELETE",
        path="/api/task/{task_id}",
        handler=delete,
        summary="Forget a task that is not running, its events and its files",
        scope="submit",
        answers={200: Message},
    ),
    Route(
        method="GET",
        path="/api/tasks",
        handler=tasks,
        summary="List tasks, newest first",
        query=ListQuery,
        answers={200: list[words.Listed]},
    ),
    Route(
        method="GET",
        path="/api/thumbnail/{task_id}",
        handler=thumbnail,
        summary="Where the picture of a download is",
        answers={200: Thumbnail},
    ),
)
