"""How much the files of one kind may take up together, and whose go when it is too much.

First go those of tasks that were not completed, then those of completed ones; of each the oldest first.
What waits or runs keeps its files. The tasks themselves stay, as their retention says.
"""

from __future__ import annotations

import asyncio
import logging

from progresshub.errors import UnknownTask
from progresshub.model import State, Task
from progresshub.registry.hub import Hub

log = logging.getLogger(__name__)


class Quota:
    """Files of tasks of `kind` may be `most_bytes` altogether."""

    def __init__(self, hub: Hub, kind: str, most_bytes: int) -> None:
        self._hub = hub
        self._kind = kind
        self._most_bytes = most_bytes
        self._kinds: dict[str, str] = {}

    async def keep(self) -> None:
        """Look once, and give up as much as is too much."""
        sizes = await asyncio.to_thread(self._hub.files.sizes)
        await self._learn(sizes)
        ours = {task_id: size for task_id, size in sizes.items() if self._kinds.get(task_id) == self._kind}
        surplus = sum(ours.values()) - self._most_bytes
        if surplus <= 0:
            return
        for task in await self._ended(ours):
            await asyncio.to_thread(self._hub.files.clear, task.id)
            log.info("gave up the files of task %s: %s bytes", task.id, ours[task.id])
            surplus -= ours[task.id]
            if surplus <= 0:
                return

    async def _learn(self, sizes: dict[str, int]) -> None:
        """What kind each is; that never changes."""
        self._kinds = {task_id: kind for task_id, kind in self._kinds.items() if task_id in sizes}
        for task_id in sizes.keys() - self._kinds.keys():
            if (task := await self._find(task_id)) is not None:
                self._kinds[task_id] = task.spec.kind

    async def _ended(self, ours: dict[str, int]) -> list[Task]:
        """Those that may go, in the order in which they do."""
        tasks = [task for task_id in ours if (task := await self._find(task_id)) is not None and task.final]
        return sorted(tasks, key=lambda task: (task.state is State.COMPLETED, task.finished_ms or 0))

    async def _find(self, task_id: str) -> Task | None:
        try:
            return await self._hub.get(task_id)
        except UnknownTask:
            return None
