"""Runs jobs: each is a process, or a call in a warm one, from its start until nothing of it lives.

Only the runner starts processes. What goes wrong with a job is its outcome; `run` raises nothing
but the cancellation of its caller, and leaves no process behind then either.
"""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from progresshub.errors import StartupError
from progresshub.kinds import Await, Call, Launch, Outcome, Plan, Planning, Spawn
from progresshub.model import Failure
from progresshub.processes import proc, program
from progresshub.processes.attempt import CANCELLED, Attempt, CalledOff
from progresshub.processes.channel import Channel
from progresshub.processes.child import Child
from progresshub.processes.directory import Removals, made
from progresshub.processes.family import Family
from progresshub.processes.forks import REPORT_BYTES, Setup, Worker
from progresshub.processes.guard import Guard
from progresshub.processes.job import Job, Stop
from progresshub.processes.outcome import of_call, of_program
from progresshub.processes.plan import perform, perform_planned
from progresshub.processes.warm import Pool, PoolFailed
from progresshub.settings import Runner as RunnerSettings
from progresshub.settings import Warm as WarmSettings

__all__ = ["Job", "Runner", "RunnerSettings", "Setup", "Stop", "WarmSettings"]

TIDY_S = 5.0
DESCRIBE_S = 120.0


class Runner:
    """`url` is where children find the server; `pools` says what the Python pools import."""

    def __init__(
        self,
        settings: RunnerSettings,
        warm: WarmSettings,
        *,
        url: str = "",
        pools: Mapping[str, Setup] | None = None,
    ) -> None:
        self._settings = settings
        self._warm = warm
        self._setups = dict(pools or {})
        self._pools: dict[str, Pool] = {}
        self._short = program.ShortNumber()
        self._mark = str(uuid.uuid4())
        self._family = Family(self._mark, self._settle)
        self._passed_on = program.environment(settings, os.environ)
        self._own = {"PROGRESSHUB_SERVER": self._mark, **({"PROGRESSHUB_URL": url} if url else {})}
        self._removals = Removals()
        self._guard: Guard | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Become responsible for all descendants, for as long as this process lives and beyond."""
        proc.become_subreaper()
        self._guard = Guard(self._mark, self._passed_on, self._family)
        self._tidy()

    async def warm(self, pool: str, setup: Setup | None = None) -> None:
        """Have a pool ready before it is needed; StartupError says why it can't be."""
        if setup is not None:
            self._setups[pool] = setup
        if not self._warm.enabled:
            return
        try:
            await self._pool(pool).start()
        except PoolFailed as error:
            raise StartupError(reason=error.message) from None

    def renew(self, pool: str, setup: Setup) -> None:
        """Have a pool import something else from now on."""
        self._setups[pool] = setup
        if pool in self._pools:
            self._pools[pool].renew(setup)

    async def run(self, launch: Launch, job: Job) -> Outcome:
        """Do the job and say how it ended; nothing of it lives then."""
        if job.stop.requested:
            return CANCELLED
        match launch:
            case Spawn():
                return await self._run_program(launch, job)
            case Call():
                return await self._run_call(launch, job)
            case Plan():
                return await perform(self.run, launch, job)
            case Planning():
                return await perform_planned(self.run, launch, job)
            case Await():
                raise ValueError("there is nothing to run for a task that others work on")

    async def describe(self, pool: str) -> list[dict[str, Any]]:
        """What the functions registered in a pool's modules say of themselves; StartupError if they can't."""
        nowhere = Path(os.devnull)
        job = Job(
            task_id="describe",
            attempt=1,
            directory=nowhere,
            log=nowhere,
            timeout_s=DESCRIBE_S,
            on_report=lambda report: None,
            stop=Stop(),
        )
        outcome = await self.run(Call(pool=pool, target="progresshub.jobs.functions:describe", fresh=True), job)
        if outcome.failure is not None:
            raise StartupError(reason=outcome.failure.message)
        described: list[dict[str, Any]] = outcome.result
        return described

    async def close(self) -> None:
        """End the warm processes and whatever else is left; no job may be running."""
        if self._timer is not None:
            self._timer.cancel()
        for pool in self._pools.values():
            pool.close()
        self._pools.clear()
        if self._guard is not None:
            self._guard.close()
            self._guard = None
        await self._family.close()
        await self._removals.close()
        self._short.close()

    async def _run_program(self, launch: Spawn, job: Job) -> Outcome:
        new = False
        with Attempt(job, self._settings, launch.reader and launch.reader()) as attempt:
            await self._removals.over(job.directory)
            try:
                new = launch.cwd is None and made(job.directory)
                child, output, reports = self._start_program(launch, job)
            except (OSError, ValueError) as error:
                return program.refused(launch.argv, error)
            await self._follow(attempt, child, output, reports)
        if new:
            self._removals.begin(job.directory)
        return attempt.called_off() or of_program(attempt.verdict, child.exit_code or 0)

    def _start_program(self, launch: Spawn, job: Job) -> tuple[Child, Channel, Channel]:
        variables = {**self._passed_on, **launch.env, **self._own, **job.variables}
        started = program.start(launch.argv, launch.cwd or job.directory, variables, self._short)
        try:
            child = self._family.adopt(started.pid, job.name)
        except OSError:
            program.close_all((started.output_fd, started.report_fd))
            raise
        program.limit(child.pid, self._settings)
        return child, Channel(started.output_fd), Channel(started.report_fd, REPORT_BYTES)

    async def _run_call(self, launch: Call, job: Job) -> Outcome:
        with self._lent_pool(launch.pool) as pool, Attempt(job, self._settings) as attempt:
            try:
                worker = await self._worker(pool, launch, attempt)
            except CalledOff:
                return attempt.called_off() or CANCELLED
            except PoolFailed as error:
                return Outcome(status="failed", failure=Failure(type="pool", message=error.message))
            worker.child.job = job.name
            worker.served += 1
            worker.reports.send(_line(launch, job, last=launch.fresh or self._used_up(worker)))
            try:
                await self._follow(attempt, worker.child, worker.output, worker.reports)
            finally:
                if attempt.kept:
                    pool.give_back(worker)
            complete = bool(attempt.lines.mark)
            return attempt.called_off() or of_call(attempt.verdict, worker.child.exit_code, complete=complete)

    async def _follow(self, attempt: Attempt, child: Child, output: Channel, reports: Channel) -> None:
        """Until nothing lives of the process and what it started, or a worker is free again."""
        attempt.attach(child, output, reports)
        try:
            await attempt.over
        finally:
            if not attempt.kept:
                try:
                    await self._family.clear(child)
                finally:
                    for channel in (output, reports):
                        channel.drain()
                        channel.close()

    async def _worker(self, pool: Pool, launch: Call, attempt: Attempt) -> Worker:
        wanted = pool.want(fresh=launch.fresh)
        attempt.awaits(wanted)
        try:
            return await wanted
        except asyncio.CancelledError:
            if not wanted.cancelled() and wanted.exception() is None:
                pool.give_back(wanted.result())
            raise

    def _used_up(self, worker: Worker) -> bool:
        return not self._warm.enabled or worker.served >= self._warm.tasks_per_worker

    def _pool(self, name: str) -> Pool:
        if name not in self._pools:
            self._pools[name] = self._new_pool(name)
        return self._pools[name]

    def _new_pool(self, name: str) -> Pool:
        setup = self._setups.get(name, Setup())
        return Pool(
            name,
            setup,
            settings=self._warm,
            variables={**self._passed_on, **self._own},
            family=self._family,
            limit=self._limit,
        )

    @contextmanager
    def _lent_pool(self, name: str) -> Iterator[Pool]:
        """The pool of that name; where none is kept warm, one for this call alone."""
        if self._warm.enabled:
            yield self._pool(name)
            return
        key = f"{name} {uuid.uuid4()}"
        pool = self._pools[key] = self._new_pool(name)
        try:
            yield pool
        finally:
            del self._pools[key]
            pool.close()

    def _limit(self, pid: int) -> None:
        program.limit(pid, self._settings)

    def _settle(self) -> None:
        for pool in self._pools.values():
            pool.hear()

    def _tidy(self) -> None:
        self._family.tidy()
        self._timer = asyncio.get_running_loop().call_later(TIDY_S, self._tidy)


def _line(launch: Call, job: Job, *, last: bool) -> bytes:
    call = {
        "target": launch.target,
        "arguments": dict(launch.arguments),
        "task_id": job.task_id,
        "variables": job.variables,
        "attempt": job.attempt,
        "directory": str(job.directory),
        "last": last,
    }
    return orjson.dumps(call, option=orjson.OPT_APPEND_NEWLINE)
