"""Growth: the same operations on small and large histories, with few and many watchers, with few and many jobs.

What is told is the exponent e of cost ~ size^e over the sizes: 0 means that size does not matter, 1
that it matters in proportion.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.contest import Table, Unit
from bench.contestants import ours
from bench.effort import Effort
from bench.hub import Hub, hub
from bench.load import load
from bench.machine import resident_bytes
from bench.scenarios.work import working
from bench.spine import fill

REPEATS = 40
BY_HISTORY = {
    "submit_ms": Unit(about="submit, ms", better="less", digits=2),
    "get_ms": Unit(about="get an old task, ms", better="less", digits=2),
    "first_page_ms": Unit(about="first page, ms", better="less", digits=2),
    "cursor_page_ms": Unit(about="page in the middle, ms", better="less", digits=2),
    "search_ms": Unit(about="search, ms", better="less", digits=2),
    "stats_ms": Unit(about="stats, ms", better="less", digits=2),
    "start_s": Unit(about="start-up, s", better="less", digits=2),
    "resident_mb": Unit(about="MB resident", better="less"),
}
BY_WATCHERS = {"cpu_us": Unit(about="server µs a delivery", better="less", digits=1)}
BY_JOBS = {"job_us": Unit(about="server µs a no-op task", better="less")}
EXPONENT = "exponent"


async def run(effort: Effort) -> list[Table]:
    sizes = [10**power for power in range(3, 7)]
    return [
        await _table("history", "Tasks in the store", BY_HISTORY, sizes, _with_history, effort=effort),
        await _table(
            "watchers", "Watchers of one task", BY_WATCHERS, (1, 10, 100, 1_000, 5_000), _with_watchers, effort=effort
        ),
        await _table("jobs", "Tasks that run at once", BY_JOBS, (1, 4, 16, 64), _with_jobs, effort=effort),
    ]


async def _table(
    name: str,
    about: str,
    units: Mapping[str, Unit],
    sizes: tuple[int, ...] | list[int],
    measure: Callable[[int, Effort], Awaitable[dict[str, float]]],
    *,
    effort: Effort,
) -> Table:
    table = Table(name=f"growth/{name}", about=about, units=units)
    for size in sizes:
        effort.tell(f"growth/{name}: {size:,}")
        table.medians[f"{size:,}"] = await measure(size, effort)
    rows = list(table.medians.values())
    table.medians[EXPONENT] = {figure: exponent(sizes, [row[figure] for row in rows]) for figure in units}
    return table


def exponent(sizes: list[int] | tuple[int, ...], costs: list[float]) -> float:
    """The slope of the least squares line through the logarithms."""
    return statistics.linear_regression([math.log(size) for size in sizes], [math.log(cost) for cost in costs]).slope


async def _with_history(size: int, effort: Effort) -> dict[str, float]:
    with TemporaryDirectory(prefix="bench-growth-") as folder:
        await fill(Path(folder, "progresshub.db"), size)
        begun_s = time.perf_counter()
        async with hub("queues.default.paused=true", data=Path(folder)) as server:
            figures = {"start_s": time.perf_counter() - begun_s, **await _asked(server)}
            return {**figures, "resident_mb": resident_bytes(server.pid) / 1e6}


async def _asked(server: Hub) -> dict[str, float]:
    task = {"type": "demo", "payload": {}}
    first = await server.get("/api/v1/tasks?limit=50")
    old = first["tasks"][-1]["id"]
    middle = str(int(first["next_cursor"]) // 2)
    return {
        "submit_ms": await _median_ms(lambda: server.post("/api/v1/tasks", task)),
        "get_ms": await _median_ms(lambda: server.get(f"/api/v1/tasks/{old}")),
        "first_page_ms": await _median_ms(lambda: server.get("/api/v1/tasks?limit=50&state=completed")),
        "cursor_page_ms": await _median_ms(lambda: server.get(f"/api/v1/tasks?limit=50&cursor={middle}")),
        "search_ms": await _median_ms(lambda: server.get("/api/v1/tasks?limit=50&q=number777")),
        "stats_ms": await _median_ms(lambda: server.get("/api/progress/stats")),
    }


async def _median_ms(act: Callable[[], Awaitable[object]]) -> float:
    took_s = []
    for _ in range(REPEATS):
        begun_s = time.perf_counter()
        await act()
        took_s.append(time.perf_counter() - begun_s)
    return 1000 * statistics.median(took_s)


async def _with_watchers(size: int, effort: Effort) -> dict[str, float]:
    async with ours()(1) as target:
        events = effort.many(min(4_000, 2_000_000 / size), least=400)
        told = await load(target, watchers=size, events=events, in_flight=1)
        return {"cpu_us": told["cpu_us_each"]}


async def _with_jobs(size: int, effort: Effort) -> dict[str, float]:
    async with working(slots=size) as server:
        await server.done("nothing", {}, 2 * size)
        told = await server.done("nothing", {}, effort.many(2_000, least=200))
        return {"job_us": told["done_cpu_us"]}
