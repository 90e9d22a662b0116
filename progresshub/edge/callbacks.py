"""Tells the addresses that were named with tasks how these have ended: once each, tried again until it is heard.

What is still to be told is kept together with the task's end, so it is told after a restart as well;
somebody whose answer was lost hears it twice.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import Callable, Mapping
from heapq import heappop, heappush
from itertools import count
from typing import NamedTuple

import aiohttp

from progresshub.edge.outward import refusal_of, session
from progresshub.errors import HubError, UnknownTask
from progresshub.model import Event, EventType, Task
from progresshub.registry.hub import Hub
from progresshub.settings import Callbacks as Settings

log = logging.getLogger(__name__)

SETTING = "callback:"
SIGNATURE = "X-Progresshub-Signature"
AT_ONCE = 8
BACKOFF_MOST_S = 3_600.0
_ENDS = frozenset({EventType.COMPLETED, EventType.FAILED, EventType.CANCELLED})


class _Due(NamedTuple):
    at_s: float
    number: int
    task_id: str
    tries: int


class Callbacks:
    """`url` says where to tell of a task, empty for nowhere, and `body` what; `run` sends until it is cancelled."""

    def __init__(
        self, hub: Hub, settings: Settings, *, url: Callable[[Task], str], body: Callable[[Task], bytes]
    ) -> None:
        self._hub = hub
        self._settings = settings
        self._url = url
        self._body = body
        self._due: list[_Due] = []
        self._numbers = count()
        self._changed = asyncio.Event()
        self._room = asyncio.Semaphore(AT_ONCE)

    def restore(self, settings: Mapping[str, str]) -> None:
        """Take over what an earlier server had still to tell."""
        for name, value in settings.items():
            if name.startswith(SETTING) and value:
                self._later(name.removeprefix(SETTING), 0, 0.0)

    def hear(self, event: Event) -> None:
        """The hub's listener: what ends is to be told, and that is kept together with the end."""
        if event.type in _ENDS and self._url(event.task):
            self._hub.journal.setting(f"{SETTING}{event.task.id}", "due")
            self._later(event.task.id, 0, 0.0)

    async def run(self) -> None:
        async with session(self._settings) as connection, asyncio.TaskGroup() as group:
            while True:
                await self._next_is_due()
                await self._room.acquire()
                group.create_task(self._tell(heappop(self._due), connection))

    def _later(self, task_id: str, tries: int, delay_s: float) -> None:
        heappush(self._due, _Due(self._hub.clock.monotonic_s() + delay_s, next(self._numbers), task_id, tries))
        self._changed.set()

    async def _next_is_due(self) -> None:
        while not self._due or self._due[0].at_s > self._hub.clock.monotonic_s():
            self._changed.clear()
            try:
                async with asyncio.timeout(self._due[0].at_s - self._hub.clock.monotonic_s() if self._due else None):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def _tell(self, due: _Due, connection: aiohttp.ClientSession) -> None:
        try:
            await self._hub.journal.settled(due.task_id)
            trouble = await self._send(await self._hub.get(due.task_id), connection)
        except UnknownTask:
            trouble = ""
        except HubError as error:
            trouble = error.message
        finally:
            self._room.release()
        tries = due.tries + 1
        if not trouble:
            self._hub.journal.setting(f"{SETTING}{due.task_id}", "")
        elif tries < self._settings.tries:
            self._later(due.task_id, tries, min(BACKOFF_MOST_S, self._settings.backoff_s * 2.0 ** min(due.tries, 60)))
        else:
            log.warning("how task %s ended could not be told: %s", due.task_id, trouble)
            self._hub.journal.setting(f"{SETTING}{due.task_id}", "")

    async def _send(self, task: Task, connection: aiohttp.ClientSession) -> str:
        """One request; says what went wrong."""
        url = self._url(task)
        if refusal := refusal_of(url, self._settings):
            log.warning("how task %s ended is not told: %s", task.id, refusal)
            return ""
        body = self._body(task)
        headers = {"Content-Type": "application/json", **self._signature(body)}
        try:
            async with connection.post(url, data=body, headers=headers, allow_redirects=False) as response:
                return "" if 200 <= response.status < 300 else f"the answer was {response.status}"
        except (aiohttp.ClientError, OSError, ValueError) as error:  # a timeout is an OSError
            return str(error) or type(error).__name__

    def _signature(self, body: bytes) -> dict[str, str]:
        """The body's HMAC with the secret that the receiver knows too."""
        if not self._settings.secret:
            return {}
        return {SIGNATURE: f"sha256={hmac.digest(self._settings.secret.encode(), body, 'sha256').hex()}"}
