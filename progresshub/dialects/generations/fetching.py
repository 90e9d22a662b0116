"""What a generation has made: its video, in parts if they are asked for, and the texts that it shows and says."""

from __future__ import annotations

from pathlib import Path

from aiohttp import web

from progresshub.dialects.generations import runs
from progresshub.dialects.generations.words import BadRange
from progresshub.edge.routes import Call, Route
from progresshub.edge.wire import reply
from progresshub.jobs.video import ContentData, ScriptData

HEADERS = {"Content-Type": "video/mp4", "X-Content-Type-Options": "nosniff"}


async def video(call: Call[None, None]) -> web.StreamResponse:
    task, name = await runs.video(call.hub, call.path("filename"))
    path = call.hub.files.find(task.id, name)
    check_range(call.request, path)
    return web.FileResponse(path, headers=HEADERS)


def check_range(request: web.Request, path: Path) -> None:
    """Refuse a range that can't be served, with a body that says why."""
    asked = request.headers.get("Range")
    if asked is None or "If-Range" in request.headers:
        return
    size_bytes = path.stat().st_size
    try:
        start = request.http_range.start
    except ValueError:
        start = size_bytes
    if start is not None and start >= size_bytes:
        raise BadRange(asked=asked[:100], size_bytes=size_bytes)


async def content(call: Call[None, None]) -> web.Response:
    return reply((await runs.made(call.hub, call.path("id")))["content_data"])


async def script(call: Call[None, None]) -> web.Response:
    return reply((await runs.made(call.hub, call.path("id")))["script_data"])


ROUTES = (
    Route(
        method="GET",
        path="/api/video/{filename:[^/]+}",
        handler=video,
        summary="A video, or the part of it that Range asks for",
        answers={200: "the video", 206: "the part that Range asks for", 416: "there is no such part"},
    ),
    Route(
        method="GET",
        path="/api/content/{id:[^/]+}",
        handler=content,
        summary="What the slides of a generation show",
        answers={200: ContentData},
    ),
    Route(
        method="GET",
        path="/api/script/{id:[^/]+}",
        handler=script,
        summary="What is said in a generation, and when",
        answers={200: ScriptData},
    ),
)
