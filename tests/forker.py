"""A process with yt-dlp warmed up that forks a child for each job; for tests of what such a child does.

Run as a program it reads jobs from its standard input, one JSON line each, and a child writes its
reports to the shared output. A line with the pid opens a job, one with the wait status closes it.
No report is held back, so that a test can wait for each.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
TIMEOUT_S = 30.0


class Forker:
    """The test's side of it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def start(self, target: str, arguments: Mapping[str, Any], directory: Path) -> int:
        """Start a job; the pid of its child."""
        assert self._process.stdin is not None
        job = {"target": target, "arguments": arguments, "directory": str(directory)}
        self._process.stdin.write(json.dumps(job).encode() + b"\n")
        return int((await self._next())["pid"])

    async def lines(self) -> AsyncIterator[dict[str, Any]]:
        """What the child says, until it has ended."""
        while "ended" not in (line := await self._next()):
            yield line

    async def run(self, target: str, arguments: Mapping[str, Any], directory: Path) -> list[dict[str, Any]]:
        """All reports of a job; the last one is its last word."""
        await self.start(target, arguments, directory)
        return [line async for line in self.lines()]

    async def _next(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        async with asyncio.timeout(TIMEOUT_S):
            line: dict[str, Any] = json.loads(await self._process.stdout.readline())
        return line


@asynccontextmanager
async def forker() -> AsyncIterator[Forker]:
    command = [sys.executable, "-m", "tests.forker"]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdin=pipe, stdout=pipe, limit=2**22)
    try:
        yield Forker(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), TIMEOUT_S)
        finally:
            if process.returncode is None:
                process.kill()


def main() -> None:
    from progresshub.jobs.ytdlp import warm_up

    warm_up()
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            _child(json.loads(line))
        _say({"ended": os.waitpid(pid, 0)[1]})


def _child(job: Mapping[str, Any]) -> None:
    from progresshub import report
    from progresshub.jobs.functions import Context, perform

    report.GAP_S = 0.0
    status = 1
    try:
        _say({"pid": os.getpid()})
        reporter = report.Reporter(1)
        context = Context(reporter, task_id="task", attempt=1, directory=Path(job["directory"]))
        reporter.end(perform(job["target"], job["arguments"], context))
        status = 0
    finally:
        os._exit(status)


def _say(fields: Mapping[str, Any]) -> None:
    os.write(1, json.dumps(fields).encode() + b"\n")


if __name__ == "__main__":
    main()
