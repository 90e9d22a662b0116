"""Polling: a running task's progress, asked for by 64 keep-alive connections of wrk, one server on one core."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.contest import OURS, Figures, Measure, Table, Unit, contest
from bench.contestants import PEERS, uvicorn
from bench.effort import Effort
from bench.environment import PYTHON, installed, program
from bench.hub import hub
from bench.machine import CLIENT_CORE, SERVER_CORE, cpu_s, free_port, running

CONNECTIONS = 64
UNITS = {
    "per_s": Unit(about="answers/s"),
    "cpu_us": Unit(about="server µs each", better="less", digits=1),
    "p50_ms": Unit(about="p50 ms", better="less", digits=2),
}
SAID = {
    "current": 42_000_000,
    "total": 100_000_000,
    "unit": "bytes",
    "stage": "downloading",
    "message": "a film of some length, and it takes a while",
    "speed_bps": 1_234_567,
    "eta_s": 46.9,
}
_RATE = re.compile(r"Requests/sec:\s+([\d.]+)")
_COUNT = re.compile(r"(\d+) requests in")
_HALF = re.compile(r"50%\s+([\d.]+)(us|ms|s)")
_BAD = re.compile(r"Non-2xx or 3xx responses: (\d+)")
_MS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Polled:
    url: str
    pid: int


Start = Callable[[], AbstractAsyncContextManager[Polled]]


async def run(effort: Effort) -> list[Table]:
    table = Table(name="polling", about="A task's progress, polled by 64 connections", units=UNITS)
    if program("wrk") is None:
        table.notes[OURS] = "wrk is not installed"
        return [table]
    measures = {OURS: _measure(_ours, effort), "progresshub, a download's summary": _measure(_ours_summary, effort)}
    peers: dict[str, tuple[str, Start]] = {
        "aiohttp": ("aiohttp", _peer(PYTHON, "polling_aiohttp.py", "@PORT@")),
        "starlette": ("uvicorn", _peer(*uvicorn("polling_starlette"))),
        "fastapi": ("fastapi", _peer(*uvicorn("polling_fastapi"))),
    }
    for name, (module, start) in peers.items() if effort.peers else ():
        if await installed(module):
            measures[name] = _measure(start, effort)
        else:
            table.notes[name] = f"the Python package {module} is not installed"
    return [await contest(table, measures, effort.rounds, effort.tell)]


def _measure(start: Start, effort: Effort) -> Measure:
    async def measure() -> Figures:
        async with start() as polled:
            await _wrk(polled.url, 1)
            before_s = cpu_s(polled.pid)
            told = await _wrk(polled.url, effort.many(8, least=2))
            used_s = cpu_s(polled.pid) - before_s
        count, half = _COUNT.search(told), _HALF.search(told)
        rate = _RATE.search(told)
        if rate is None or count is None or half is None or _BAD.search(told):
            raise RuntimeError(f"wrk says {told[-200:]}")
        p50_ms = float(half[1]) * _MS[half[2]]
        return {"per_s": float(rate[1]), "cpu_us": 1e6 * used_s / int(count[1]), "p50_ms": p50_ms}

    return measure


async def _wrk(url: str, seconds: int) -> str:
    words = ("wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", url)
    process = await asyncio.create_subprocess_exec(
        "taskset", "-c", str(CLIENT_CORE), *words, stdout=asyncio.subprocess.PIPE
    )
    told, _ = await process.communicate()
    return told.decode()


@asynccontextmanager
async def _ours(path: str = "/api/v1/tasks/{}/progress") -> AsyncIterator[Polled]:
    async with hub(core=SERVER_CORE) as server:
        task_id = await server.submit("external", {})
        await server.post(f"/api/v1/tasks/{task_id}/progress", SAID)
        yield Polled(url=server.url + path.format(task_id), pid=server.pid)


def _ours_summary() -> AbstractAsyncContextManager[Polled]:
    return _ours("/api/progress/tasks/{}/summary")


def _peer(*command: str | Path) -> Start:
    @asynccontextmanager
    async def start() -> AsyncIterator[Polled]:
        port = free_port()
        words = [str(word).replace("@PORT@", str(port)) for word in command]
        async with running(words, core=SERVER_CORE, port=port, cwd=PEERS) as process:
            yield Polled(
                url=f"http://127.0.0.1:{port}/tasks/0d1f2c64-5a7e-4a53-9f4e-2f4ad1b0a9c1/progress", pid=process.pid
            )

    return start
