"""One run of a job: what its process says is heard, and its end is awaited or enforced.

Stopping goes INT, TERM, KILL with the graces between them, for a timeout as for a cancel; a job
that somebody called off is cancelled, whatever its process made of that.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable
from typing import Any, Self

import msgspec

from progresshub.kinds import Outcome, Reader
from progresshub.model import Failure
from progresshub.processes.channel import Channel
from progresshub.processes.child import Child
from progresshub.processes.job import Job
from progresshub.processes.lines import KEEP, ReportLines, newest
from progresshub.processes.output import Log
from progresshub.protocol import Report
from progresshub.settings import Runner as RunnerSettings

logger = logging.getLogger(__name__)

PATIENCE_S = 10.0
"""How long a killed process is waited for: only one that sleeps inside the kernel takes longer."""
MANY_REPORTS = 16
REST_S_PER_REPORT = 0.0005
"""Who sends many different reports at once waits a little for each, so that others are heard too."""

CANCELLED = Outcome(status="cancelled")


class CalledOff(Exception):
    """The job was stopped before it had a process."""


class Attempt:
    """Made before the first wait; `over` is done when nothing more is to be heard of the process.

    `verdict` is the last word on the whole task, if the process said one.
    """

    def __init__(self, job: Job, settings: RunnerSettings, reader: Reader | None = None) -> None:
        self.job = job
        self.verdict: Report | None = None
        self.lines = ReportLines()
        self.log = Log(job.log, settings.log_bytes)
        self._settings = settings
        self._reader = reader
        self._child: Child | None = None
        self._channels: tuple[Channel, ...] = ()
        self._awaited: asyncio.Future[Any] | None = None
        self._stopping = False
        self._overdue = False
        self._loop = asyncio.get_running_loop()
        self.over: asyncio.Future[None] = self._loop.create_future()
        self._timer: asyncio.TimerHandle | None = None
        if job.timeout_s is not None:
            self._after(job.timeout_s, self._expire)
        job.stop.listen(self._stop)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        """Listen no more."""
        self.job.stop.listen(None)
        self._let_go()
        self.log.close()
        if self.lines.bad:
            logger.info("Task %s wrote %d lines that are no reports", self.job.task_id, self.lines.bad)

    def awaits(self, what: asyncio.Future[Any]) -> None:
        """Have a wait before there is a process end with CalledOff when the job is stopped."""
        self._awaited = what
        if self._stopping:
            self._call_off()

    def attach(self, child: Child, output: Channel, reports: Channel) -> None:
        """Listen to a process from now on, or stop it if that was asked for meanwhile."""
        self._awaited = None
        self._child = child
        self._channels = (output, reports)
        child.on_exit = self._exited
        output.sink, reports.sink = self._hear_output, self._hear_reports
        output.on_close = reports.on_close = self._settle
        if self._stopping:
            self._escalate(signal.SIGINT)

    @property
    def kept(self) -> bool:
        """Whether a worker came to the end of the call and is ready for another."""
        return self.lines.mark == KEEP and not self._stopping and not self._exit_seen()

    def called_off(self) -> Outcome | None:
        """The outcome when it was not the process that decided on its end."""
        if self.job.stop.requested:
            return CANCELLED
        if self._overdue:
            failure = Failure(type="timeout", message=f"it took longer than {self.job.timeout_s:g} s")
            return Outcome(status="failed", failure=failure)
        return None

    def _expire(self) -> None:
        self._overdue = True
        self._stop()

    def _stop(self) -> None:
        if self._stopping or self._exit_seen():
            return
        self._stopping = True
        self._let_go()
        if self._child is not None:
            self._escalate(signal.SIGINT)
        else:
            self._call_off()

    def _call_off(self) -> None:
        if self._awaited is not None and not self._awaited.done():
            self._awaited.set_exception(CalledOff())

    def _escalate(self, number: signal.Signals) -> None:
        if self._child is None or self._exit_seen():
            return
        self._child.send_signal(number)
        if number == signal.SIGINT:
            self._after(self._settings.interrupt_grace_s, lambda: self._escalate(signal.SIGTERM))
        elif number == signal.SIGTERM:
            self._after(self._settings.terminate_grace_s, lambda: self._escalate(signal.SIGKILL))
        else:
            self._after(PATIENCE_S, self._finish)

    def _exit_seen(self) -> bool:
        return self._child is not None and self._child.exit_code is not None

    def _exited(self) -> None:
        self._after(self._settings.drain_s, self._finish)
        for channel in self._channels:
            channel.resume()
        self._settle()

    def _settle(self) -> None:
        if self._exit_seen() and all(channel.closed for channel in self._channels):
            self._finish()

    def _finish(self) -> None:
        self._let_go()
        if not self.over.done():
            self.over.set_result(None)

    def _hear_output(self, data: bytes) -> None:
        self.log.write(data)
        if self._reader is not None:
            for report in newest(self._reader.feed(data)):
                self.job.on_report(report)

    def _hear_reports(self, data: bytes) -> None:
        reports = self.lines.feed(data)
        for report in reports:
            self._hear(report)
        if self.lines.mark:
            self._end_of_call()
        elif len(reports) > MANY_REPORTS and not self._exit_seen():
            self._channels[1].rest(len(reports) * REST_S_PER_REPORT)

    def _hear(self, report: Report) -> None:
        if report.step is not None or report.status not in ("done", "failed"):
            self.job.on_report(report)
            return
        self.verdict = report
        rest = msgspec.structs.replace(report, status=None, result=None, error=None, error_type=None, retry=True)
        if rest != Report():
            self.job.on_report(rest)

    def _end_of_call(self) -> None:
        """A worker said its last word: it is free for another job, or about to end."""
        self._channels[0].drain()
        if self.lines.mark == KEEP and not self._stopping:
            self._finish()
        elif self._child is not None and not self._stopping:
            self._after(self._settings.drain_s, lambda: self._escalate(signal.SIGKILL))

    def _after(self, seconds: float, then: Callable[[], None]) -> None:
        self._let_go()
        self._timer = self._loop.call_later(seconds, then)

    def _let_go(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
