"""Executions themselves: begin, look at, list, cancel."""

from __future__ import annotations

import asyncio
from math import ceil
from typing import Annotated, Any, Literal

import msgspec
from aiohttp import web

from progresshub.clock import rfc3339
from progresshub.dialects.executions import words
from progresshub.dialects.executions.words import Execution, ProgressBody, Status, Type
from progresshub.edge.idempotency import idempotency
from progresshub.edge.outward import refusal_of
from progresshub.edge.routes import Call, Route
from progresshub.edge.wire import reply
from progresshub.errors import Forbidden, InvalidField, NotCancellable, UnknownKind, UnknownTask
from progresshub.model import State, Task
from progresshub.registry.hub import Hub
from progresshub.registry.submission import Submission
from progresshub.storage.persistence import Filter, place

WINDOW = 5_000
"""Of how many of the newest executions a list is sorted or chosen by what the store keeps no order of."""
PAGE = 500


class Settings(msgspec.Struct, frozen=True):
    """How to go about it; `steps` are those of an inline pipeline. Without `max_retries` a failure is final."""

    steps: list[Any] | None = None
    at_once: int | None = None
    queue: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_.:-]{1,64}\Z")] = "default"
    priority: Annotated[int, msgspec.Meta(ge=0, le=9)] = 0
    max_retries: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 0
    timeout_s: Annotated[float, msgspec.Meta(gt=0, le=10**9)] | None = None


class NewExecution(msgspec.Struct, kw_only=True):
    """An `agent` is a task type, and `inputs` its payload; a `pipeline` is one of the settings, or `inline`."""

    type: Type
    target_id: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    inputs: dict[str, Any] = {}
    config: Settings | None = None
    callback_url: Annotated[str, msgspec.Meta(max_length=2_048)] | None = None


class Begun(msgspec.Struct):
    execution_id: str
    status: Status
    message: str
    status_url: str
    created_at: str


class ListQuery(msgspec.Struct):
    """Which executions, in which order; those that have no such time come last.

    By `started_at` and `completed_at` the newest 5000 are sorted, and a pipeline is looked for among as many.
    """

    status: Status | None = None
    type: Type | None = None
    target_id: str | None = None
    page: Annotated[int, msgspec.Meta(ge=1, le=10**9)] = 1
    page_size: Annotated[int, msgspec.Meta(ge=1, le=100)] = 50
    sort: Literal["created_at", "started_at", "completed_at"] = "created_at"
    order: Literal["asc", "desc"] = "desc"


class Pagination(msgspec.Struct):
    page: int
    page_size: int
    total_items: int
    total_pages: int
    has_next: bool
    has_prev: bool
    next_page: int | None
    prev_page: int | None


class ExecutionList(msgspec.Struct):
    executions: list[Execution]
    pagination: Pagination


class Cancelled(msgspec.Struct):
    execution_id: str
    status: Status
    cancelled_at: str


class CancelledBody(msgspec.Struct):
    message: str
    data: Cancelled


async def create(call: Call[None, NewExecution]) -> web.Response:
    submission = _submission(call.body)
    kind = call.hub.kinds.get(submission.kind)
    if kind is None:
        raise UnknownKind(kind=submission.kind)
    if kind.needs_command_scope(submission.payload) and "command" not in call.scopes:
        raise Forbidden(reason="commands that are not named in the settings need a token of scope command")
    if reason := refusal_of(call.body.callback_url or "", call.config.callbacks):
        raise InvalidField(field="callback_url", reason=reason)
    (accepted,) = await call.hub.submit([submission], await idempotency(call.request))
    task = await call.hub.get(accepted.task_id)
    execution_id = words.execution_id(task.id)
    url = f"{call.config.server.base_path}{EXECUTIONS}/{execution_id}"
    return reply(Begun(execution_id, "pending", "Execution accepted", url, rfc3339(task.spec.created_ms)), 202)


def _submission(asked: NewExecution) -> Submission:
    config = asked.config or Settings()
    if asked.type == "agent" and asked.target_id == words.PIPELINE:
        raise UnknownKind(kind=asked.target_id)
    return Submission(
        kind=asked.target_id if asked.type == "agent" else words.PIPELINE,
        payload=asked.inputs if asked.type == "agent" else _pipeline(asked, config),
        origin=words.ORIGIN,
        queue=config.queue,
        priority=config.priority,
        max_retries=config.max_retries,
        timeout_ms=None if config.timeout_s is None else ceil(1000 * config.timeout_s),
        metadata={words.CALLBACK_URL: asked.callback_url} if asked.callback_url else {},
    )


def _pipeline(asked: NewExecution, config: Settings) -> dict[str, Any]:
    if asked.target_id != words.INLINE:
        return {"name": asked.target_id, "inputs": asked.inputs}
    if config.steps is None:
        raise InvalidField(field="config.steps", reason="an inline pipeline needs its steps")
    at_once = {} if config.at_once is None else {"at_once": config.at_once}
    return {"steps": config.steps, "inputs": asked.inputs, **at_once}


async def get(call: Call[None, None]) -> web.Response:
    return reply(words.body(await execution(call)))


async def execution(call: Call[Any, Any]) -> Task:
    """The task that the path names by its short id, or by its own."""
    asked = call.path("id")
    short = words.short_id(asked)
    try:
        return await (call.hub.get(asked) if short is None else call.hub.beginning(short))
    except UnknownTask:
        raise UnknownTask(f"There is no execution {asked}.", task_id=asked) from None


async def page(call: Call[ListQuery, None]) -> web.Response:
    query = call.query
    skip = (query.page - 1) * query.page_size
    if query.sort == "created_at" and (query.target_id is None or query.type == "agent"):
        tasks, total = await _slice(call.hub, query, skip)
    else:
        tasks, total = await _sorted(call.hub, query, skip)
    pages = ceil(total / query.page_size)
    following = query.page + 1 if query.page < pages else None
    before = query.page - 1 if query.page > 1 else None
    numbers = Pagination(
        query.page, query.page_size, total, pages, following is not None, before is not None, following, before
    )
    return reply(ExecutionList([words.body(task) for task in tasks], numbers))


def _wanted(query: ListQuery) -> Filter:
    kind = {"pipeline": words.PIPELINE, "agent": query.target_id, None: None}[query.type]
    states = frozenset(state for state, word in words.STATUS.items() if word == query.status)
    return Filter(kind=kind, states=states, without_kind=words.PIPELINE if query.type == "agent" else None)


async def _slice(hub: Hub, query: ListQuery, skip: int) -> tuple[list[Task], int]:
    """A page in the order of submission, which is the store's own."""
    wanted = _wanted(query)
    total = sum(count for where, count in hub.journal.counts.items() if wanted.takes(where))
    size = min(query.page_size, max(0, total - skip))
    newer = skip if query.order == "desc" else total - skip - size
    if size == 0:
        return [], total
    before = await hub.store.after_newest(wanted, newer) if newer else None
    tasks = (await hub.page(wanted, before, size)).tasks
    return (tasks if query.order == "desc" else tasks[::-1]), total


async def _sorted(hub: Hub, query: ListQuery, skip: int) -> tuple[list[Task], int]:
    """A page of the newest executions that fit, in any order."""
    wanted = _wanted(query)
    found: list[Task] = []
    looked_at, before = 0, None
    while looked_at < WINDOW:
        tasks, before = await hub.page(wanted, before, PAGE)
        looked_at += len(tasks)
        found += [
            task for task in tasks if query.target_id in (None, words.target_of(task)) and wanted.takes(place(task))
        ]
        if before is None:
            break
        await asyncio.sleep(0)
    timed = [task for task in found if _time_ms(task, query.sort) is not None]
    timed.sort(key=lambda task: _time_ms(task, query.sort) or 0, reverse=query.order == "desc")
    untimed = [task for task in found if _time_ms(task, query.sort) is None]
    return [*timed, *untimed][skip : skip + query.page_size], len(found)


def _time_ms(task: Task, sort: str) -> int | None:
    if sort == "created_at":
        return task.spec.created_ms
    if sort == "started_at":
        return task.started_ms
    return task.finished_ms if task.state is State.COMPLETED else None


async def cancel(call: Call[None, None]) -> web.Response:
    task = await execution(call)
    try:
        task = await call.hub.cancel(task.id)
    except NotCancellable as error:
        state = error.details["state"]
        raise NotCancellable(f"Execution {call.path('id')} is {state} and can't be cancelled.", state=state) from None
    at = rfc3339(task.finished_ms or task.changed.ms)
    return reply(CancelledBody("Execution cancelled", Cancelled(words.execution_id(task.id), "cancelled", at)))


async def progress(call: Call[None, None]) -> web.Response:
    known = words.progress(await execution(call))
    return web.Response(status=204) if known is None else reply(known)


EXECUTIONS = "/api/v1/executions"
EXECUTION = f"{EXECUTIONS}/{{id}}"

ROUTES = (
    Route(
        method="POST",
        path=EXECUTIONS,
        handler=create,
        summary="Begin an execution",
        scope="submit",
        body=NewExecution,
        answers={202: Begun},
    ),
    Route(
        method="GET",
        path=EXECUTIONS,
        handler=page,
        summary="List executions",
        query=ListQuery,
        answers={200: ExecutionList},
    ),
    Route(method="GET", path=EXECUTION, handler=get, summary="Look at an execution", answers={200: Execution}),
    Route(
        method="POST",
        path=f"{EXECUTION}/cancel",
        handler=cancel,
        summary="Cancel an execution",
        scope="submit",
        answers={200: CancelledBody},
    ),
    Route(
        method="GET",
        path=f"{EXECUTION}/progress",
        handler=progress,
        summary="How far an execution is",
        answers={200: ProgressBody, 204: "nothing has been reported yet"},
    ),
)
