"""What a client is told has reached the disk before: the order of the system calls shows it.

Killing a server proves nothing here, as the kernel still writes what a dead process left to it.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.faults.shop import Shop
from tests.serving import Client, Process, client, process
from tests.wait import PATIENCE_S

CALLS = "recvfrom,pwrite64,fdatasync,fsync,sendto,sendmsg,write,writev"
EXTERNAL = {"type": "external", "payload": {}}
LATER = {"type": "demo", "payload": {}, "process_at": "2999-01-01T00:00:00Z"}

Asking = Callable[[Client, str], Awaitable[Any]]

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="there is no strace to look at the disk with")


@pytest.mark.parametrize(
    ("task", "ask"),
    [
        (EXTERNAL, lambda speaker, task_id: speaker.post("/api/v1/tasks", EXTERNAL, 201)),
        (EXTERNAL, lambda speaker, task_id: speaker.post("/api/v1/tasks/batch", {"tasks": [EXTERNAL] * 20}, 201)),
        (EXTERNAL, lambda speaker, task_id: speaker.report(task_id, status="done")),
        (EXTERNAL, lambda speaker, task_id: speaker.post(f"/api/v1/tasks/{task_id}/cancel")),
        (LATER, lambda speaker, task_id: speaker.ask("DELETE", f"/api/v1/tasks/{task_id}")),
    ],
    ids=["a task", "a batch", "an end", "a cancel", "a deletion"],
)
async def test_the_log_is_synced_before_the_answer_is_sent(shop: Shop, task: dict[str, Any], ask: Asking) -> None:
    async with process(shop.data, "store.write_behind_ms=60000") as server, client(server.url) as speaker:
        task_id = (await speaker.post("/api/v1/tasks", task, 201))["task_id"]
        async with traced(server, shop.root / "calls") as calls:
            await ask(speaker, task_id)

    order = [word for line in calls() if (word := _meaning(line))]
    asked, answered = order.index("asked"), order.index("answered")
    between = order[asked:answered]
    assert "written" in between, order
    assert "synced" in between[between.index("written") :], order


@asynccontextmanager
async def traced(server: Process, path: Path) -> AsyncIterator[Callable[[], list[str]]]:
    """Write down the server's system calls; each call of the result gives those that have returned or begun."""
    argv = ("strace", "-f", "-y", "-s", "64", "-e", f"trace={CALLS}", "-o", str(path), "-p", str(server.process.pid))
    strace = await asyncio.create_subprocess_exec(*argv, stderr=asyncio.subprocess.PIPE)
    try:
        assert strace.stderr is not None
        async with asyncio.timeout(PATIENCE_S):
            said = (await strace.stderr.readline()).decode()
        if "attached" not in said:
            pytest.skip(f"strace may not look at the server: {said.strip()}")
        yield lambda: path.read_text().splitlines()
    finally:
        if strace.returncode is None:
            strace.terminate()
        await strace.communicate()


def _meaning(line: str) -> str:
    """What a line says, if it matters. An end of a sync counts where it returned, an answer where it was begun."""
    if "recvfrom" in line and '"HTTP' not in line and " /api/v1/tasks" in line:
        return "asked"
    if "-wal>" in line and "pwrite64(" in line:
        return "written"
    if ("fdatasync" in line or "fsync" in line) and line.endswith("= 0"):
        return "synced"
    return "answered" if '"HTTP/1.1 2' in line and "recvfrom" not in line else ""
