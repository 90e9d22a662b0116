"""Bare aiohttp: one route that answers a progress as JSON."""

import sys

import orjson
from aiohttp import web
from polled import PROGRESS


async def progress(request):
    request.match_info["id"]
    return web.Response(body=orjson.dumps(PROGRESS), content_type="application/json")


app = web.Application()
app.add_routes([web.get("/tasks/{id}/progress", progress)])
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None)
