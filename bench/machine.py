"""The machine under the measurements: its cores, its processes, what they have used, and what it is."""

from __future__ import annotations

import asyncio
import os
import platform
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

SERVER_CORE = 0
CLIENT_CORE = max(os.sched_getaffinity(0))
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
START_S = 20.0


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def cpu_s(*pids: int) -> float:
    """What these processes have used so far, all their threads together."""
    return sum(_ticks(pid) for pid in pids) / TICKS_PER_S


def _ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def family(pid: int) -> list[int]:
    """A process and all that it has started, near and far."""
    found = [pid]
    for one in found:
        for task in Path(f"/proc/{one}/task").glob("*/children"):
            found += map(int, task.read_text().split())
    return found


@asynccontextmanager
async def running(
    command: Sequence[str | Path],
    *,
    core: int | None = None,
    port: int = 0,
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process and whatever it starts, on one core if that is asked for, until the end of the block."""
    pinned = command if core is None else ["taskset", "-c", str(core), *command]
    process = await asyncio.create_subprocess_exec(
        *pinned,
        stdout=asyncio.subprocess.PIPE,
        stderr=subprocess.DEVNULL if not os.environ.get("BENCH_SHOWS") else None,
        env={**os.environ, **(environment or {})},
        cwd=cwd,
        start_new_session=True,
    )
    try:
        if port:
            await answers(port, process)
        yield process
    finally:
        await _end(process)


async def answers(port: int, process: asyncio.subprocess.Process | None = None) -> None:
    """Wait until somebody listens there."""
    try:
        async with asyncio.timeout(START_S):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except OSError:
                    if process is not None and process.returncode is not None:
                        raise RuntimeError(f"it ended with {process.returncode}") from None
                    await asyncio.sleep(0.05)
                else:
                    writer.close()
                    return
    except TimeoutError:
        raise RuntimeError("it did not start") from None


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
    try:
        async with asyncio.timeout(10):
            await process.wait()
    except TimeoutError:
        pass
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    await process.wait()


def description() -> dict[str, str | int]:
    """What the figures were made on."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    memory_kb = int(Path("/proc/meminfo").read_text().split()[1])
    return {
        "processor": model,
        "cores": len(os.sched_getaffinity(0)),
        "memory_mb": memory_kb // 1024,
        "kernel": platform.release(),
        "python": platform.python_version(),
    }
