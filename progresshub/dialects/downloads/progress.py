"""Progress over the downloads dialect: of one task, of many, in figures, and as a curve."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import msgspec
from aiohttp import web

from progresshub.clock import naive
from progresshub.dialects.downloads import chart, words
from progresshub.dialects.downloads.figures import Figure, chosen, figures, running, together
from progresshub.dialects.downloads.refusals import FeatureOff
from progresshub.edge.routes import Call, Handler, Route
from progresshub.edge.wire import reply
from progresshub.errors import InvalidField
from progresshub.model import FIRST, EventId, Task
from progresshub.registry.hub import Hub
from progresshub.registry.traffic import Traffic
from progresshub.storage.persistence import ENTRIES, Filter

TRAFFIC = web.AppKey("traffic", Traffic)

MOST_EVENTS = 100
PIECE = 1_000
STALE_MS = 10_000
"""Of a task that has said nothing for so long it is not known how fast it is."""


class EventsQuery(msgspec.Struct):
    """How many events; every change of state, and then the newest progress, up to 100 in all."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] = 100


class ListQuery(msgspec.Struct):
    """Which tasks. All that fit are counted, the newest are shown."""

    status: str | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] = 50


class WindowQuery(msgspec.Struct):
    minutes: Annotated[int, msgspec.Meta(ge=1, le=60)] = 5


class PointsQuery(msgspec.Struct):
    points: Annotated[int, msgspec.Meta(ge=2, le=500)] = 100


class Progresses(msgspec.Struct):
    total_tasks: int
    completed: int
    downloading: int
    failed: int
    cancelled: int
    pending: int
    processing: int
    overall_progress: float
    tasks: list[words.InProgress]


class StatusFigures(msgspec.Struct):
    count: int
    avg_progress: float
    max_progress: float


class Stats(msgspec.Struct):
    total_tasks: int
    overall_progress: float
    by_status: dict[str, StatusFigures]


class Bandwidth(msgspec.Struct):
    """What is moved now, by how many downloads, and what was moved within the window."""

    downloading_count: int
    total_speed_bps: float
    total_speed_formatted: str
    average_speed_bps: float
    average_speed_formatted: str
    window_minutes: int
    window_bytes: int
    window_average_bps: float
    window_average_formatted: str


class PointBody(msgspec.Struct):
    timestamp: str
    elapsed_seconds: float
    progress: float
    current_bytes: int
    speed_bps: float


class Course(msgspec.Struct):
    """A task's speed over time, for a chart; oldest first, averaged between the points."""

    task_id: str
    status: str
    peak_speed_bps: float
    average_speed_bps: float
    points: list[PointBody]


def tracked(handler: Handler) -> Handler:
    """The same, unless progress tracking is switched off."""

    @functools.wraps(handler)
    async def checked(call: Call[Any, Any]) -> web.StreamResponse:
        if not call.config.features.progress_tracking:
            raise FeatureOff(feature="progress_tracking")
        return await handler(call)

    return checked


async def detail(call: Call[None, None]) -> web.Response:
    return reply(words.detail(await call.hub.get(call.path("task_id"))))


async def summary(call: Call[None, None]) -> web.Response:
    return reply(words.summary(await call.hub.get(call.path("task_id"))))


def summary_known(call: Call[None, None]) -> words.Summary | None:
    """The same of a task in memory, while progress is tracked."""
    task = call.hub.find(call.path("task_id")) if call.config.features.progress_tracking else None
    return None if task is None else words.summary(task)


async def events(call: Call[EventsQuery, None]) -> web.Response:
    task = await call.hub.get(call.path("task_id"))
    most = min(MOST_EVENTS, call.query.limit)
    await call.hub.kept()
    store = call.hub.store
    changes = await store.latest(task, words.EVENT.keys() - words.UPDATES, most)
    updates = await store.latest(task, words.UPDATES, most - len(changes)) if len(changes) < most else []
    shown = sorted((*changes, *updates), key=lambda event: event.id)
    return reply([words.happened(event) for event in shown])


async def course(call: Call[PointsQuery, None]) -> web.Response:
    task = await call.hub.get(call.path("task_id"))
    samples = await _samples(call.hub, task)
    points = chart.thinned(samples, call.query.points)
    start_ms = task.started_ms if task.started_ms is not None else task.spec.created_ms
    begun_ms = min([start_ms, *(sample.at_ms for sample in samples[:1])])
    shown = [
        PointBody(naive(at_ms), round((at_ms - begun_ms) / 1000, 3), percent, done, speed)
        for at_ms, percent, done, speed in points
    ]
    peak = max((point.speed_bps for point in points), default=0.0)
    return reply(Course(task.id, words.status(task), peak, chart.average(points), shown))


async def _samples(hub: Hub, task: Task) -> list[chart.Sample]:
    """All that is recorded, read in pieces."""
    await hub.kept()
    found: list[chart.Sample] = []
    start = FIRST
    while True:
        piece = await hub.store.history(task, start=start, types=ENTRIES, limit=PIECE)
        found += chart.samples(piece)
        if len(piece) < PIECE:
            return found
        start = EventId(piece[-1].id.ms, piece[-1].id.n + 1)


async def progresses(call: Call[ListQuery, None]) -> web.Response:
    query = call.query
    tasks = await newest(call.hub, query.status, query.limit)
    selected = chosen(figures(call.hub), query.status or None)
    whole = together(selected.values())
    counts = {word: figure.tasks for word, figure in selected.items()}
    shown = [words.in_progress(task) for task in tasks]
    return reply(Progresses(total_tasks=whole.tasks, overall_progress=whole.average, tasks=shown, **counts))


async def newest(hub: Hub, word: str | None, limit: int) -> list[Task]:
    """The newest tasks of a status, or of any."""
    word = word or None
    if word is not None and word not in words.STATUSES:
        raise InvalidField(field="status", reason=f"there is no status {word[:40]!r}, only {', '.join(words.STATUSES)}")
    if word in (words.DOWNLOADING, words.PROCESSING):
        return [task for task in running(hub) if words.status(task) == word][:limit]
    states = frozenset(state for state, ours in words.STATUS.items() if ours == word)
    tasks, _ = await hub.page(Filter(states=states), None, limit)
    return [task for task in tasks if word in (None, words.status(task))]


async def stats(call: Call[None, None]) -> web.Response:
    found = figures(call.hub)
    whole = together(found.values())
    return reply(Stats(whole.tasks, whole.average, {word: _figures(figure) for word, figure in found.items()}))


def _figures(figure: Figure) -> StatusFigures:
    return StatusFigures(figure.tasks, figure.average, figure.highest / 10)


async def bandwidth(call: Call[WindowQuery, None]) -> web.Response:
    now_ms = call.hub.clock.now_ms()
    minutes = call.query.minutes
    speeds = [
        words.speed_bps(task) if task.progress is None or now_ms - task.progress.at_ms <= STALE_MS else 0.0
        for task in running(call.hub)
        if words.status(task) == words.DOWNLOADING and (task.spec.kind == "download" or words.counts_bytes(task))
    ]
    total = sum(speeds, 0.0)
    average = total / len(speeds) if speeds else 0.0
    moved = call.request.app[TRAFFIC].moved_bytes(now_ms, 60_000 * minutes)
    body = Bandwidth(
        downloading_count=len(speeds),
        total_speed_bps=round(total, 1),
        total_speed_formatted=words.speed_text(total),
        average_speed_bps=round(average, 1),
        average_speed_formatted=words.speed_text(average),
        window_minutes=minutes,
        window_bytes=moved,
        window_average_bps=round(moved / (60 * minutes), 1),
        window_average_formatted=words.speed_text(moved / (60 * minutes)),
    )
    return reply(body)


TOP = "/api/progress"
TASK = f"{TOP}/tasks/{{task_id}}"


def _route(path: str, handler: Callable[[Any], Awaitable[web.Response]], summary: str, **given: Any) -> Route:
    return Route(method="GET", path=path, handler=tracked(handler), summary=summary, **given)


ROUTES = (
    _route(TASK, detail, "All about a task's progress", answers={200: words.Detail}),
    _route(
        f"{TASK}/summary",
        summary,
        "A task's progress in short",
        answers={200: words.Summary},
        prompt=summary_known,
    ),
    _route(f"{TASK}/events", events, "What happened to a task", query=EventsQuery, answers={200: list[words.Happened]}),
    _route(f"{TASK}/speed", course, "A task's speed over time", query=PointsQuery, answers={200: Course}),
    _route(f"{TOP}/tasks", progresses, "The progress of many tasks", query=ListQuery, answers={200: Progresses}),
    _route(f"{TOP}/stats", stats, "Figures for each status", answers={200: Stats}),
    _route(f"{TOP}/bandwidth", bandwidth, "What is moved", query=WindowQuery, answers={200: Bandwidth}),
)
