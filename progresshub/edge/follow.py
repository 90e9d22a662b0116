"""A log that grows while somebody reads it."""

from __future__ import annotations

import asyncio

from aiohttp import web

from progresshub.errors import UnknownTask
from progresshub.registry.hub import Hub

LOOK_EVERY_S = 0.2
READ_BYTES = 65_536


async def follow(hub: Hub, task_id: str, offset: int, response: web.StreamResponse) -> None:
    """Send what is added to a task's log from `offset` on, until the task has ended and all of it is sent."""
    while True:
        ended = await _ended(hub, task_id)
        data = _read(hub, task_id, offset)
        while data:
            await response.write(data)
            offset += len(data)
            data = _read(hub, task_id, offset)
        if ended or hub.bus.closed:
            return
        await asyncio.sleep(LOOK_EVERY_S)


def _read(hub: Hub, task_id: str, offset: int) -> bytes:
    log = hub.files.open_log(task_id)
    if log is None:
        return b""
    with log:
        log.seek(offset)
        return log.read(READ_BYTES)


async def _ended(hub: Hub, task_id: str) -> bool:
    try:
        return (await hub.get(task_id)).final
    except UnknownTask:
        return True
