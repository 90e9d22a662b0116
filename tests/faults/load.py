"""A client that submits, reports and cancels without pause, and writes down what it was promised.

A request whose answer got lost is sent again, under the same Idempotency-Key, to whoever serves
next. When the server is gone the client ends; it makes no excuses for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from itertools import count
from random import Random
from typing import Any

import aiohttp

from tests.faults.ledger import Ledger
from tests.serving import Client
from tests.wait import until

WORKERS = 6
Sort = Callable[[Random], dict[str, Any]]


class Load:
    """`sorts` make the tasks to submit; the ledger has all that was acknowledged, by what it was."""

    def __init__(self, ledger: Ledger, sorts: Mapping[str, Sort], seed: int) -> None:
        self.ledger = ledger
        self.random = Random(seed)
        self.tasks: dict[str, dict[str, Any]] = {}
        self.completed: set[str] = set()
        self.cancelled: set[str] = set()
        self.promises = 0
        self._sorts = sorts
        self._active: list[str] = []
        self._unanswered: dict[str, list[dict[str, Any]]] = {}
        self._numbers = count()

    async def run(self, client: Client) -> None:
        """Until the server is gone."""
        async with asyncio.TaskGroup() as group:
            for _ in range(WORKERS):
                group.create_task(self._until_gone(client))

    async def promised(self, more: int) -> None:
        """Wait for that many more promises."""
        wanted = self.promises + more
        await until(lambda: self.promises >= wanted)

    async def ask_again(self, client: Client) -> None:
        """Send what was never answered once more."""
        for key in list(self._unanswered):
            await self._send(client, key)

    async def submit(self, client: Client, *tasks: dict[str, Any]) -> list[str]:
        key = f"request-{next(self._numbers)}"
        marked = [{**task, "metadata": {"mark": f"{key}.{n}"}} for n, task in enumerate(tasks)]
        self.ledger.note(sent=key, tasks=len(marked))
        self._unanswered[key] = marked
        return await self._send(client, key)

    async def _send(self, client: Client, key: str) -> list[str]:
        tasks = self._unanswered[key]
        headers = {"Idempotency-Key": key}
        if len(tasks) == 1:
            answers = [await client.post("/api/v1/tasks", tasks[0], 201, headers=headers)]
        else:
            answers = (await client.post("/api/v1/tasks/batch", {"tasks": tasks}, 201, headers=headers))["tasks"]
        ids = [answer["task_id"] for answer in answers]
        self.ledger.note(acknowledged=key, ids=ids)
        self.promises += len(ids)
        del self._unanswered[key]
        for task_id, task in zip(ids, tasks, strict=True):
            self.tasks[task_id] = task
            if task["type"] == "external":
                self._active.append(task_id)
        return ids

    async def _until_gone(self, client: Client) -> None:
        try:
            while True:
                await self._step(client)
        except aiohttp.ClientError:
            return

    async def _step(self, client: Client) -> None:
        chance = self.random.random()
        if chance < 0.4 or not self._active:
            await self.submit(client, self._task())
        elif chance < 0.45:
            await self.submit(client, *(self._task() for _ in range(self.random.randint(2, 12))))
        else:
            await self._move(client, self._active.pop(self.random.randrange(len(self._active))), chance)

    def _task(self) -> dict[str, Any]:
        sort = self.random.choice(list(self._sorts))
        return {"type": sort, **self._sorts[sort](self.random)}

    async def _move(self, client: Client, task_id: str, chance: float) -> None:
        """Report on a task of ours, as nobody else does it."""
        if chance < 0.8:
            await client.report(task_id, percent=100 * chance, stage=f"stage {int(10 * chance)}")
            self._active.append(task_id)
        elif chance < 0.9:
            await client.report(task_id, status="done", result=task_id)
            self._promise(self.completed, task_id, "completed")
        else:
            await client.post(f"/api/v1/tasks/{task_id}/cancel")
            self._promise(self.cancelled, task_id, "cancelled")

    def _promise(self, promised: set[str], task_id: str, word: str) -> None:
        self.ledger.note(**{word: task_id})
        self.promises += 1
        promised.add(task_id)
