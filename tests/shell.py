"""The command line in a process of its own, with its output in pipes."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple

from tests.wait import PATIENCE_S


class Said(NamedTuple):
    """The exit code, the output and what was said besides."""

    code: int
    out: str
    err: str


class Started:
    """One that goes on while the test does."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def line(self) -> str:
        """The next line of its output; empty at the end of it."""
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            return (await self.process.stdout.readline()).decode().rstrip("\n")

    async def rest(self) -> list[str]:
        """The lines that still come, until it has ended."""
        lines = []
        while line := await self.line():
            lines.append(line)
        return lines


async def run(*words: str, **environment: str) -> Said:
    """`python -m progresshub` with these words."""
    async with started(*words, **environment) as running, asyncio.timeout(3 * PATIENCE_S):
        out, err = await running.process.communicate()
    return Said(running.process.returncode or 0, out.decode(errors="replace"), err.decode(errors="replace"))


@asynccontextmanager
async def started(*words: str, **environment: str) -> AsyncIterator[Started]:
    """The same, killed at the end if it still runs."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PROGRESSHUB_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "progresshub",
        *words,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**inherited, **environment},
        start_new_session=True,
    )
    try:
        yield Started(process)
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # with whatever it has started, which would keep our pipes open
        await process.wait()
