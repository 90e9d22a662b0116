"""aiohttp-sse: its response over a queue for each watcher."""

import asyncio
import sys
from collections import defaultdict

from aiohttp import web
from aiohttp_sse import sse_response

watchers = defaultdict(set)


async def watch(request):
    queue = asyncio.Queue()
    topic = request.match_info["topic"]
    watchers[topic].add(queue)
    try:
        async with sse_response(request) as response:
            while response.is_connected():
                await response.send(await queue.get())
    finally:
        watchers[topic].discard(queue)
    return response


async def publish(request):
    data = await request.text()
    for queue in watchers[request.match_info["topic"]]:
        queue.put_nowait(data)
    return web.Response(status=204)


app = web.Application()
app.add_routes([web.get("/{topic}", watch), web.post("/{topic}", publish)])
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None)
