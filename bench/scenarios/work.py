"""Work: submits that must not be lost, tasks that do nothing, and programs that do nothing, end to end.

Ours is asked over HTTP and every answer waits for the disk; a peer is asked through its own library,
from its own process. Nobody is pinned: workers and clients share all cores.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import statistics
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench import limits
from bench.contest import OURS, Figures, Measure, Table, Unit, contest
from bench.contestants import PEERS, Target
from bench.effort import Effort
from bench.environment import NODE_MODULES, PYTHON, installed, program
from bench.hub import Hub, hub
from bench.load import load
from bench.machine import cpu_s, family
from bench.services import postgres, redis

LONGEST_S = 180.0
IN_FLIGHT = 32
LATENCIES = 40
SLOTS = 32
COMMITS = "SQLite alone (limit)"
SPAWNS = "subprocess alone (limit)"
UNITS = {
    "one_per_s": Unit(about="submits/s one by one"),
    "flight_per_s": Unit(about="32 in flight"),
    "bulk_per_s": Unit(about="many at once"),
    "done_per_s": Unit(about="no-op tasks done/s"),
    "latency_ms": Unit(about="one task, p50 ms", better="less", digits=1),
    "submit_cpu_us": Unit(about="server µs a submit", better="less"),
    "bulk_cpu_us": Unit(about="server µs a task at once", better="less"),
    "done_cpu_us": Unit(about="server µs a no-op", better="less"),
}
PROGRAMS = {
    "done_per_s": Unit(about="/bin/true done/s"),
    "latency_ms": Unit(about="one, p50 ms", better="less", digits=1),
    "done_cpu_us": Unit(about="server µs each", better="less"),
}
CHORES = """
from progresshub import task

@task
def nothing() -> None:
    return None
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """`keeps` says what survives a power cut; `store` gives the address its environment names as `variable`."""

    command: tuple[str | Path, ...]
    keeps: str
    missing: str
    store: Callable[[], AbstractAsyncContextManager[str]] = lambda: nullcontext("")
    variable: str = "REDIS_URL"


async def run(effort: Effort) -> list[Table]:
    table = Table(name="work", about="Submits and no-op tasks, end to end", units=UNITS)
    table.notes[OURS] = f"safe; over HTTP, {SLOTS} slots"
    measures: dict[str, Measure] = {OURS: lambda: _ours(effort), COMMITS: lambda: asyncio.to_thread(limits.commits)}
    for name, peer in (await _peers()).items() if effort.peers else ():
        table.notes[name] = peer.missing or peer.keeps
        if not peer.missing:
            measures[name] = _measured(peer, effort)
    programs = Table(name="work/programs", about="`/bin/true` as a command task, end to end", units=PROGRAMS)
    bare: dict[str, Measure] = {OURS: lambda: _programs(effort), SPAWNS: lambda: asyncio.to_thread(limits.programs)}
    return [
        await contest(table, measures, effort.rounds, effort.tell),
        await contest(programs, bare, effort.rounds, effort.tell),
    ]


async def _peers() -> dict[str, Peer]:
    node, bullmq = program("node"), (NODE_MODULES / "node_modules" / "bullmq").is_dir()
    no_node = "" if node and bullmq else "node or bullmq is not installed"
    safe, unsafe = "safe", "not safe"
    js: tuple[str, ...] = (node or "node", "work_bullmq.js")
    no_redis = "" if program("redis-server") else "redis-server is not installed"
    no_postgres = "" if program("initdb") else "postgresql is not installed"
    kept: dict[str, Any] = {"store": postgres, "variable": "QUEUE_URL", "keeps": safe}
    quick: dict[str, Any] = {"store": lambda: redis(safe=False), "keeps": unsafe}
    durable: dict[str, Any] = {"store": lambda: redis(safe=True), "keeps": safe}
    return {
        "Huey, SQLite FULL": Peer(command=await _python("huey"), keeps=safe, missing=await _lacks("huey")),
        "SAQ, PostgreSQL": Peer(command=await _python("saq"), missing=no_postgres or await _lacks("saq"), **kept),
        "Procrastinate": Peer(
            command=await _python("procrastinate"), missing=no_postgres or await _lacks("procrastinate"), **kept
        ),
        "BullMQ, fsync always": Peer(command=js, missing=no_redis or no_node, **durable),
        "BullMQ": Peer(command=js, missing=no_redis or no_node, **quick),
        "SAQ, Redis": Peer(
            command=await _python("saq"),
            missing=no_redis or await _lacks("saq"),
            **{**quick, "variable": "QUEUE_URL"},
        ),
        **{
            name: Peer(command=await _python(module), missing=no_redis or await _lacks(module), **quick)
            for name, module in (("RQ", "rq"), ("arq", "arq"), ("Celery", "celery"), ("Dramatiq", "dramatiq"))
        },
    }


async def _python(module: str) -> tuple[str | Path, ...]:
    return (PYTHON, f"work_{module}.py")


async def _lacks(module: str) -> str:
    return "" if await installed(module) else f"the Python package {module} is not installed"


def _measured(peer: Peer, effort: Effort) -> Measure:
    async def measure() -> Figures:
        with TemporaryDirectory(prefix="bench-work-") as folder:
            async with peer.store() as address:
                environment = {
                    **os.environ,
                    "BENCH_FOLDER": folder,
                    "NODE_PATH": str(NODE_MODULES / "node_modules"),
                    "PYTHONPATH": str(PEERS),
                    peer.variable: address,
                }
                return await _told(peer, effort.many(4_000, least=400), environment)

    return measure


async def _told(peer: Peer, many: int, environment: dict[str, str]) -> Figures:
    process = await asyncio.create_subprocess_exec(
        *peer.command,
        str(many),
        stdout=asyncio.subprocess.PIPE,
        stderr=None if os.environ.get("BENCH_SHOWS") else asyncio.subprocess.DEVNULL,
        env=environment,
        cwd=PEERS,
    )
    try:
        async with asyncio.timeout(LONGEST_S):
            told, _ = await process.communicate()
    finally:
        if process.returncode is None:
            for pid in family(process.pid):
                os.kill(pid, signal.SIGKILL)
    if process.returncode or not told:
        raise RuntimeError(f"it ended with {process.returncode}")
    figures: Figures = json.loads(told.splitlines()[-1])
    return figures


async def _ours(effort: Effort) -> Figures:
    many = effort.many(4_000, least=400)
    async with _paused() as server:
        figures = {
            **await _submits(server, many // 4, "one", in_flight=1),
            **await _submits(server, many, "flight", in_flight=IN_FLIGHT),
            **await _bulk(server),
        }
    async with working() as server:
        await server.done("nothing", {}, SLOTS * 4)
        done = await server.done("nothing", {}, many)
        return {**figures, **done, "latency_ms": await _latency_ms(server, "nothing", {})}


async def _programs(effort: Effort) -> Figures:
    async with working() as server:
        payload = {"name": "true"}
        await server.done("command", payload, 50)
        done = await server.done("command", payload, effort.many(2_000, least=200))
        return {**done, "latency_ms": await _latency_ms(server, "command", payload)}


def _paused() -> AbstractAsyncContextManager[Hub]:
    return hub("queues.default.paused=true")


@asynccontextmanager
async def working(slots: int = SLOTS) -> AsyncIterator[Hub]:
    """A server with a function that does nothing and a command that does nothing, and its workers warm."""
    with TemporaryDirectory(prefix="bench-chores-") as folder:
        Path(folder, "chores.py").write_text(CHORES)
        python = (f'python.path=["{folder}"]', 'python.modules=["chores"]')
        room = (f"scheduler.slots={slots}", f"warm.idle_workers={slots}")
        async with hub(*python, *room, 'commands.true.argv=["/bin/true"]', warm=("python",)) as server:
            yield server


async def _submits(server: Hub, many: int, name: str, *, in_flight: int) -> Figures:
    target = Target(
        port=server.port, pid=server.pid, topics=[("-", "/api/v1/tasks")], body='{"type":"demo","payload":{}}'
    )
    told = await load(target, watchers=0, events=many, in_flight=in_flight)
    return {f"{name}_per_s": told["answers_per_s"], "submit_cpu_us": 1e6 * told["cpu_s"] / many}


async def _bulk(server: Hub) -> Figures:
    body = {"tasks": [{"type": "demo", "payload": {}}] * 10_000}
    before_s, begun_s = cpu_s(server.pid), time.perf_counter()
    await server.post("/api/v1/tasks/batch", body)
    took_s = time.perf_counter() - begun_s
    return {"bulk_per_s": 10_000 / took_s, "bulk_cpu_us": 100 * (cpu_s(server.pid) - before_s)}


async def _latency_ms(server: Hub, kind: str, payload: Any) -> float:
    took_s = []
    async with server.client.get(f"{server.url}/api/v1/events/stream", params={"state": "completed"}) as stream:
        await stream.content.readuntil(b"\n\n")
        for _ in range(LATENCIES):
            await asyncio.sleep(0.02)
            begun_s = time.perf_counter()
            await server.submit(kind, payload)
            while await stream.content.readline() != b"event: completed\n":
                continue
            took_s.append(time.perf_counter() - begun_s)
    return 1000 * statistics.median(took_s)
