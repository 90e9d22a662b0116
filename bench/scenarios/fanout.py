"""Fan-out: events of running tasks to those who watch, over SSE and WebSocket, one server on one core.

The publisher and all watchers are one C program on the other core. A figure of CPU is the server
process's own, which a busy machine disturbs less than the time it took.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from bench.contest import Figures, Measure, Table, Unit, contest
from bench.contestants import Contestant, contestants
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
    return tables


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
