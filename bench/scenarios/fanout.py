"""Fan-out: events of running tasks to those who watch, over SSE and WebSocket, one server on one core.

The publisher and all watchers are one C program on the other core. A figure of CPU is the server
process's own, which a busy machine disturbs less than the time it took.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from bench.contest import OURS, Figures, Measure, Table, Unit, contest
from bench.contestants import REPORTING_S, Contestant, children, contestants, ours
from bench.effort import Effort
from bench.load import load

WATCHERS = 1_000
RATE = Unit(about="deliveries/s")
CPU = Unit(about="server µs each", better="less", digits=1)
P50 = Unit(about="p50 ms", better="less", digits=2)
P99 = Unit(about="p99 ms", better="less", digits=1)
EACH_KB = Unit(about="KB each", better="less", digits=1)
CONNECT = Unit(about="s to connect all", better="less", digits=2)

Load = Callable[[Contestant], Measure]


async def run(effort: Effort) -> list[Table]:
    taking_part = [one for one in await contestants() if effort.peers or one.name.startswith("progresshub")]
    tables = []
    for table, measured in _scenarios(effort):
        for one in taking_part:
            if one.missing:
                table.notes[one.name] = one.missing
        measures = {one.name: measured(one) for one in taking_part if not one.missing}
        tables.append(await contest(table, measures, effort.rounds, effort.tell))
    alone: dict[str, tuple[Table, dict[str, Measure]]] = {}
    for name, about, units, who, measure in _alone():
        alone.setdefault(name, (_table(name, about, units), {}))[1][who] = measure
    return [*tables, *[await contest(table, given, effort.rounds, effort.tell) for table, given in alone.values()]]


def _scenarios(effort: Effort) -> Iterable[tuple[Table, Load]]:
    flow = {"per_s": RATE, "cpu_us": CPU}
    lag = {"p50_ms": P50, "p99_ms": P99}
    crowd = {"kb_each": EACH_KB, "connect_s": CONNECT}
    yield _table("one-by-one", "1 task → 1,000 watchers, 1 report in flight", flow), _flow(effort, in_flight=1)
    yield _table("saturated", "1 task → 1,000 watchers, 16 reports in flight", flow), _flow(effort, in_flight=16)
    yield (
        _table("paced", "1 task → 1,000 watchers, 100 reports/s", {**lag, "cpu_us": CPU, "per_s": RATE}),
        _paced(effort, watchers=WATCHERS, per_s=100),
    )
    yield (
        _table("topics", "100 tasks × 10 watchers, 16 reports in flight", flow),
        _flow(effort, in_flight=16, topics=100, events=30_000),
    )
    yield _table("latency", "1 task → 1 watcher, 50 reports/s", lag), _paced(effort, watchers=1, per_s=50)
    yield _table("idle", "10,000 watchers of 100 tasks, nothing happens", crowd), _idle(10_000)


def _alone() -> Iterable[tuple[str, str, dict[str, Unit], str, Measure]]:
    """What only ours does, or only ours is asked for."""
    flow = {"per_s": RATE, "cpu_us": CPU, "p50_ms": P50}
    memory = {"p50_ms": P50, "cpu_us": CPU, "grown_mb": Unit(about="MB more at the end", better="less", digits=1)}
    about = "100 tasks × 10 watchers, 30,000 reports/s from child processes over PROGRESSHUB_FD"
    yield "children", about, flow, OURS, _from_children
    about = "1 task → 1,000 watchers, 200 reports/s"
    yield "dead", about, memory, "all read", _with_dead(0)
    yield "dead", about, memory, "100 stopped dead", _with_dead(100)


async def _from_children() -> Figures:
    async with children(100) as target:
        told = await load(target, watchers=WATCHERS, hold=REPORTING_S)
        return {"per_s": told["per_s"], "cpu_us": told["cpu_us_each"], "p50_ms": told["p50_us"] / 1000}


def _with_dead(dead: int) -> Measure:
    async def measure() -> Figures:
        async with ours(settings=())(1) as target:
            told = await load(target, watchers=WATCHERS, dead=dead, events=2_000, rate=200, in_flight=4)
            grown_mb = (told["after_kb"] - told["idle_kb"]) / 1000
            return {"p50_ms": told["p50_us"] / 1000, "cpu_us": told["cpu_us_each"], "grown_mb": grown_mb}

    return measure


def _table(name: str, about: str, units: dict[str, Unit]) -> Table:
    return Table(name=f"fanout/{name}", about=about, units=units)


def _flow(effort: Effort, *, in_flight: int, topics: int = 1, events: int = 6_000) -> Load:
    def of(one: Contestant) -> Measure:
        async def measure() -> Figures:
            async with one.start(topics) as target:
                slower = 0.2 if in_flight == 1 else 1.0
                many = effort.many(events * one.speed * slower, least=60)
                told = await load(target, watchers=WATCHERS, events=many, in_flight=in_flight)
                return _delivered(told)

        return measure

    return of


def _paced(effort: Effort, *, watchers: int, per_s: int) -> Load:
    def of(one: Contestant) -> Measure:
        async def measure() -> Figures:
            async with one.start(1) as target:
                many = effort.many(4 * per_s, least=per_s)
                told = await load(target, watchers=watchers, events=many, rate=per_s, in_flight=4)
                lag = {"p50_ms": told["p50_us"] / 1000, "p99_ms": told["p99_us"] / 1000}
                return {**_delivered(told), **lag}

        return measure

    return of


def _idle(watchers: int) -> Load:
    def of(one: Contestant) -> Measure:
        async def measure() -> Figures:
            async with one.start(100) as target:
                told = await load(target, watchers=watchers, connect_only=True)
                return {"kb_each": told["kb_each"], "connect_s": told["connect_s"]}

        return measure

    return of


def _delivered(told: Figures) -> Figures:
    if told["delivered"] < told["expected"]:
        lost = told["expected"] - told["delivered"]
        raise RuntimeError(f"{lost:,.0f} of {told['expected']:,.0f} deliveries never came")
    return {"per_s": told["per_s"], "cpu_us": told["cpu_us_each"]}
