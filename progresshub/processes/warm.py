"""Pools of warm Python workers, which serve one call after another.

A call waits for a worker no longer than a fork takes, and a few idle ones are kept for a while. A
pool that can't start tells those who wait why, and is not tried again at once.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from progresshub.errors import HubError
from progresshub.processes.family import Family
from progresshub.processes.forks import ForkServer, Setup, Worker
from progresshub.settings import Warm as WarmSettings

MOST_DEATHS = 3
"""Fork servers that may die one after another before those who wait are told."""
RETRY_AFTER_S = 5.0
MOST_FORKS = 8
"""Forks asked for at a time."""
SURPLUS_S = 1.0
"""How long workers are kept that a burst has left: the next call often comes in a moment."""


class PoolFailed(HubError):
    """The Python pool {pool} can't start: {reason}."""

    code = "pool_failed"


class Pool:
    """A fork server, started when it is first needed, and the workers it forked."""

    def __init__(
        self,
        name: str,
        setup: Setup,
        *,
        settings: WarmSettings,
        variables: Mapping[str, str],
        family: Family,
        limit: Callable[[int], None],
    ) -> None:
        self._name = name
        self._setup = setup
        self._settings = settings
        self._variables = variables
        self._family = family
        self._limit = limit
        self._forks: ForkServer | None = None
        self._waiting: deque[tuple[asyncio.Future[Worker], bool]] = deque()
        self._starting: list[asyncio.Future[None]] = []
        self._idle: list[Worker] = []
        self._forking = 0
        self._renewals = 0
        self._deaths = 0
        self._failure: PoolFailed | None = None
        self._failed_until_s = 0.0
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Have the fork server ready; PoolFailed when it can't be."""
        started = self._loop.create_future()
        self._starting.append(started)
        self._ensure_forks()
        if self._forks is not None and self._forks.ready:
            self.on_ready()
        await started

    def want(self, *, fresh: bool) -> asyncio.Future[Worker]:
        """A worker, now or soon; a fresh one has not served anybody. PoolFailed when there is none to be had."""
        wanted = self._loop.create_future()
        if (worker := self._take_idle(fresh)) is not None:
            wanted.set_result(worker)
            return wanted
        self._waiting.append((wanted, fresh))
        self._ensure_forks()
        self._order_forks()
        return wanted

    def give_back(self, worker: Worker) -> None:
        """Take a worker that is free again."""
        worker.detach()
        if worker.child.exit_code is not None or worker.renewals < self._renewals:
            self._forget(worker)
            return
        worker.child.on_exit = lambda: self._forget(worker)
        if not self._hand_over(worker):
            worker.idle_since_s = time.monotonic()
            self._idle.append(worker)
            self._watch_idle()

    def renew(self, setup: Setup) -> None:
        """Import something else from now on; who is at work stays at it, and who waits gets a new worker."""
        self._setup = setup
        self._renewals += 1
        self._failed_until_s = 0.0
        while self._idle:
            self._end(self._idle.pop())
        if self._forks is not None:
            self._forks.close()
            self._forks = None
            self._forking = 0
            if self._waiting or self._starting:
                self._ensure_forks()

    def hear(self) -> None:
        """Learn of workers forked meanwhile."""
        if self._forks is not None:
            self._forks.hear()

    def close(self) -> None:
        """End the idle workers and the fork server; nobody may wait for a worker any more."""
        if self._timer is not None:
            self._timer.cancel()
        while self._idle:
            self._end(self._idle.pop())
        if self._forks is not None:
            self._forks.close()
            self._forks = None
        self._fail_all("the server is shutting down")

    def on_ready(self) -> None:
        for started in self._starting:
            if not started.done():
                started.set_result(None)
        self._starting.clear()
        self._order_forks()

    def on_worker(self, worker: Worker) -> None:
        self._deaths = 0
        self._forking -= 1
        worker.renewals = self._renewals
        self._limit(worker.child.pid)
        self.give_back(worker)
        self._order_forks()

    def on_refusal(self, reason: str) -> None:
        self._forking -= 1
        wanted = self._first_waiting(used=False)
        if wanted is not None:
            wanted.set_exception(PoolFailed(pool=self._name, reason=reason))
        # Not at once: a refusal may come out of asking, and there may be many who wait.
        self._loop.call_soon(self._order_forks)

    def on_end(self, reason: str) -> None:
        was_ready = self._forks is not None and self._forks.ready
        self._forks = None
        self._forking = 0
        self._deaths += 1
        if not was_ready or self._deaths >= MOST_DEATHS:
            self._failed_until_s = time.monotonic() + RETRY_AFTER_S
            self._fail_all(reason)
        elif self._waiting:
            self._ensure_forks()

    def _order_forks(self) -> None:
        """As many forks as there are calls that wait, a few at a time: the socket takes no more requests."""
        while self._forks is not None and self._forks.ready and self._forking < min(len(self._waiting), MOST_FORKS):
            self._forking += 1
            self._forks.fork()

    def _ensure_forks(self) -> None:
        if self._forks is not None:
            return
        if self._failure is not None and time.monotonic() < self._failed_until_s:
            self._fail_all(self._failure.details["reason"])
            return
        try:
            self._forks = ForkServer(self._setup, self._variables, self._family, self)
        except OSError as error:
            self._fail_all(os.strerror(error.errno or 0))

    def _fail_all(self, reason: str) -> None:
        self._failure = PoolFailed(pool=self._name, reason=reason)
        self._deaths = 0
        waiting: list[asyncio.Future[Any]] = [*self._starting, *(wanted for wanted, _ in self._waiting)]
        for one in waiting:
            if not one.done():
                one.set_exception(self._failure)
        self._starting.clear()
        self._waiting.clear()

    def _hand_over(self, worker: Worker) -> bool:
        wanted = self._first_waiting(used=worker.served > 0)
        if wanted is not None:
            wanted.set_result(worker)
        return wanted is not None

    def _first_waiting(self, *, used: bool) -> asyncio.Future[Worker] | None:
        """Who waits longest and can take such a worker; those who gave up waiting are forgotten."""
        for entry in list(self._waiting):
            wanted, fresh = entry
            if wanted.done():
                self._waiting.remove(entry)
            elif not (fresh and used):
                self._waiting.remove(entry)
                return wanted
        return None

    def _take_idle(self, fresh: bool) -> Worker | None:
        for position in range(len(self._idle) - 1, -1, -1):
            if not (fresh and self._idle[position].served):
                return self._idle.pop(position)
        return None

    def _watch_idle(self) -> None:
        if self._timer is None:
            self._timer = self._loop.call_later(min(SURPLUS_S, self._settings.idle_s), self._end_idle)

    def _end_idle(self) -> None:
        """Those that nobody needed for a while; of those beyond the number kept, after a much shorter one."""
        self._timer = None
        now_s = time.monotonic()
        surplus = len(self._idle) - self._settings.idle_workers
        for position, worker in enumerate(list(self._idle)):
            patience_s = min(SURPLUS_S, self._settings.idle_s) if position < surplus else self._settings.idle_s
            if now_s - worker.idle_since_s >= patience_s:
                self._idle.remove(worker)
                self._end(worker)
        if self._idle:
            self._watch_idle()

    def _end(self, worker: Worker) -> None:
        worker.close()
        self._family.dismiss(worker.child)

    def _forget(self, worker: Worker) -> None:
        if worker in self._idle:
            self._idle.remove(worker)
        self._end(worker)
