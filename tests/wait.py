"""Waiting for things to happen, with an end to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

PATIENCE_S = 20.0


async def until(true: Callable[[], object], patience_s: float = PATIENCE_S) -> None:
    """Let the loop go on until it is true; TimeoutError when it does not come to be."""
    async with asyncio.timeout(patience_s):
        while not true():  # noqa: ASYNC110 - what is waited for has no event of its own
            await asyncio.sleep(0)
