"""What some peers keep their work in: a Redis and a PostgreSQL of our own, on free ports, with empty folders."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.environment import program
from bench.machine import free_port, running

NOBODYS_USER = "postgres"
"""PostgreSQL refuses to be run by root."""


@asynccontextmanager
async def redis(*, safe: bool) -> AsyncIterator[str]:
    """Its address. `safe` writes each change to disk before it is answered; else as it comes: a snapshot at times."""
    port = free_port()
    with TemporaryDirectory(prefix="bench-redis-") as folder:
        kept = ("--appendonly", "yes", "--appendfsync", "always") if safe else ()
        command = [program("redis-server") or "redis-server", "--port", str(port), "--dir", folder, *kept]
        async with running(command, port=port):
            yield f"redis://127.0.0.1:{port}/0"


@asynccontextmanager
async def postgres() -> AsyncIterator[str]:
    """Its address; settings as they come, so every commit is on disk."""
    port = free_port()
    with TemporaryDirectory(prefix="bench-postgres-") as folder:
        data = Path(folder, "data")
        as_user = _as_somebody(Path(folder))
        await _run(*as_user, program("initdb") or "initdb", "-D", str(data), "-U", "bench", "--auth=trust")
        options = ("-p", str(port), "-k", folder, "-c", "listen_addresses=127.0.0.1")
        async with running([*as_user, program("postgres") or "postgres", "-D", str(data), *options], port=port):
            await asyncio.sleep(1)  # it listens before it answers
            yield f"postgresql://bench@127.0.0.1:{port}/postgres"


def _as_somebody(folder: Path) -> list[str]:
    if os.geteuid():
        return []
    shutil.chown(folder, NOBODYS_USER)
    return ["setpriv", f"--reuid={NOBODYS_USER}", f"--regid={NOBODYS_USER}", "--clear-groups", "--"]


async def _run(*command: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    told, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(told.decode(errors="replace")[-300:])
