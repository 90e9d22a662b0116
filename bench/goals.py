"""The goals of the server's speed, each held against the figures of one run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from bench.contest import OURS, Table

WS = "progresshub, WebSocket"
LIMIT = "C, epoll (limit)"
NCHAN = "nchan"
PYTHON_WATCHED = ("starlette", "sse-starlette", "aiohttp-sse", "socketio")
PYTHON_SAFE = ("Huey, SQLite FULL", "SAQ, PostgreSQL", "Procrastinate")
GROWN = ("submit_ms", "get_ms", "first_page_ms", "cursor_page_ms", "stats_ms", "start_s")

Medians = Mapping[str, Mapping[str, Mapping[str, float]]]


class Check(NamedTuple):
    """One figure and the bound it has to keep; `most` says on which side."""

    what: str
    figure: float
    bound: float
    most: bool

    @property
    def reached(self) -> bool:
        return self.figure <= self.bound if self.most else self.figure >= self.bound

    def __str__(self) -> str:
        return f"{self.what} {_short(self.figure)} ({'≤' if self.most else '≥'} {_short(self.bound)})"


class Goal(NamedTuple):
    name: str
    about: str
    checks: Callable[[Medians], Iterable[Check]]


def lines(tables: Iterable[Table]) -> list[str]:
    """As a Markdown table; a goal whose figures are not all there was not measured."""
    medians = {table.name: table.medians for table in tables}
    return [
        "| goal | | reached | measured (bound) |",
        "|---|---|---|---|",
        *(_line(goal, medians) for goal in GOALS),
        "",
    ]


def _line(goal: Goal, medians: Medians) -> str:
    try:
        checks = list(goal.checks(medians))
    except KeyError as missing:
        return f"| {goal.name} | {goal.about} | not measured | {missing} |"
    verdict = "yes" if all(check.reached for check in checks) else "**no**"
    return f"| {goal.name} | {goal.about} | {verdict} | {'; '.join(map(str, checks))} |"


def _short(figure: float) -> str:
    return f"{figure:,.0f}" if abs(figure) >= 100 else f"{figure:.3g}"


def at_most(what: str, figure: float, bound: float) -> Check:
    return Check(what, figure, bound, most=True)


def at_least(what: str, figure: float, bound: float) -> Check:
    return Check(what, figure, bound, most=False)


def _paced(m: Medians) -> Iterable[Check]:
    ours, limit = m["fanout/paced"][OURS], m["fanout/paced"][LIMIT]
    yield at_most("p50 ms", ours["p50_ms"], 1.5 * limit["p50_ms"])
    yield at_most("µs each", ours["cpu_us"], 1.5 * limit["cpu_us"])
    yield at_least("kept up with", ours["per_s"], 90_000)


def _saturated(m: Medians) -> Iterable[Check]:
    rows = m["fanout/saturated"]
    yield at_least("× nchan", rows[OURS]["per_s"] / rows[NCHAN]["per_s"], 10)
    for name in PYTHON_WATCHED:
        yield at_least(f"× {name}", rows[OURS]["per_s"] / rows[name]["per_s"], 20)


def _children(m: Medians) -> Iterable[Check]:
    yield at_least("deliveries/s", m["fanout/children"][OURS]["per_s"], m["fanout/topics"]["nchan, WebSocket"]["per_s"])


def _crowd(m: Medians) -> Iterable[Check]:
    yield at_most("KB each", m["fanout/idle"][OURS]["kb_each"], 12)
    yield at_most("s to connect 10,000", m["fanout/idle"][OURS]["connect_s"], 2)


def _latency(m: Medians) -> Iterable[Check]:
    yield at_most("p50 ms", m["fanout/latency"][OURS]["p50_ms"], 3 * m["fanout/latency"][NCHAN]["p50_ms"])


def _dead(m: Medians) -> Iterable[Check]:
    rows = m["fanout/dead"]
    yield at_most("p50 ms", rows["100 stopped dead"]["p50_ms"], 1.2 * rows["all read"]["p50_ms"])
    yield at_most("MB", rows["100 stopped dead"]["grown_mb"], 64)


def _websocket(m: Medians) -> Iterable[Check]:
    for name in ("one-by-one", "saturated", "topics"):
        rows = m[f"fanout/{name}"]
        yield at_least(f"{name}, × SSE", rows[WS]["per_s"] / rows[OURS]["per_s"], 0.8)


def _polling(m: Medians) -> Iterable[Check]:
    rows = m["polling"]
    yield at_least("answers/s", rows[OURS]["per_s"], rows["starlette"]["per_s"])
    yield at_least("× FastAPI", rows[OURS]["per_s"] / rows["fastapi"]["per_s"], 2)


def _submits(m: Medians) -> Iterable[Check]:
    rows = m["work"]
    best = max(rows[name]["flight_per_s"] for name in PYTHON_SAFE)
    yield at_least("32 in flight, × best safe Python peer", rows[OURS]["flight_per_s"] / best, 1.5)
    yield at_least("at once/s", rows[OURS]["bulk_per_s"], 50_000)


def _tasks(m: Medians) -> Iterable[Check]:
    rows = m["work"]
    best = max(rows[name]["done_per_s"] for name in PYTHON_SAFE)
    yield at_least("× best safe Python peer", rows[OURS]["done_per_s"] / best, 1.5)
    bullmq = rows["BullMQ, fsync always"]["done_per_s"]
    yield at_least("× BullMQ with fsync, no bound", rows[OURS]["done_per_s"] / bullmq, 0)


def _programs(m: Medians) -> Iterable[Check]:
    yield at_least("/s", m["work/programs"][OURS]["done_per_s"], 800)
    yield at_most("p50 ms", m["work/programs"][OURS]["latency_ms"], 3)


def _start(m: Medians) -> Iterable[Check]:
    yield at_most("ms", m["start"][OURS]["first_ms"], 100)


def _growth(m: Medians) -> Iterable[Check]:
    for figure in GROWN:
        yield at_most(figure.rpartition("_")[0].replace("_", " "), m["growth/history"]["exponent"][figure], 0.1)


def _idle(m: Medians) -> Iterable[Check]:
    yield at_most("MB", m["idle"][OURS]["resident_mb"], 70)
    yield at_most("% of a core", m["idle"][OURS]["cpu_percent"], 0.2)


GOALS = (
    Goal("P1", "100 events/s → 1,000 watchers as C does", _paced),
    Goal("P2", "saturated fan-out, nothing lost", _saturated),
    Goal("P3", "reports of 100 child processes → 10 watchers each, as nchan", _children),
    Goal("P4", "10,000 idle watchers", _crowd),
    Goal("P5", "one watcher, idle", _latency),
    Goal("P6", "100 of 1,000 watchers stopped dead", _dead),
    Goal("P7", "WebSocket like SSE", _websocket),
    Goal("P8", "polling", _polling),
    Goal("P9", "submits that are on disk", _submits),
    Goal("P10", "no-op tasks", _tasks),
    Goal("P11", "`/bin/true` as a command task", _programs),
    Goal("P12", "a download's first bytes", _start),
    Goal("P13", "growth from 10³ to 10⁶ tasks: exponents", _growth),
    Goal("P14", "an idle server", _idle),
)
