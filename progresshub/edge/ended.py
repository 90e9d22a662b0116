"""Waiting for a task's end: a watcher on the bus that is told of nothing else."""

from __future__ import annotations

import asyncio

from progresshub.bus import Encoding
from progresshub.errors import UnknownTask
from progresshub.model import Event
from progresshub.registry.hub import Hub

_SILENT = Encoding(lambda event: b"", bytes, b"", b"")


async def ended(hub: Hub, task_id: str, patience_s: float) -> bool:
    """Whether a task has ended, or is gone, before the patience has."""
    waiting = _Waiting()
    subscription = hub.bus.watch([task_id], _SILENT, waiting)
    try:
        if (await hub.get(task_id)).final:
            return True
        subscription.release()
        async with asyncio.timeout(patience_s):
            await waiting.over.wait()
        return (await hub.get(task_id)).final
    except UnknownTask:
        return True
    except TimeoutError:
        return False
    finally:
        subscription.close()


class _Waiting:
    """A watcher that always keeps up, for it takes nothing."""

    def __init__(self) -> None:
        self.over = asyncio.Event()

    def write(self, data: bytes) -> None:
        pass

    def backlog(self) -> int:
        return 0

    def ended(self, event: Event) -> bool:
        self.over.set()
        return True

    def finish(self) -> None:
        self.over.set()

    def cut(self) -> None:
        self.over.set()
