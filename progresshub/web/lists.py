"""The dashboard's list, a page at a time, in rows that are small enough for thousands of them."""

from __future__ import annotations

from typing import Annotated

import msgspec
from aiohttp import web

from progresshub.edge.routes import JSON, Call, Route
from progresshub.edge.wire import encode
from progresshub.model import State
from progresshub.storage.persistence import Filter
from progresshub.web.rows import Row, row

MOST = 1_000
THREAD_BYTES = 16_384
"""What is larger is compressed in a thread, and holds nobody up."""


class RowsQuery(msgspec.Struct):
    """Which tasks, newest first; `before` goes on where a page ended."""

    queue: str | None = None
    kind: str | None = None
    state: State | None = None
    q: str = ""
    before: Annotated[int, msgspec.Meta(ge=0)] | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=MOST)] = 500


class Rows(msgspec.Struct):
    """`before` continues the list and is null at its end; `total` is how many tasks there are at all."""

    rows: list[Row]
    before: int | None
    total: int


async def rows(call: Call[RowsQuery, None]) -> web.Response:
    query = call.query
    states = frozenset() if query.state is None else frozenset({query.state})
    wanted = Filter(queue=query.queue, kind=query.kind, states=states, text=query.q)
    found, before = await call.hub.page(wanted, query.before, query.limit)
    body = encode(Rows([row(task) for task in found], before, call.hub.journal.counts.total()))
    response = web.Response(body=body, content_type=JSON, zlib_executor_size=THREAD_BYTES)
    response.enable_compression()
    return response


ROUTES = (
    Route(
        method="GET",
        path="/-/rows",
        handler=rows,
        summary="The dashboard's list",
        query=RowsQuery,
        answers={200: Rows},
    ),
)
