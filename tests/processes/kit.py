"""What tests of processes share: jobs to run, what was heard of them, and the end of processes."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from progresshub.kinds import Call, Launch, Outcome, Spawn
from progresshub.processes import proc
from progresshub.processes.runner import Job, Runner, Stop
from progresshub.protocol import Report

PATIENCE_S = 30.0
_numbers = count(1)


@dataclass
class Work:
    """A job and everything that was heard of it."""

    root: Path
    task_id: str = ""
    attempt: int = 1
    timeout_s: float | None = None
    stop: Stop = field(default_factory=Stop)
    heard: list[Report] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.task_id = self.task_id or f"task-{next(_numbers)}"
        self._waiting: list[tuple[Callable[[Report], bool], asyncio.Future[Report]]] = []

    @property
    def job(self) -> Job:
        return Job(
            task_id=self.task_id,
            attempt=self.attempt,
            directory=self.directory,
            log=self.root / f"{self.task_id}.log",
            timeout_s=self.timeout_s,
            on_report=self._hear,
            stop=self.stop,
        )

    @property
    def directory(self) -> Path:
        return self.root / self.task_id

    @property
    def log(self) -> bytes:
        path = self.root / f"{self.task_id}.log"
        return path.read_bytes() if path.exists() else b""

    async def run(self, runner: Runner, launch: Launch) -> Outcome:
        async with asyncio.timeout(PATIENCE_S):
            outcome = await runner.run(launch, self.job)
        for _, said in self._waiting:
            if not said.done():
                said.set_exception(AssertionError(f"it ended before it said that: {outcome}, {self.log!r}"))
        return outcome

    async def says(self, message: str) -> Report:
        """The first report with this message, heard already or to come."""
        for report in self.heard:
            if report.message == message:
                return report
        said: asyncio.Future[Report] = asyncio.get_running_loop().create_future()
        self._waiting.append((lambda report: report.message == message, said))
        async with asyncio.timeout(PATIENCE_S):
            return await said

    def _hear(self, report: Report) -> None:
        self.heard.append(report)
        for fits, said in self._waiting:
            if fits(report) and not said.done():
                said.set_result(report)


def sh(script: str, **given: Any) -> Spawn:
    return Spawn(argv=("/bin/sh", "-c", script), **given)


def py(script: str, **given: Any) -> Spawn:
    return Spawn(argv=(sys.executable, "-c", script), **given)


def call(name: str, *, pool: str = "python", fresh: bool = False, **arguments: Any) -> Call:
    return Call(pool=pool, target=f"somebodys:{name}", arguments=arguments, fresh=fresh)


def say(message: str, metadata: str = "{}") -> str:
    """Shell that reports a message; `metadata` may use the shell's variables."""
    metadata = metadata.replace('"', '\\"')
    return f'echo "{{\\"message\\":\\"{message}\\",\\"metadata\\":{metadata}}}" >/dev/fd/$PROGRESSHUB_FD'


def lives(pid: int) -> bool:
    stat = proc.stat(pid)
    return stat is not None and not stat.dead


async def gone(pid: int) -> None:
    """Wait for the end of any process."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(pidfd, ended.set)
    try:
        async with asyncio.timeout(PATIENCE_S):
            await ended.wait()
    finally:
        loop.remove_reader(pidfd)
        os.close(pidfd)
