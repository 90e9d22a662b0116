"""The queues themselves and the server's health, over the queues dialect."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from aiohttp import web
from msgspec.structs import replace

from progresshub import __version__
from progresshub.clock import rfc3339
from progresshub.dialects.queues.words import STATE
from progresshub.edge.routes import DOWNLOADER, Call, Route
from progresshub.edge.wire import reply
from progresshub.registry.queues import Queue
from progresshub.release import Current
from progresshub.storage.persistence import Place


class Stats(msgspec.Struct):
    """How many of a queue's tasks are in each state, and how the queue is set."""

    queue: str
    pending: int = 0
    active: int = 0
    scheduled: int = 0
    retry: int = 0
    archived: int = 0
    completed: int = 0
    paused: bool = False
    slots: int = 0
    weight: int = 1


class StatsQuery(msgspec.Struct):
    queue: str | None = None


class QueueChange(msgspec.Struct):
    """What is left out stays as it is; `slots` 0 is no bound of the queue's own."""

    paused: bool | None = None
    slots: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] | None = None
    weight: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] | None = None


class Downloader(msgspec.Struct):
    """The yt-dlp that downloads use; sites break old ones within weeks."""

    version: str
    age_days: int | None


class Health(msgspec.Struct):
    """`downloader` is null where there is none."""

    status: str
    timestamp: str
    version: str
    uptime: float
    services: dict[str, str]
    downloader: Downloader | None


class Word(msgspec.Struct, omit_defaults=True):
    status: str
    reason: str = ""


async def stats(call: Call[StatsQuery, None]) -> web.Response:
    asked = call.query.queue
    queues = list(call.hub.queues) if asked is None else [call.hub.queues[asked]]
    counts = call.hub.journal.counts
    return reply([_stats(queue, counts) for queue in queues])


def _stats(queue: Queue, counts: dict[Place, int]) -> Stats:
    body: dict[str, Any] = dict.fromkeys(STATE.values(), 0)
    for where, tasks in counts.items():
        if where.queue == queue.name:
            body[STATE[where.state]] += tasks
    return Stats(queue=queue.name, paused=queue.paused, slots=queue.slots, weight=queue.weight, **body)


async def change(call: Call[None, QueueChange]) -> web.Response:
    queue = call.hub.queues[call.path("name")]
    given = {name: value for name, value in msgspec.structs.asdict(call.body).items() if value is not None}
    await call.hub.change_queue(replace(queue, **given))
    return reply(_stats(call.hub.queues[queue.name], call.hub.journal.counts))


async def show_health(call: Call[None, None]) -> web.Response:
    hub = call.hub
    well = hub.journal.trouble is None
    word = "healthy" if well else "unhealthy"
    now_ms = hub.clock.now_ms()
    uptime_s = hub.clock.monotonic_s() - hub.opened_s
    health = Health(
        status=word,
        timestamp=rfc3339(now_ms),
        version=__version__,
        uptime=round(uptime_s, 3),
        services={"store": word},
        downloader=_downloader(call.request.app.get(DOWNLOADER)),
    )
    return reply(health, 200 if well else 503)


def _downloader(current: Current | None) -> Downloader | None:
    release = current.release if current is not None else None
    return None if release is None else Downloader(release.version, release.age_days())


async def ready(call: Call[None, None]) -> web.Response:
    trouble = call.hub.journal.trouble
    if call.hub.bus.closed:
        return reply(Word("not ready", "the server is stopping"), 503)
    return reply(Word("ready")) if trouble is None else reply(Word("not ready", trouble.message), 503)


async def live(call: Call[None, None]) -> web.Response:
    return reply(Word("alive"))


ROUTES = (
    Route(
        method="GET",
        path="/api/v1/queues/stats",
        handler=stats,
        summary="How many tasks are where",
        query=StatsQuery,
        answers={200: list[Stats]},
    ),
    Route(
        method="PATCH",
        path="/api/v1/queues/{name}",
        handler=change,
        summary="Pause a queue, or set its share of the slots",
        scope="admin",
        body=QueueChange,
        answers={200: Stats},
    ),
    Route(
        method="GET",
        path="/health",
        handler=show_health,
        summary="How the server is",
        scope=None,
        answers={200: Health},
    ),
    Route(method="GET", path="/ready", handler=ready, summary="Whether it takes work", scope=None, answers={200: Word}),
    Route(method="GET", path="/live", handler=live, summary="Whether it answers", scope=None, answers={200: Word}),
)
