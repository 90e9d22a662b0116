"""The client without asyncio: the same methods, each of which returns when it is done.

A thread of its own runs the asynchronous one, so it works wherever it is called, in a notebook too.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator, Mapping
from pathlib import Path
from typing import Any, Self, TypeVar, cast

from progresshub.client.address import Address
from progresshub.client.answers import FileInfo, Health, Progress, Queue, Task
from progresshub.client.asynchronous import PATIENCE_S, AsyncClient

T = TypeVar("T")

JOIN_S = 5.0


class Client:
    """A context that speaks to one server; see AsyncClient for what each method does."""

    def __init__(
        self, url: str = "", token: str = "", *, data: str | Path | None = None, patience_s: float = PATIENCE_S
    ) -> None:
        self._client = AsyncClient(url, token, data=data, patience_s=patience_s)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="progresshub-client", daemon=True)
        self._thread.start()

    @property
    def address(self) -> Address:
        return self._client.address

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._loop.is_closed():
            return
        self._do(self._client.close())
        self._do(self._loop.shutdown_asyncgens())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(JOIN_S)
        self._loop.close()

    def submit(
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
        """Submit a task; returns its id."""
        submitted = self._client.submit(
            kind,
            payload,
            title=title,
            queue=queue,
            priority=priority,
            max_retries=max_retries,
            timeout=timeout,
            process_at=process_at,
            unique=unique,
            metadata=metadata,
            idempotency_key=idempotency_key,
        )
        return self._do(submitted)

    def task(self, task_id: str) -> Task:
        return self._do(self._client.task(task_id))

    def tasks(
        self,
        *,
        kind: str | None = None,
        queue: str | None = None,
        state: str | None = None,
        text: str = "",
        limit: int = 50,
    ) -> list[Task]:
        """The newest tasks that fit, newest first."""
        return self._do(self._client.tasks(kind=kind, queue=queue, state=state, text=text, limit=limit))

    def find(self, prefix: str) -> str:
        """The id that begins so."""
        return self._do(self._client.find(prefix))

    def cancel(self, task_id: str) -> None:
        self._do(self._client.cancel(task_id))

    def retry(self, task_id: str) -> str:
        """Do a failed or cancelled task over; returns the id of the new one."""
        return self._do(self._client.retry(task_id))

    def delete(self, task_id: str) -> None:
        self._do(self._client.delete(task_id))

    def report(self, task_id: str, said: str | Mapping[str, Any]) -> Progress:
        """Tell how far an external task is."""
        return self._do(self._client.report(task_id, said))

    def queues(self) -> list[Queue]:
        return self._do(self._client.queues())

    def change_queue(
        self, name: str, *, paused: bool | None = None, slots: int | None = None, weight: int | None = None
    ) -> Queue:
        return self._do(self._client.change_queue(name, paused=paused, slots=slots, weight=weight))

    def health(self) -> Health:
        return self._do(self._client.health())

    def scopes(self) -> tuple[str, ...]:
        """What whoever asks may do."""
        return self._do(self._client.scopes())

    def files(self, task_id: str) -> list[FileInfo]:
        return self._do(self._client.files(task_id))

    def file(self, task_id: str, name: str) -> Iterator[bytes]:
        """The content of one of a task's files, piece by piece."""
        return self._each(self._client.file(task_id, name))

    def logs(self, task_id: str, *, follow: bool = False, tail: int | None = None) -> Iterator[bytes]:
        """What the task has printed, piece by piece."""
        return self._each(self._client.logs(task_id, follow=follow, tail=tail))

    def watch(self, *task_ids: str, on_link: Callable[[bool], None] = lambda connected: None) -> Iterator[Task]:
        """Each of these tasks as it is, and again whenever that changes, until all have ended."""
        return self._each(self._client.watch(*task_ids, on_link=on_link))

    def wait(self, task_id: str, timeout_s: float | None = None) -> Task:
        """The task when it has ended; TimeoutError when that does not come within `timeout_s`."""
        return self._do(self._client.wait(task_id, timeout_s))

    def _do(self, doing: Coroutine[Any, Any, T]) -> T:
        future = asyncio.run_coroutine_threadsafe(doing, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()  # an interrupt of this thread must not leave the other one at work
            raise

    def _each(self, values: AsyncGenerator[T, None]) -> Iterator[T]:
        end = object()

        async def one() -> T | object:
            return await anext(values, end)

        try:
            while (value := self._do(one())) is not end:
                yield cast("T", value)
        finally:
            if not self._loop.is_closed():
                self._do(_closed(values))


async def _closed(generator: AsyncGenerator[Any, None]) -> None:
    await generator.aclose()
