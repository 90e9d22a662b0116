"""Waiting for a task's end without hearing of anything before it."""

from __future__ import annotations

import asyncio

from progresshub.bus import Encoding
from progresshub.errors import Unavailable
from progresshub.model import Event, Task
from progresshub.registry.hub import Hub

DEAF = Encoding(lambda event: b"", bytes, b"", b"")


async def ended(hub: Hub, task_id: str) -> Task:
    """The task when it has ended; UnknownTask when it is gone by then, Unavailable when the server stops first."""
    end = _End()
    subscription = hub.bus.watch([task_id], DEAF, end)
    try:
        task = await hub.get(task_id)
        subscription.release()
        if not task.final:
            await end.over
            task = await hub.get(task_id)
    finally:
        subscription.close()
    if not task.final:
        raise Unavailable(reason=f"the server stops, and task {task_id} goes on when it is back")
    return task


class _End:
    """A bus sink that only sees the end."""

    def __init__(self) -> None:
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def write(self, data: bytes) -> int:
        return 0

    def backlog(self) -> int:
        return 0

    def ended(self, event: Event) -> bool:
        return True

    def finish(self) -> None:
        if not self.over.done():
            self.over.set_result(None)

    def cut(self) -> None:
        self.finish()
