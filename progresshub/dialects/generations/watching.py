"""A generation's progress as it happens: waited for, followed, and told to the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from aiohttp import web

from progresshub.clock import Clock
from progresshub.dialects.generations import runs, words
from progresshub.dialects.generations.audience import Audience, Telling
from progresshub.edge import sse
from progresshub.edge.ending import DEAF
from progresshub.edge.routes import Call, Route
from progresshub.errors import UnknownTask
from progresshub.model import Task
from progresshub.registry.hub import Hub
from progresshub.settings import Streams

AUDIENCE = web.AppKey("audience", Audience)


class Watcher(sse.Stream):
    """A connection that is told again and again how things stand."""

    headers = {
        "Content-Type": "text/event-stream",
        "Cache-Control": "no-cache, no-transform",
        "Connection": "keep-alive",
        "X-Accel-Buffering": "no",
        "Content-Encoding": "none",
    }

    def __init__(self, request: web.Request, settings: Streams, clock: Clock) -> None:
        super().__init__(request, settings)
        self._clock = clock
        self.again: Callable[[], bytes] = self._waiting

    def greeting(self) -> bytes:
        return b""

    async def say(self, said: words.Said) -> None:
        await self.send(words.frame(said, self._clock.now_ms()))

    async def end(self, last: bytes) -> None:
        await self.send(last)
        self.finish()

    def beat(self) -> None:
        """A heartbeat, unless it would only add to what has not been taken yet."""
        if not self.over.done() and self.backlog() == 0:
            self.write(self.again())

    def _waiting(self) -> bytes:
        frame = words.frame(words.WAITING, self._clock.now_ms())
        return sse.chunk(frame) if self.chunked else frame


async def stream(call: Call[None, None]) -> web.StreamResponse:
    return await watch(call, call.path("id"))


async def watch(call: Call[Any, None], name: str) -> web.StreamResponse:
    """Connected, waiting while there is nothing, every change, the end, done."""
    audience = call.request.app[AUDIENCE]
    watcher = Watcher(call.request, call.config.streams, call.hub.clock)
    await watcher.open()
    await watcher.say(words.CONNECTED)
    with audience.pulse.felt_by(watcher):
        run = await _awaited(call, name, audience, watcher)
        if run is None:
            await watcher.end(words.farewell(words.NEVER_CAME, call.hub.clock.now_ms()))
        else:
            with audience.telling(run.id, chunked=watcher.chunked) as telling:
                await _follow(call.hub, run.id, telling, watcher)
    return await watcher.wait()


async def _awaited(call: Call[Any, None], name: str, audience: Audience, watcher: Watcher) -> Task | None:
    """The run to follow: the newest, or the next where none goes on; an ended one only when none comes."""
    hub, settings = call.hub, call.config.generations
    with audience.expecting(name) as bell:
        known = await runs.newest(hub, name)
        if known is not None and (not known.final or known.id == name):
            return known
        await watcher.say(words.WAITING)
        watcher.over.add_done_callback(lambda over: bell.set())
        resting = hub.bus.watch((), DEAF, watcher)  # the end of all streams is the end of this one
        try:
            async with asyncio.timeout(settings.wait_s if known is None else settings.rerun_wait_s):
                return await _next(hub, name, known, bell, watcher)
        except TimeoutError:
            return known
        finally:
            resting.close()


async def _next(hub: Hub, name: str, known: Task | None, bell: asyncio.Event, watcher: Watcher) -> Task | None:
    """A newer run than the one that is known, as soon as it is kept; it may have been on its way before."""
    while not watcher.over.done():
        bell.clear()
        await hub.kept()
        found = await runs.newest(hub, name)
        if found is not None and (known is None or found.id != known.id):
            return found
        await bell.wait()
    return known


async def _follow(hub: Hub, task_id: str, telling: Telling, watcher: Watcher) -> None:
    subscription = hub.bus.watch([task_id], telling.encoding, watcher)
    try:
        run = await hub.get(task_id)
        if run.final:
            await watcher.end(words.last_frames(run, hub.clock.now_ms()))
        else:
            await watcher.say(telling.stands(run))
            watcher.again = telling.beat
        subscription.release(lambda event: event.id > run.changed)
        await watcher.over
    except UnknownTask:
        await watcher.end(words.farewell(words.DELETED, hub.clock.now_ms()))
    finally:
        subscription.close()


ROUTES = (
    Route(
        method="GET",
        path="/api/progress/{id:[^/]+}",
        handler=sse.patient(stream),
        summary="A generation's progress as it happens",
        answers={200: "text/event-stream: messages with a status, of the default type"},
    ),
)
