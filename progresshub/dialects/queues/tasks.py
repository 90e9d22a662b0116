"""Tasks over the queues dialect: submit, find, cancel, delete, retry, one or many at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import msgspec
from aiohttp import web
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from progresshub.dialects.queues.words import STATE, TaskBody, body
from progresshub.edge.idempotency import idempotency
from progresshub.edge.routes import FORM, JSON, Call, Route, Upload
from progresshub.edge.uploads import receive
from progresshub.edge.wire import duration_ms, read, reply, time_ms
from progresshub.errors import Forbidden, HubError, InvalidField, InvalidRequest, TooLarge, UnknownTask
from progresshub.model import State, Task
from progresshub.registry.submission import IdempotencyKey, Submission
from progresshub.storage.persistence import Accepted, Filter

ORIGIN = "queues"
DEFAULT_QUEUE = "default"
PAGE = 500
DIGITS = 32
"""Of an id."""

Metadata = dict[str, Any]
QueueName = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_.:-]{0,64}\Z")]
Limit = Annotated[int, msgspec.Meta(ge=1, le=PAGE)]


class NewTask(msgspec.Struct, kw_only=True):
    """A task to do. Durations are Go's (`30s`, `1h30m`), `process_at` is RFC 3339; what is empty counts as left out."""

    type: str
    payload: dict[str, Any]
    queue: QueueName = DEFAULT_QUEUE
    priority: Annotated[int, msgspec.Meta(ge=0, le=9)] = 0
    title: Annotated[str, msgspec.Meta(max_length=1_000)] = ""
    max_retries: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] | None = None
    timeout: str | None = None
    process_at: str | None = None
    unique: str | None = None
    metadata: Metadata | None = None


class NewTasks(msgspec.Struct):
    """Tasks to take all together or not at all."""

    tasks: list[NewTask]


class TaskForm(msgspec.Struct):
    """A task whose files come along: `task` is the body as it would be without, and every part with a file name is
    a file that lies in the task's own directory, under that name, when it begins."""

    task: str
    file: bytes | UnsetType = UNSET


class Created(msgspec.Struct):
    task_id: str
    queue: str
    status: str


class CreatedTasks(msgspec.Struct):
    tasks: list[Created]


class Message(msgspec.Struct):
    message: str


class OfQueue(msgspec.Struct):
    """A task of another queue counts as unknown; without it the queue does not matter."""

    queue: str | None = None


class ListQuery(msgspec.Struct):
    """Which tasks; `q` are beginnings of words that must all occur, `cursor` goes on where a page ended.

    With `id_prefix`, at least one hexadecimal digit, all that count are those digits, and there is one page.
    """

    queue: str | None = None
    type: str | None = None
    state: str | None = None
    q: str = ""
    limit: Limit = 50
    cursor: str = ""
    id_prefix: Annotated[str, msgspec.Meta(pattern=r"^([0-9A-Fa-f-]*[0-9A-Fa-f][0-9A-Fa-f-]*)?\Z", max_length=36)] = ""


class TaskPage(msgspec.Struct):
    """Newest first. A page may be short; the list goes on as long as there is a `next_cursor`."""

    tasks: list[TaskBody]
    next_cursor: str


class Bulk(msgspec.Struct):
    """Which tasks to act on. Naming no condition needs `all`; `dry_run` only counts."""

    queue: str | None = None
    type: str | None = None
    state: str | None = None
    q: str = ""
    all: bool = False
    dry_run: bool = False


class BulkDone(msgspec.Struct):
    """How many tasks it was for, and how many of them it was done to."""

    matched: int
    done: int


async def create(call: Call[None, NewTask | None]) -> web.Response:
    if call.body is None:
        return await _create_with_files(call)
    (accepted,) = await _submit(call, [submission(call.body)], await idempotency(call.request))
    return reply(_created(accepted), 201)


async def _create_with_files(call: Call[None, Any]) -> web.Response:
    async with receive(call, WITH_FILES) as form:
        asked = submission(read(form.read(TaskForm).task.encode(), NewTask))
        key = await idempotency(call.request, form.digest)
        (accepted,) = await _submit(call, [replace(asked, staged=form.folder if form.files else None)], key)
    return reply(_created(accepted), 201)


async def create_batch(call: Call[None, NewTasks]) -> web.Response:
    most = call.config.limits.batch
    if len(call.body.tasks) > most:
        raise TooLarge(f"A batch holds at most {most} tasks.", limit_tasks=most)
    submissions = [submission(task) for task in call.body.tasks]
    accepted = await _submit(call, submissions, await idempotency(call.request))
    return reply(CreatedTasks([_created(task) for task in accepted]), 201)


async def _submit(
    call: Call[Any, Any], submissions: list[Submission], idempotency: IdempotencyKey | None
) -> list[Accepted]:
    for task in submissions:
        kind = call.hub.kinds.get(task.kind)
        if kind is not None and kind.needs_command_scope(task.payload) and "command" not in call.scopes:
            raise Forbidden(reason="commands that are not named in the settings need a token of scope command")
    return list(await call.hub.submit(submissions, idempotency))


def submission(task: NewTask) -> Submission:
    return Submission(
        kind=task.type,
        payload=task.payload,
        origin=ORIGIN,
        queue=task.queue or DEFAULT_QUEUE,
        priority=task.priority,
        title=task.title,
        max_retries=task.max_retries,
        timeout_ms=_field("timeout", _positive_ms, task.timeout),
        due_ms=_field("process_at", time_ms, task.process_at),
        unique_ms=_field("unique", _positive_ms, task.unique),
        metadata=task.metadata or {},
    )


def _field(name: str, parse: Callable[[str], int], text: str | None) -> int | None:
    try:
        return parse(text) if text else None  # clients that send every field send empty ones
    except ValueError as error:
        raise InvalidField(field=name, reason=str(error)) from None


def _positive_ms(text: str) -> int:
    ms = duration_ms(text)
    if ms <= 0:
        raise ValueError(f"{text!r} is not longer than nothing")
    return ms


def _created(task: Accepted) -> Created:
    return Created(task.task_id, task.queue, STATE[task.state])


async def get(call: Call[OfQueue, None]) -> web.Response:
    return reply(body(await task_of(call)))


async def task_of(call: Call[Any, Any]) -> Task:
    """The task that the path names, in the queue that the query may name."""
    task_id = call.path("id")
    task = await call.hub.get(task_id)
    queue = getattr(call.query, "queue", None)
    if queue is not None and queue != task.spec.queue:
        raise UnknownTask(task_id=task_id)
    return task


async def page(call: Call[ListQuery, None]) -> web.Response:
    query = call.query
    if query.id_prefix:
        digits = query.id_prefix.replace("-", "").lower()[:DIGITS]
        found = await call.hub.store.beginning(digits, query.limit)
        return reply(TaskPage([body(call.hub.find(task.id) or task) for task in found], ""))
    tasks, more = await call.hub.page(wanted(query), _cursor(query.cursor), query.limit)
    return reply(TaskPage([body(task) for task in tasks], "" if more is None else str(more)))


def wanted(query: ListQuery | Bulk) -> Filter:
    return Filter(queue=query.queue, kind=query.type, states=states(query.state), text=query.q)


def states(word: str | None) -> frozenset[State]:
    """The states that a word of this dialect, or of the registry itself, stands for; none stands for all."""
    if not word:
        return frozenset()
    states = frozenset(state for state, ours in STATE.items() if word in (ours, state.value))
    if not states:
        raise InvalidRequest(reason=f"there is no state {word!r}")
    return states


def _cursor(text: str) -> int | None:
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise InvalidRequest(reason=f"{text[:40]!r} is not a cursor of a list")
    return int(text)


async def cancel(call: Call[OfQueue, None]) -> web.Response:
    task = await task_of(call)
    await call.hub.cancel(task.id)
    return reply(Message("task cancelled"))


async def delete(call: Call[OfQueue, None]) -> web.Response:
    task = await task_of(call)
    await call.hub.delete(task.id)
    return reply(Message("task deleted"))


async def retry(call: Call[OfQueue, None]) -> web.Response:
    task = await task_of(call)
    _refuse_foreign_command(call, task)
    return reply(_created(await call.hub.retry(task.id)), 201)


def _refuse_foreign_command(call: Call[Any, Any], task: Task) -> None:
    kind = call.hub.kinds.get(task.spec.kind)
    if kind is not None and kind.needs_command_scope(task.spec.payload) and "command" not in call.scopes:
        raise Forbidden(reason="this command needs a token of scope command")


async def cancel_many(call: Call[None, Bulk]) -> web.Response:
    async def act(task: Task) -> None:
        await call.hub.cancel(task.id)

    return await _bulk(call, lambda task: not task.final and not task.cancelling, act)


async def retry_many(call: Call[None, Bulk]) -> web.Response:
    async def act(task: Task) -> None:
        _refuse_foreign_command(call, task)
        await call.hub.retry(task.id)

    return await _bulk(call, lambda task: task.state in (State.FAILED, State.CANCELLED), act)


async def delete_many(call: Call[None, Bulk]) -> web.Response:
    async def act(task: Task) -> None:
        await call.hub.delete(task.id)

    return await _bulk(call, lambda task: task.state is not State.RUNNING, act)


async def _bulk(
    call: Call[None, Bulk], able: Callable[[Task], bool], act: Callable[[Task], Awaitable[None]]
) -> web.Response:
    """Act on every task that is there now, fits and is able; what comes later is left alone."""
    asked = call.body
    if not (asked.queue or asked.type or asked.state or asked.q or asked.all):
        raise InvalidRequest(reason='name a condition, or say "all": true')
    matched = done = 0
    before: int | None = call.hub.last_seq + 1
    while before is not None:
        tasks, before = await call.hub.page(wanted(asked), before, PAGE)
        chosen = [task for task in tasks if able(task)]
        matched += len(chosen)
        if not asked.dry_run:
            done += await _act_on(chosen, act)
    return reply(BulkDone(matched, done))


async def _act_on(tasks: list[Task], act: Callable[[Task], Awaitable[None]]) -> int:
    """Together, so that they share a commit; one that has moved on meanwhile is no reason to stop."""
    results = await asyncio.gather(*map(act, tasks), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException) and not isinstance(result, HubError):
            raise result
    return sum(result is None for result in results)


TASK = "/api/v1/tasks/{id}"
WITH_FILES = Upload(form=TaskForm)

ROUTES = (
    Route(
        method="POST",
        path="/api/v1/tasks",
        handler=create,
        summary="Submit a task, with files if it needs some",
        scope="submit",
        body=NewTask,
        upload=WITH_FILES,
        takes=(JSON, FORM),
        answers={201: Created},
    ),
    Route(
        method="POST",
        path="/api/v1/tasks/batch",
        handler=create_batch,
        summary="Submit many tasks at once, all or none",
        scope="submit",
        body=NewTasks,
        answers={201: CreatedTasks},
    ),
    *(
        Route(
            method="POST",
            path=f"/api/v1/tasks/{word}",
            handler=handler,
            summary=f"{word.capitalize()} every task that fits",
            scope="submit",
            body=Bulk,
            answers={200: BulkDone},
        )
        for word, handler in (("cancel", cancel_many), ("retry", retry_many), ("delete", delete_many))
    ),
    Route(
        method="GET",
        path="/api/v1/tasks",
        handler=page,
        summary="List tasks, newest first",
        query=ListQuery,
        answers={200: TaskPage},
    ),
    Route(
        method="GET",
        path=TASK,
        handler=get,
        summary="Look at a task",
        shared=True,
        query=OfQueue,
        answers={200: TaskBody},
    ),
    Route(
        method="DELETE",
        path=TASK,
        handler=delete,
        summary="Forget a task, its history and its files",
        scope="submit",
        query=OfQueue,
        answers={200: Message},
    ),
    Route(
        method="POST",
        path=f"{TASK}/cancel",
        handler=cancel,
        summary="Cancel a task",
        scope="submit",
        query=OfQueue,
        answers={200: Message},
    ),
    Route(
        method="POST",
        path=f"{TASK}/retry",
        handler=retry,
        summary="Do a failed or cancelled task over, as a new one",
        scope="submit",
        query=OfQueue,
        answers={201: Created},
    ),
)
