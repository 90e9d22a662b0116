"""sse-starlette on uvicorn: its EventSourceResponse over a queue for each watcher."""

import asyncio
from collections import defaultdict

from sse_starlette import EventSourceResponse
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

watchers = defaultdict(set)


async def watch(request):
    queue = asyncio.Queue()
    topic = request.path_params["topic"]
    watchers[topic].add(queue)

    async def events():
        try:
            while True:
                yield {"data": await queue.get()}
        finally:
            watchers[topic].discard(queue)

    return EventSourceResponse(events())


async def publish(request):
    data = (await request.body()).decode()
    for queue in watchers[request.path_params["topic"]]:
        queue.put_nowait(data)
    return Response(status_code=204)


app = Starlette(routes=[Route("/{topic}", watch, methods=["GET"]), Route("/{topic}", publish, methods=["POST"])])
