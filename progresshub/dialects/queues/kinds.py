"""The task types there are, over the queues dialect: what each takes, so that a form can be made of it."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from progresshub.dialects.queues.tasks import QueueName
from progresshub.edge.routes import Call, Route
from progresshub.edge.wire import duration, reply
from progresshub.kinds import Kind


class TypeBody(msgspec.Struct):
    """A task type. `schema` is the JSON Schema of its payload; `timeout` is empty where there is no bound."""

    type: str
    summary: str
    schema: dict[str, Any]
    timeout: str
    max_retries: int
    recovery: str
    external: bool


class TypeList(msgspec.Struct):
    """By name; `queues` are those that tasks may wait in now."""

    types: list[TypeBody]
    queues: list[QueueName]


async def types(call: Call[None, None]) -> web.Response:
    found = [_body(kind) for _, kind in sorted(call.hub.kinds.items())]
    return reply(TypeList(found, [queue.name for queue in call.hub.queues]))


def _body(kind: Kind) -> TypeBody:
    return TypeBody(
        type=kind.name,
        summary=kind.summary,
        schema=dict(kind.schema),
        timeout="" if kind.timeout_ms is None else duration(kind.timeout_ms),
        max_retries=kind.max_retries,
        recovery=kind.recovery,
        external=kind.external,
    )


ROUTES = (
    Route(
        method="GET",
        path="/api/v1/types",
        handler=types,
        summary="The task types there are, and what each takes",
        answers={200: TypeList},
    ),
)
