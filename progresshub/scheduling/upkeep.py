"""What has to be looked after while nobody asks: retention, the search index, silent workers.

Each round does a bounded amount of work, so that a long history is dealt with in small pieces.
"""

from __future__ import annotations

import asyncio
import logging

from progresshub.errors import HubError
from progresshub.model import EventId, State
from progresshub.registry.hub import Hub
from progresshub.scheduling.quota import Quota

log = logging.getLogger(__name__)

ROUND_S = 1.0
EXPIRE_EVERY = 10
PIECE = 500


class Upkeep:
    """Goes round until cancelled."""

    def __init__(self, hub: Hub, *, stalled_after_s: float, quota: Quota | None = None) -> None:
        self._hub = hub
        self._stalled_after_s = stalled_after_s
        self._quota = quota
        self._heard: dict[str, tuple[EventId, float]] = {}
        self._rounds = 0
        self._indexed = -1

    async def run(self) -> None:
        while True:
            try:
                await self.round()
            except HubError as error:
                log.warning("upkeep has to wait: %s", error.message)
            await asyncio.sleep(ROUND_S)

    async def round(self) -> None:
        self.mark_stalled()
        if self._rounds % EXPIRE_EVERY == 0:
            await self.expire()
            if self._quota is not None:
                await self._quota.keep()
        self._rounds += 1
        await self.index()

    async def index(self) -> None:
        """Make searchable what has been submitted since, unless that is nothing."""
        last_seq = self._hub.last_seq
        if last_seq == self._indexed:
            return
        await self._hub.kept()
        if await self._hub.store.index(PIECE) < PIECE:
            self._indexed = last_seq

    def mark_stalled(self) -> None:
        """Tasks that have said nothing for longer than their kind may; they are never failed for it."""
        now_s = self._hub.clock.monotonic_s()
        heard: dict[str, tuple[EventId, float]] = {}
        for task in self._hub.live(State.RUNNING):
            kind = self._hub.kinds.get(task.spec.kind)
            if kind is None or task.stalled:
                continue
            after_s = self._stalled_after_s if kind.external else kind.stalled_after_s
            if after_s is None:
                continue
            changed, since_s = self._heard.get(task.id, (task.changed, now_s))
            heard[task.id] = (task.changed, now_s if changed != task.changed else since_s)
            if now_s - heard[task.id][1] >= after_s:
                self._hub.stall(task.id)
        self._heard = heard

    async def expire(self) -> None:
        now_ms = self._hub.clock.now_ms()
        self._hub.journal.forget_answers(now_ms)
        while tasks := await self._hub.store.expired(now_ms, PIECE):
            await self._hub.forget(tasks)
