"""Paths that several dialects claim: a task is shown there by whose it is.

A dialect that joins adds a row to the table. What is of no dialect and no kind of theirs has the
last row's shape, and refusals have the fields of all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from aiohttp import web

from progresshub.dialects.downloads import words as downloads
from progresshub.edge import house
from progresshub.edge.routes import Call, Dialect, Route
from progresshub.edge.wire import reply
from progresshub.model import Task


class Claim(NamedTuple):
    """Tasks that came through a dialect, and those of its kinds that came through one without a claim."""

    origin: str
    kinds: frozenset[str]
    body: Callable[[Task], Any]


STATUS = (Claim("downloads", frozenset({"download"}), downloads.status_body),)


def claim(task: Task, claims: tuple[Claim, ...]) -> Claim:
    by_origin = (known for known in claims if known.origin == task.spec.origin)
    by_kind = (known for known in claims if task.spec.kind in known.kinds)
    return next(by_origin, None) or next(by_kind, None) or claims[-1]


async def status(call: Call[None, None]) -> web.Response:
    task = await call.hub.get(call.path("id"))
    return reply(claim(task, STATUS).body(task))


CROSSROADS = Dialect(
    name="crossroads",
    summary="What several of the APIs answer at the same address, each for its own tasks",
    routes=(
        Route(
            method="GET",
            path="/api/status/{id}",
            handler=status,
            summary="How a task stands, in the words of the API it came through",
            answers={200: downloads.Status},
        ),
    ),
    prefixes=("/api/status",),
    refuse=house.refuse,
)
