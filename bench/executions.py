"""What pipelines cost: `python -m bench.executions [--executions N] [--steps N] [--watchers N] [--reports N]`.

N executions of some steps that do nothing, from the first request to the last end, beside as many
single tasks of the same kind; and one execution's progress to many watchers, over WebSocket and SSE.
Everything runs on the loopback of this machine.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from bench.spine import server, session

IN_FLIGHT = 32
NOTHING = {"count": 0, "delay_ms": 0}


async def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--executions", type=int, default=1_000)
    arguments.add_argument("--steps", type=int, default=5)
    arguments.add_argument("--watchers", type=int, default=1_000)
    arguments.add_argument("--reports", type=int, default=300)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="progresshub-bench-") as scratch:
        async with server(Path(scratch, "data")) as url, session() as client:
            await asyncio.sleep(3)  # the warm pools start behind the server
            steps = [{"name": f"step{n}", "type": "demo", "payload": NOTHING} for n in range(given.steps)]
            pipeline = {"type": "pipeline", "target_id": "inline", "inputs": {}, "config": {"steps": steps}}
            single = {"type": "agent", "target_id": "demo", "inputs": NOTHING}
            pid = orjson.loads(Path(scratch, "data", "server.json").read_bytes())["pid"]
            await run_many(client, url, f"{given.steps} steps", pipeline, many=given.executions, pid=pid)
            await run_many(client, url, "a single task", single, many=given.executions, pid=pid)
        async with server(Path(scratch, "data")) as url, watchers_session() as client:
            await watch(client, url, given.watchers, given.reports)


def watchers_session() -> aiohttp.ClientSession:
    timeout = aiohttp.ClientTimeout(total=None)
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout)


async def run_many(
    client: aiohttp.ClientSession, url: str, name: str, body: dict[str, Any], *, many: int, pid: int
) -> None:
    """Submit them with some in flight, and wait for the end of the last."""
    begun_s, busy_s = time.perf_counter(), cpu_s(pid)
    async with client.get(f"{url}/api/v1/events/stream", params={"state": "completed"}) as stream:
        ends = asyncio.create_task(count_ends(stream, many))
        room = asyncio.Semaphore(IN_FLIGHT)

        async def submit() -> None:
            async with room, client.post(f"{url}/api/v1/executions", json=body) as response:
                assert response.status == 202, await response.text()
                await response.read()

        await asyncio.gather(*(submit() for _ in range(many)))
        accepted_s = time.perf_counter() - begun_s
        await ends
    took_s = time.perf_counter() - begun_s
    cpu_ms = 1000 * (cpu_s(pid) - busy_s) / many
    print(
        f"{many} executions of {name}: accepted in {accepted_s:.2f} s, all done in {took_s:.2f} s:"
        f" {many / took_s:.0f}/s, {1000 * took_s / many:.2f} ms each, {cpu_ms:.2f} ms of the server's CPU each"
    )


async def count_ends(stream: aiohttp.ClientResponse, many: int) -> None:
    while many:
        line = await stream.content.readline()
        many -= line == b"event: completed\n"


def cpu_s(pid: int) -> float:
    """What the server process itself has used, its children aside."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


async def watch(client: aiohttp.ClientSession, url: str, watchers: int, reports: int) -> None:
    """The same reports, to watchers over WebSocket and then over SSE."""
    for name, watching in (("WebSocket", over_websocket), ("SSE", over_sse)):
        async with client.post(f"{url}/api/v1/tasks", json={"type": "external", "payload": {}}) as response:
            task_id = (await response.json())["task_id"]
        async with AsyncExitStack() as stack:
            streams = [await stack.enter_async_context(watching(client, url, task_id)) for _ in range(watchers)]
            heard = asyncio.gather(*streams)
            begun_s = time.perf_counter()
            for n in range(reports):
                await report(client, url, task_id, {"percent": 100 * n / reports, "message": f"report {n}"})
            await report(client, url, task_id, {"status": "done"})
            deliveries = sum(await heard)
            took_s = time.perf_counter() - begun_s
        rate = deliveries / took_s
        print(f"{watchers} watchers over {name}: {deliveries:,} deliveries in {took_s:.2f} s: {rate:,.0f}/s")


async def report(client: aiohttp.ClientSession, url: str, task_id: str, body: dict[str, Any]) -> None:
    async with client.post(f"{url}/api/v1/tasks/{task_id}/progress", json=body) as response:
        await response.read()


@asynccontextmanager
async def over_websocket(client: aiohttp.ClientSession, url: str, task_id: str) -> AsyncIterator[Any]:
    async with client.ws_connect(f"{url}/api/v1/executions/{task_id}/progress/ws", compress=0) as socket:
        await socket.receive()

        async def count() -> int:
            return len([message async for message in socket])

        yield count()


@asynccontextmanager
async def over_sse(client: aiohttp.ClientSession, url: str, task_id: str) -> AsyncIterator[Any]:
    async with client.get(f"{url}/api/v1/tasks/{task_id}/progress/stream") as stream:

        async def count() -> int:
            data = await stream.read()
            return data.count(b"event: progress\n")

        yield count()


if __name__ == "__main__":
    asyncio.run(main())
