"""Several jobs done as one: each step of a plan is a job of its own under the runner, and reported as a step.

A step begins when all that it needs has ended. Whatever ends the whole ends every step that runs, and
only then is there an outcome.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from random import random

import msgspec

from progresshub import pace
from progresshub.errors import HubError
from progresshub.kinds import Launch, Outcome, Part, Plan, Planning
from progresshub.model import FIRST, Failure, Spec, State, StepState, Task
from progresshub.pipelines import settled
from progresshub.processes.attempt import CANCELLED
from progresshub.processes.directory import made, remove_if_empty
from progresshub.processes.job import Job, Stop
from progresshub.protocol import RESULT_BYTES, Report, StepPlan, bounded

STEP_RESULT_BYTES = 65_536
BACKOFF_S = 1.0
BACKOFF_MOST_S = 60.0
JITTER = 0.2

_ALONE = Task(spec=Spec(id="", seq=0, kind="", payload={}, origin="", created_ms=0), state=State.RUNNING, changed=FIRST)
"""What a step's own reports add up to, seen for itself."""

Run = Callable[[Launch, Job], Awaitable[Outcome]]


async def perform(run: Run, plan: Plan, job: Job) -> Outcome:
    """Do what is left of the steps; `run` does a single launch."""
    try:
        new = made(job.directory)
    except OSError as error:
        return _failed("directory", f"its directory can't be made: {error.strerror}")
    try:
        return await _Performance(run, plan, job).outcome()
    finally:
        if new:
            remove_if_empty(job.directory)


async def perform_planned(run: Run, planning: Planning, job: Job) -> Outcome:
    """Ask what is to be done, and do it."""
    outcome = await run(planning.call, replace(job, on_report=lambda report: None))
    if outcome.status != "done":
        return outcome
    try:
        plan = planning.plan(outcome.result)
    except HubError as error:
        return _failed(error.code, error.message)
    return await perform(run, plan, job)


class _Performance:
    """One attempt at a plan. `results` are those of the steps that have ended, whenever that was."""

    def __init__(self, run: Run, plan: Plan, job: Job) -> None:
        self._run = run
        self._parts = plan.parts
        self._at_once = plan.at_once
        self._job = job
        by_name = {part.name: part for part in self._parts}
        before = [step for step in plan.steps if step.name in by_name]
        ended = [step for step in before if settled(step, by_name[step.name].on_failure)]
        self._results = {step.name: step.result for step in ended}
        self._skipped = {step.name for step in ended if step.state is StepState.SKIPPED}
        self._stops: dict[str, Stop] = {}
        self._changed = asyncio.Event()
        self._called_off = False
        self._overdue = False
        self._failed: Outcome | None = None

    async def outcome(self) -> Outcome:
        timeout_s = self._job.timeout_s
        timer = None if timeout_s is None else asyncio.get_running_loop().call_later(timeout_s, self._expire)
        self._job.on_report(Report(steps=tuple(StepPlan(name=p.name, weight=p.weight) for p in self._parts)))
        self._job.stop.listen(self._call_off)
        try:
            await self._do_all()
        finally:
            self._job.stop.listen(None)
            if timer is not None:
                timer.cancel()
        return self._verdict()

    async def _do_all(self) -> None:
        async with asyncio.TaskGroup() as group:
            while (ready := self._ready()) or self._stops:
                for part in ready:
                    stop = self._stops[part.name] = Stop()
                    group.create_task(self._do(part, stop))
                self._changed.clear()
                await self._changed.wait()

    def _ready(self) -> list[Part]:
        """What may begin now; steps that need one that was skipped are skipped on the way."""
        if self._called_off:
            return []
        open_parts = [part for part in self._parts if part.name not in self._results and part.name not in self._stops]
        for part in open_parts:
            if part.needs & self._skipped:
                self._skip(part, f"it needs {min(part.needs & self._skipped)}, which was skipped")
                return self._ready()
        ready = [part for part in open_parts if part.needs <= self._results.keys()]
        return ready[: self._at_once - len(self._stops)]

    async def _do(self, part: Part, stop: Stop) -> None:
        """One step, with its retries, until it has ended."""
        self._tell(part, Report())
        outcome = await self._try(part, stop)
        for retry in range(1, part.retries + 1):
            if outcome.failure is None or not outcome.retry or stop.requested:
                break
            self._tell(part, Report(percent=0.0, message=f"retry {retry} of {part.retries}: {outcome.failure.message}"))
            await _rest(stop, _delay_s(retry))
            outcome = await self._try(part, stop)
        self._end(part, outcome)
        del self._stops[part.name]
        self._changed.set()

    async def _try(self, part: Part, stop: Stop) -> Outcome:
        if stop.requested:
            return CANCELLED
        try:
            launch = part.launch(self._results)
        except HubError as error:
            return _failed(error.code, error.message)
        step = f"{self._job.step}/{part.name}".lstrip("/")
        job = replace(self._job, timeout_s=part.timeout_s, on_report=self._listener(part), stop=stop, step=step)
        return await self._run(launch, job)

    def _listener(self, part: Part) -> Callable[[Report], None]:
        """Hears one try of a step: what its process says of a whole is said here of a part."""
        alone = _ALONE
        loop = asyncio.get_running_loop()

        def hear(report: Report) -> None:
            nonlocal alone
            alone = pace.apply(alone, report, int(1000 * loop.time()))
            if alone.progress is not None:
                percent, text = alone.progress.percent, alone.progress.message or alone.progress.stage
                speed_bps, metadata = report.speed_bps, report.metadata
                self._tell(part, Report(percent=percent, message=text, speed_bps=speed_bps, metadata=metadata))

        return hear

    def _end(self, part: Part, outcome: Outcome) -> None:
        if outcome.status == "done":
            result = bounded(outcome.result, STEP_RESULT_BYTES)
            self._results[part.name] = result
            self._tell(part, Report(status="done", result=result))
        elif outcome.failure is not None and not self._called_off:
            self._fail(part, outcome, outcome.failure)

    def _fail(self, part: Part, outcome: Outcome, failure: Failure) -> None:
        if part.on_failure == "skip":
            self._skip(part, failure.message)
            return
        self._tell(part, Report(status="failed", error=failure.message))
        if part.on_failure == "continue":
            self._results[part.name] = None
            return
        why = Failure(
            type=failure.type,
            message=f"step {part.name} failed: {failure.message}",
            details={**failure.details, "step": part.name},
        )
        self._failed = Outcome(status="failed", failure=why, retry=outcome.retry)
        self._call_off()

    def _skip(self, part: Part, why: str) -> None:
        self._results[part.name] = None
        self._skipped.add(part.name)
        self._tell(part, Report(status="skipped", error=why))

    def _tell(self, part: Part, report: Report) -> None:
        """The whole is at the first of the steps that run."""
        stage = next((other.name for other in self._parts if other.name in self._stops), part.name)
        self._job.on_report(msgspec.structs.replace(report, step=part.name, stage=stage))

    def _expire(self) -> None:
        self._overdue = True
        self._call_off()

    def _call_off(self) -> None:
        self._called_off = True
        for stop in self._stops.values():
            stop.request()

    def _verdict(self) -> Outcome:
        if self._job.stop.requested:
            return CANCELLED
        if self._failed is not None:
            return self._failed
        if self._overdue and len(self._results) < len(self._parts):
            return _failed("timeout", f"it took longer than {self._job.timeout_s:g} s", retry=True)
        results = {part.name: self._results.get(part.name) for part in self._parts}
        return Outcome(status="done", result=bounded(results, RESULT_BYTES))


def _delay_s(retry: int) -> float:
    return pace.backoff_ms(retry, BACKOFF_S, BACKOFF_MOST_S, JITTER, random()) / 1000


async def _rest(stop: Stop, seconds: float) -> None:
    """Wait, unless it is called off meanwhile."""
    called_off = asyncio.Event()
    stop.listen(called_off.set)
    try:
        async with asyncio.timeout(seconds):
            await called_off.wait()
    except TimeoutError:
        pass  # that is what it is for
    finally:
        stop.listen(None)


def _failed(type_: str, message: str, *, retry: bool = False) -> Outcome:
    return Outcome(status="failed", failure=Failure(type=type_, message=message), retry=retry)
