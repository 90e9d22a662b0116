"""Starlette on uvicorn: a streaming response that reads from a queue for each watcher."""

import asyncio
from collections import defaultdict

from starlette.applications import Starlette
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

watchers = defaultdict(set)


async def watch(request):
    queue = asyncio.Queue()
    topic = request.path_params["topic"]
    watchers[topic].add(queue)

    async def events():
        try:
            yield ": welcome\n\n"
            while True:
                yield f"data: {await queue.get()}\n\n"
        finally:
            watchers[topic].discard(queue)

    return StreamingResponse(events(), media_type="text/event-stream")


async def publish(request):
    data = (await request.body()).decode()
    for queue in watchers[request.path_params["topic"]]:
        queue.put_nowait(data)
    return Response(status_code=204)


app = Starlette(routes=[Route("/{topic}", watch, methods=["GET"]), Route("/{topic}", publish, methods=["POST"])])
