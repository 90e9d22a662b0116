"""One task's progress over WebSocket: its detail at once, then at each change, and a close after the last."""

from __future__ import annotations

from aiohttp import WSCloseCode, web

from progresshub.dialects.downloads import words
from progresshub.dialects.downloads.progress import tracked
from progresshub.edge import websocket
from progresshub.edge.routes import Call, Route
from progresshub.edge.wire import encode
from progresshub.errors import InvalidRequest, UnknownTask


async def stream(call: Call[None, None]) -> web.StreamResponse:
    if not web.WebSocketResponse().can_prepare(call.request):
        raise InvalidRequest(reason="this address speaks WebSocket")
    socket = websocket.Socket(call.request, call.config.streams)
    subscription = call.hub.bus.watch([call.path("task_id")], websocket.encoding(words.messages), socket)
    try:
        await socket.open()
        try:
            task = await call.hub.get(call.path("task_id"))
        except UnknownTask as error:
            await socket.send(encode({"error": error.message}))
            socket.finish(WSCloseCode.POLICY_VIOLATION)
            return await socket.wait()
        await socket.send(encode(words.detail(task)))
        if task.final:
            socket.finish(WSCloseCode.OK)
        subscription.release(lambda event: event.id > task.changed)
        return await socket.wait()
    finally:
        subscription.close()


ROUTES = (
    Route(
        method="GET",
        path="/api/progress/stream/{task_id}",
        handler=tracked(stream),
        summary="A task's progress as it happens, over WebSocket",
        answers={101: "a WebSocket: each message is the detail of the task's progress"},
    ),
)
