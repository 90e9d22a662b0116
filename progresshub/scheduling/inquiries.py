"""Questions that a child process answers within a request, such as what is to be had at an address.

They are no tasks: nothing of them is listed or kept. Their number and time are bounded, and whoever
asks one and goes away takes its process along.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from progresshub.errors import HubError, TooMany, Unavailable
from progresshub.kinds import Call, Launch, Outcome
from progresshub.processes.job import Job, Stop
from progresshub.settings import Inquiries as Settings

LOG = "inquiry.log"


class BadAddress(HubError):
    """Nothing can be had from this address: {reason}."""

    code = "bad_address"


class Inquiries:
    """`run` is the runner's. `close` ends those that are being answered."""

    def __init__(self, run: Callable[[Launch, Job], Awaitable[Outcome]], settings: Settings) -> None:
        self._run = run
        self._settings = settings
        self._slots = asyncio.Semaphore(settings.at_once)
        self._stops: set[Stop] = set()
        self._closed = False

    async def ask(self, call: Call) -> Any:
        """What the function returns.

        BadAddress when it says no for good; Unavailable when another try may help; TooMany when too
        many wait already.
        """
        if self._closed:
            raise Unavailable(reason="the server is stopping")
        if len(self._stops) >= self._settings.at_once + self._settings.waiting:
            raise TooMany(reason="others are asking already; try again in a while")
        stop = Stop()
        self._stops.add(stop)
        try:
            outcome = await self._answer(call, stop)
        finally:
            self._stops.discard(stop)
        return _result(outcome)

    def close(self) -> None:
        """Take no more questions, and stop answering."""
        self._closed = True
        for stop in self._stops:
            stop.request()

    async def _answer(self, call: Call, stop: Stop) -> Outcome:
        loop = asyncio.get_running_loop()
        until_s = loop.time() + self._settings.timeout_s
        try:
            async with asyncio.timeout_at(until_s):
                await self._slots.acquire()
        except TimeoutError:
            raise Unavailable(reason="no answer came in time") from None
        try:
            with tempfile.TemporaryDirectory(prefix="progresshub-", ignore_cleanup_errors=True) as directory:
                return await self._run(call, _job(stop, Path(directory), until_s - loop.time()))
        finally:
            self._slots.release()


def _job(stop: Stop, directory: Path, timeout_s: float) -> Job:
    return Job(
        task_id="inquiry",
        attempt=1,
        directory=directory,
        log=directory / LOG,
        timeout_s=max(0.0, timeout_s),
        on_report=lambda report: None,
        stop=stop,
    )


def _result(outcome: Outcome) -> Any:
    if outcome.status == "cancelled":
        raise Unavailable(reason="the server is stopping")
    if outcome.failure is None:
        return outcome.result
    if outcome.retry:
        raise Unavailable(reason=outcome.failure.message)
    raise BadAddress(reason=outcome.failure.message, type=outcome.failure.type)
