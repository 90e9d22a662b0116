"""python-socketio on uvicorn: a room for each topic, over its WebSocket transport."""

from urllib.parse import parse_qs

import socketio

sio = socketio.AsyncServer(async_mode="asgi")
inside = socketio.ASGIApp(sio)


@sio.event
async def connect(sid, environ):
    await sio.enter_room(sid, parse_qs(environ["QUERY_STRING"])["topic"][0])


async def app(scope, receive, send):
    """POST /<topic> publishes; all the rest is Socket.IO's."""
    if scope["type"] != "http" or scope["path"].startswith("/socket.io"):
        await inside(scope, receive, send)
        return
    body = await receive()
    await sio.emit("progress", body["body"].decode(), room=scope["path"][1:])
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})
