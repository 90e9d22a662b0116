"""Paths that several dialects claim: a task is shown there by whose it is.

A dialect that joins adds a row to the table. What is of no dialect and no kind of theirs has the
last row's shape, and refusals have the fields of all. A generation that is called like a fixed path
of another dialect is found there by those who accept nothing but a stream of events.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import wraps
from typing import Any, NamedTuple

from aiohttp import web

from progresshub.dialects.downloads import words as downloads
from progresshub.dialects.generations import runs, watching
from progresshub.dialects.generations import words as generations
from progresshub.dialects.stems import outcome as stems
from progresshub.dialects.stems.words import JobStatus
from progresshub.edge import house
from progresshub.edge.routes import Call, Dialect, Route
from progresshub.edge.wire import reply
from progresshub.errors import UnknownTask
from progresshub.model import Task
from progresshub.registry.hub import Hub

EVENT_STREAM = "text/event-stream"
PROGRESS = "/api/progress/"


class Claim(NamedTuple):
    """Tasks that came through a dialect, and those of its kinds that came through one without a claim."""

    origin: str
    kinds: frozenset[str]
    body: Callable[[Hub, Task], Awaitable[Any]]


def by_itself(body: Callable[[Task], Any]) -> Callable[[Hub, Task], Awaitable[Any]]:
    """A body that is made of the task and nothing else."""

    async def made(hub: Hub, task: Task) -> Any:
        return body(task)

    return made


STATUS = (
    Claim("generations", frozenset({"video"}), by_itself(generations.status_body)),
    Claim("downloads", frozenset({"download"}), by_itself(downloads.status_body)),
    Claim("stems", frozenset({"audio"}), stems.status),
)


def claim(task: Task, claims: tuple[Claim, ...]) -> Claim:
    by_origin = (known for known in claims if known.origin == task.spec.origin)
    by_kind = (known for known in claims if task.spec.kind in known.kinds)
    return next(by_origin, None) or next(by_kind, None) or claims[-1]


async def status(call: Call[None, None]) -> web.Response:
    asked = call.path("id")
    task = await runs.newest(call.hub, asked)
    if task is None:
        raise UnknownTask(task_id=asked)
    return reply(await claim(task, STATUS).body(call.hub, task))


def shared(route: Route) -> Route:
    """A route as it is, but for those who want the stream of the generation that its last word names."""
    name = route.path.removeprefix(PROGRESS)
    if route.method != "GET" or not route.path.startswith(PROGRESS) or "/" in name:
        return route

    @wraps(route.handler)
    async def either(call: Call[Any, Any]) -> web.StreamResponse:
        wanted = EVENT_STREAM in call.request.headers.get("Accept", "").lower()
        if wanted and await runs.newest(call.hub, name) is not None:
            return await watching.watch(call, name)
        return await route.handler(call)

    return replace(route, handler=either)


CROSSROADS = Dialect(
    name="crossroads",
    summary="What several of the APIs answer at the same address, each for its own tasks",
    routes=(
        Route(
            method="GET",
            path="/api/status/{id:[^/]+}",
            handler=status,
            summary="How a task stands, in the words of the API it came through",
            answers={200: (generations.Status, downloads.Status, JobStatus)},
        ),
    ),
    prefixes=("/api/status",),
    refuse=house.refuse,
)
