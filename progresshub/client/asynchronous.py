"""The client, for asyncio. What takes time to end goes on over a restart of the server, within bounds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any, Self, TypeVar

from progresshub.client.address import Address, find
from progresshub.client.answers import FileInfo, Health, Progress, Queue, Task
from progresshub.client.asks import (
    Ask,
    beginning,
    cancellation,
    checkup,
    content,
    deletion,
    file_list,
    look,
    page,
    printed,
    queue_change,
    queue_list,
    repetition,
    saying,
    session,
    submission,
)
from progresshub.client.connection import Connection
from progresshub.client.following import LIVE, Following
from progresshub.client.refusals import Ambiguous, Refused, Unreachable, unknown_task

T = TypeVar("T")

PATIENCE_S = 300.0
PAGE = 500
SHORTEST_S, LONGEST_S = 0.1, 5.0
PASSING = (429, 502, 503, 504)
"""Refusals that may be otherwise in a moment."""

FULL_ID_CHARS = 36


class AsyncClient:
    """An async context that speaks to one server, found as `find` does; `patience_s` is how long it may be away
    while something is watched."""

    def __init__(
        self, url: str = "", token: str = "", *, data: str | Path | None = None, patience_s: float = PATIENCE_S
    ) -> None:
        self._find: Callable[[], Address] = lambda: find(url, token, data)
        self._connection = Connection(self._find())
        self._patience_s = patience_s

    @property
    def address(self) -> Address:
        return self._connection.address

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        await self._connection.close()

    async def submit(
        self,
        kind: str,
        payload: Mapping[str, Any] | None = None,
        *,
        title: str | None = None,
        queue: str | None = None,
        priority: int | None = None,
        max_retries: int | None = None,
        timeout: str | None = None,
        process_at: str | None = None,
        unique: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        idempotency_key: str = "",
    ) -> str:
        """Submit a task; returns its id. Durations are such as `90s` or `1h30m`, `process_at` is RFC 3339."""
        options = {
            "title": title,
            "queue": queue,
            "priority": priority,
            "max_retries": max_retries,
            "timeout": timeout,
            "process_at": process_at,
            "unique": unique,
            "metadata": metadata,
        }
        return (await self._ask(submission(kind, payload or {}, idempotency_key, **options))).task_id

    async def task(self, task_id: str) -> Task:
        return await self._ask(look(task_id))

    async def tasks(
        self,
        *,
        kind: str | None = None,
        queue: str | None = None,
        state: str | None = None,
        text: str = "",
        limit: int = 50,
    ) -> list[Task]:
        """The newest tasks that fit, newest first; `state` may be any status."""
        found: list[Task] = []
        cursor = ""
        while len(found) < limit:
            part = await self._ask(
                page(min(PAGE, limit - len(found)), cursor, type=kind, queue=queue, state=state, q=text)
            )
            found += part.tasks
            cursor = part.next_cursor
            if not cursor:
                break
        return found

    async def find(self, prefix: str) -> str:
        """The id that begins so; Ambiguous when there are several, Refused when there is none."""
        if len(prefix) == FULL_ID_CHARS:
            return prefix
        if not any(character in "0123456789abcdefABCDEF" for character in prefix):
            raise unknown_task(prefix)
        try:
            tasks = (await self._ask(beginning(prefix, 2))).tasks
        except Refused as error:
            raise unknown_task(prefix) if error.status == 400 else error from None
        if len(tasks) > 1:
            raise Ambiguous(f"the ids of several tasks begin with {prefix}; give more of it")
        if not tasks:
            raise unknown_task(prefix)
        return tasks[0].id

    async def cancel(self, task_id: str) -> None:
        """Stop it: at once if it waits, else as soon as its processes are gone."""
        await self._ask(cancellation(task_id))

    async def retry(self, task_id: str) -> str:
        """Do a failed or cancelled task over; returns the id of the new one."""
        return (await self._ask(repetition(task_id))).task_id

    async def delete(self, task_id: str) -> None:
        """Forget it, its history and its files."""
        await self._ask(deletion(task_id))

    async def report(self, task_id: str, said: str | Mapping[str, Any]) -> Progress:
        """Tell how far an external task is: `42%`, `3/10`, `done`, `failed: why`, any short text, or the fields of
        a report."""
        return await self._ask(saying(task_id, said))

    async def queues(self) -> list[Queue]:
        return await self._ask(queue_list())

    async def change_queue(
        self, name: str, *, paused: bool | None = None, slots: int | None = None, weight: int | None = None
    ) -> Queue:
        """Pause it or let it go on, or set its share; what is left out stays. It needs a token of scope admin."""
        return await self._ask(queue_change(name, paused=paused, slots=slots, weight=weight))

    async def health(self) -> Health:
        return await self._ask(checkup())

    async def scopes(self) -> tuple[str, ...]:
        """What whoever asks may do, from the least to the most."""
        return (await self._ask(session())).scopes

    async def files(self, task_id: str) -> list[FileInfo]:
        return list((await self._ask(file_list(task_id))).files)

    async def file(self, task_id: str, name: str) -> AsyncGenerator[bytes, None]:
        """The content of one of a task's files, piece by piece."""
        async with self._connection.stream(content(task_id, name)) as reply, aclosing(reply.chunks) as chunks:
            async for chunk in chunks:
                yield chunk

    async def logs(self, task_id: str, *, follow: bool = False, tail: int | None = None) -> AsyncGenerator[bytes, None]:
        """What the task has printed, piece by piece: all, or the last `tail` lines; then what comes, until its end."""
        offset: int | None = None
        away = _Away(self._patience_s)
        while True:
            query = {"follow": "true"} if follow else {}
            if offset is not None or tail is not None:
                query |= {"tail": str(tail)} if offset is None else {"offset": str(offset)}
            try:
                async with (
                    self._connection.stream(printed(task_id, query)) as reply,
                    aclosing(reply.chunks) as chunks,
                ):
                    away.ends()
                    offset = int(reply.headers.get("X-Log-Offset", 0)) if offset is None else offset
                    async for chunk in chunks:
                        offset += len(chunk)
                        yield chunk
                if not follow or (await self.task(task_id)).final:
                    return
            except (Unreachable, Refused) as error:
                away.lasts(error, follows=follow)
            await self._come_again(away.pause_s(None))

    async def watch(
        self, *task_ids: str, on_link: Callable[[bool], None] = lambda connected: None
    ) -> AsyncGenerator[Task, None]:
        """Each of these tasks as it is, and again whenever that changes, until all have ended; without any, all that
        have not ended, and whatever comes, for ever.

        When the server is away, `on_link` hears of it and it goes on where it was when the server is
        back; Unreachable when that takes too long.
        """
        following = Following(task_ids)
        away = _Away(self._patience_s)
        while not following.over:
            try:
                async with aclosing(self._followed(following, away, on_link)) as news:
                    async for task in news:
                        yield task
            except (Unreachable, Refused) as error:
                away.lasts(error, follows=not following.first)
            if not following.over:
                on_link(False)
                await self._come_again(away.pause_s(following.retry_ms))

    async def wait(self, task_id: str, timeout_s: float | None = None) -> Task:
        """The task when it has ended; TimeoutError when that does not come within `timeout_s`."""
        async with asyncio.timeout(timeout_s), aclosing(self.watch(task_id)) as news:
            async for task in news:
                if task.final:
                    return task
        raise unknown_task(task_id)

    async def _followed(
        self, following: Following, away: _Away, on_link: Callable[[bool], None]
    ) -> AsyncGenerator[Task, None]:
        """The news of one connection."""
        async with self._connection.stream(following.ask()) as reply, aclosing(reply.chunks) as chunks:
            for task in await self._look(following):
                yield task
            away.ends()
            on_link(True)
            while not following.over and (chunk := await anext(chunks, b"")):
                for task in following.feed(chunk):
                    yield task
                for task in await self._look(following) if following.stale else ():
                    yield task

    async def _look(self, following: Following) -> list[Task]:
        """The tasks as they stand; one that is gone is an error only if it never was there."""
        tasks: list[Task] = []
        if not following.named:
            tasks = [task for state in LIVE for task in await self.tasks(state=state, limit=PAGE)]
        seen = {task.id for task in tasks}
        for task_id in [task_id for task_id in following.unfinished if task_id not in seen]:
            try:
                tasks.append(await self.task(task_id))
            except Refused as error:
                if error.status != 404 or following.first:
                    raise
                following.gone(task_id)
        return list(following.looked(tasks))

    async def _ask(self, ask: Ask[T]) -> T:
        return await self._connection.ask(ask)

    async def _come_again(self, pause_s: float) -> None:
        """Wait a moment, and look where the server is now: a new one may listen elsewhere."""
        await asyncio.sleep(pause_s)
        if (address := self._find()) != self._connection.address:
            await self._connection.close()
            self._connection = Connection(address)


class _Away:
    """How long the server has been away, and when to try again."""

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self._since_s: float | None = None
        self._tries = 0

    def ends(self) -> None:
        self._since_s, self._tries = None, 0

    def lasts(self, error: Unreachable | Refused, *, follows: bool) -> None:
        """Raise what went wrong where there is nothing to wait for, or no more patience."""
        now_s = time.monotonic()
        self._since_s = now_s if self._since_s is None else self._since_s
        passing = isinstance(error, Unreachable) or error.status in PASSING
        if not (follows and passing) or now_s - self._since_s > self._patience_s:
            raise error

    def pause_s(self, retry_ms: int | None) -> float:
        """The server's wish where it has just let go, then longer and longer."""
        self._tries += 1
        wish_s = SHORTEST_S if retry_ms is None or self._since_s is not None else retry_ms / 1000
        return min(LONGEST_S, wish_s * 2.0 ** (self._tries - 1))
