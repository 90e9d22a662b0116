"""The real server as a contestant: started from the command line, asked over HTTP like everybody's."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from bench.environment import ROOT
from bench.machine import cpu_s, running

LONGEST_S = 180.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Hub:
    """A server that runs. `pid` is of its one process; its children are others."""

    url: str
    pid: int
    data: Path
    client: aiohttp.ClientSession

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or 0

    async def post(self, path: str, body: Any) -> Any:
        async with self.client.post(self.url + path, json=body) as response:
            if response.status >= 300:
                raise RuntimeError(f"{path}: {response.status} {await response.text()}")
            return await response.json()

    async def get(self, path: str) -> Any:
        async with self.client.get(self.url + path) as response:
            response.raise_for_status()
            return await response.json()

    async def done(self, kind: str, payload: Any, many: int) -> dict[str, float]:
        """So many tasks from one batch's submit to the last end, as its events tell it."""
        async with self.client.get(f"{self.url}/api/v1/events/stream", params={"state": "completed"}) as stream:
            await stream.content.readuntil(b"\n\n")
            before_s, begun_s = cpu_s(self.pid), time.perf_counter()
            await self.post("/api/v1/tasks/batch", {"tasks": [{"type": kind, "payload": payload}] * many})
            left = many
            async with asyncio.timeout(LONGEST_S):
                while left:
                    left -= await stream.content.readline() == b"event: completed\n"
            took_s = time.perf_counter() - begun_s
        return {"done_per_s": many / took_s, "done_cpu_us": 1e6 * (cpu_s(self.pid) - before_s) / many}

    async def submit(self, kind: str, payload: Any, **more: Any) -> str:
        """Submit one task; returns its id."""
        task = await self.post("/api/v1/tasks", {"type": kind, "payload": payload, **more})
        return str(task["task_id"])


@asynccontextmanager
async def hub(
    *settings: str, core: int | None = None, warm: Sequence[str] = (), data: Path | None = None
) -> AsyncIterator[Hub]:
    """Serve from an empty folder, or that one, until the end of the block. `warm` names kinds that must be ready."""
    with tempfile.TemporaryDirectory(prefix="progresshub-bench-") as scratch:
        folder = data or Path(scratch, "data")
        words = [
            word for setting in (f"warm.ahead={str(bool(warm)).lower()}", *settings) for word in ("--set", setting)
        ]
        command = [sys.executable, "-m", "progresshub", "serve", "--port", "0", "--data-dir", str(folder), *words]
        async with running(command, core=core, environment={"PYTHONPATH": str(ROOT)}) as process:
            assert process.stdout is not None
            line = (await asyncio.wait_for(process.stdout.readline(), 30)).decode()
            url = next((word for word in line.split() if word.startswith("http://")), None)
            if url is None:
                raise RuntimeError("it did not start")
            timeout = aiohttp.ClientTimeout(total=None)
            async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as client:
                yield Hub(url=url, pid=process.pid, data=folder, client=client)
