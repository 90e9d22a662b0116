"""Requests that carry an Idempotency-Key: done once, and answered the same however often they come."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from progresshub.clock import Clock
from progresshub.errors import IdempotencyMismatch
from progresshub.registry.submission import IdempotencyKey
from progresshub.storage.persistence import Accepted, Store

Answered = tuple[Accepted, ...]


class Answers:
    """One request at a time for each key; the others wait and are then told what the first was."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._busy: dict[str, asyncio.Future[Answered]] = {}

    async def once(self, asked: IdempotencyKey, take: Callable[[], Awaitable[Answered]]) -> Answered:
        """The answer given before, or that of `take`, which goes on when the client is gone: it will ask again."""
        while (busy := self._busy.get(asked.key)) is not None:
            await asyncio.wait([busy])
        answering = asyncio.ensure_future(self._answer(asked, take))
        self._busy[asked.key] = answering
        return await asyncio.shield(answering)

    async def _answer(self, asked: IdempotencyKey, take: Callable[[], Awaitable[Answered]]) -> Answered:
        try:
            told = await self._store.answer(asked.key)
            if told is None or told.expires_ms <= self._clock.now_ms():
                return await take()
            if told.digest != asked.digest:
                raise IdempotencyMismatch(key=asked.key)
            return told.accepted
        finally:
            del self._busy[asked.key]
