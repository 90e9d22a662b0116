"""One child process, from its start until it is reaped.

Its end is seen through a pidfd, and it stays a zombie until `reap`: so long its number belongs to
nobody else, and its process group can be signalled safely.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable

from progresshub.processes import proc

RETRY_S = 0.005
LOOKED_AFTER: set[int] = set()
"""The numbers of all children that somebody in this process looks after; a process has one set of children."""


class Child:
    """A child of this process that leads, or is about to lead, a session of its own.

    `exit_code` is None while it lives, and minus the signal's number if one killed it; `job`
    names the one it is doing.
    """

    def __init__(self, pid: int, job: str = "") -> None:
        self.pid = pid
        self.job = job
        self.exit_code: int | None = None
        self.on_exit: Callable[[], None] = _nothing
        self._pidfd = os.pidfd_open(pid)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._pidfd, self._ended)
        LOOKED_AFTER.add(pid)

    @property
    def started(self) -> int:
        """In the kernel's clock ticks; 0 when that can't be known any more."""
        stat = proc.stat(self.pid)
        return 0 if stat is None else stat.started

    def send_signal(self, number: signal.Signals) -> None:
        """Signal its whole process group, and wake what was stopped, so that it hears."""
        if self._pidfd < 0:
            return
        for one in (number, signal.SIGCONT):
            try:
                os.killpg(self.pid, one)
            except ProcessLookupError:  # just forked, it leads no group yet
                self._signal_alone(one)
            except PermissionError:  # it became another user
                return

    def reap(self) -> None:
        """Let its number go. It must have ended."""
        if self._pidfd >= 0:
            os.close(self._pidfd)
            self._pidfd = -1
            LOOKED_AFTER.discard(self.pid)
            os.waitpid(self.pid, 0)

    def _signal_alone(self, number: signal.Signals) -> None:
        try:
            signal.pidfd_send_signal(self._pidfd, number)
        except OSError:
            pass  # it is gone, which is what was wanted

    def _ended(self) -> None:
        self._loop.remove_reader(self._pidfd)
        status = self._status()
        if status is None:
            self._loop.call_later(RETRY_S, self._loop.add_reader, self._pidfd, self._ended)
            return
        self.exit_code = status.si_status if status.si_code == os.CLD_EXITED else -status.si_status
        self.on_exit()

    def _status(self) -> os.waitid_result | None:
        try:
            return os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED | os.WNOWAIT | os.WNOHANG)
        except ChildProcessError:
            return None  # a worker that died before the parent that is about to hand it over


def _nothing() -> None: ...
