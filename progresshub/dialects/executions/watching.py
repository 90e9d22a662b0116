"""Executions over WebSocket: how it stands, then what comes, then how it ended."""

from __future__ import annotations

from aiohttp import WSCloseCode, web

from progresshub.dialects.executions import words
from progresshub.dialects.executions.runs import EXECUTION, execution
from progresshub.edge.routes import Call, Route
from progresshub.edge.websocket import Socket, encoding
from progresshub.errors import HubError, UnknownTask
from progresshub.supervisor import supervised


async def watch(call: Call[None, None]) -> web.StreamResponse:
    connection = Socket(call.request, call.config.streams)
    await connection.open()
    try:
        with supervised(f"watching {call.path('id')}"):
            return await _follow(call, connection)
    except UnknownTask as error:
        code, message = WSCloseCode.POLICY_VIOLATION, error.message
    except HubError as error:
        code, message = WSCloseCode.INTERNAL_ERROR, error.message
    await connection.send(words.problem(message, call.hub.clock.now_ms()))
    connection.finish(code)
    return await connection.wait()


async def _follow(call: Call[None, None], connection: Socket) -> web.StreamResponse:
    found = await execution(call)
    subscription = call.hub.bus.watch([found.id], encoding(words.messages), connection)
    try:
        task = await call.hub.get(found.id)
        now_ms = call.hub.clock.now_ms()
        await connection.send(words.status(task, now_ms))
        if task.final:
            await connection.send(words.final(task, task.finished_ms or now_ms))
            connection.finish(WSCloseCode.OK)
        subscription.release(lambda event: event.id > task.changed)
        return await connection.wait()
    finally:
        subscription.close()


ROUTES = (
    Route(
        method="GET",
        path=f"{EXECUTION}/progress/ws",
        handler=watch,
        summary="An execution's progress as it happens, over WebSocket",
        answers={101: "messages of type status, started, progress, completed, failed, cancelled, error"},
    ),
)
