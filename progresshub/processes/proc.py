"""What the kernel tells about processes: their parents, sessions, environments, and the way to kill them.

A process is known by its number *and* the time it started: numbers are used again. Imported by the
watchdog, so it needs the standard library only.
"""

from __future__ import annotations

import ctypes
import os
import signal
from pathlib import Path
from typing import NamedTuple

PR_SET_CHILD_SUBREAPER = 36


class Stat(NamedTuple):
    """A line of `/proc/PID/stat`: `started` counts clock ticks since the machine's start."""

    pid: int
    state: str
    parent: int
    session: int
    started: int

    @property
    def dead(self) -> bool:
        return self.state in "ZXx"


def stat(pid: int) -> Stat | None:
    """None when there is no such process (any more)."""
    try:
        text = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    # The name stands in brackets and may hold anything, brackets too.
    fields = text.rpartition(b")")[2].split()
    return Stat(pid, fields[0].decode(), int(fields[1]), int(fields[3]), int(fields[19]))


def environment(pid: int) -> dict[bytes, bytes]:
    """The variables a process was started with; none when they can't be read."""
    try:
        text = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return {}
    return {name: value for name, _, value in (entry.partition(b"=") for entry in text.split(b"\0"))}


def children() -> list[int]:
    """The numbers of this process's children, dead ones that nobody reaped included.

    Orphans that come back to a subreaper become children of its main thread.
    """
    own = os.getpid()
    try:
        text = Path(f"/proc/self/task/{own}/children").read_bytes()
    except OSError:  # a kernel built without that file
        return [one.pid for one in map(stat, everybody()) if one is not None and one.parent == own]
    return [int(number) for number in text.split()]


def everybody() -> list[int]:
    """The numbers of all processes."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208  (names are all we need)


def kill(process: Stat) -> bool:
    """Kill it, if it is still the one it was; False when it is gone."""
    try:
        pidfd = os.pidfd_open(process.pid)
    except OSError:
        return False
    try:
        now = stat(process.pid)
        if now is None or now.started != process.started:
            return False
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    except OSError:
        return False
    finally:
        os.close(pidfd)
    return True


def become_subreaper() -> None:
    """Have the orphans among one's descendants come back to oneself instead of to init."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "this system has no subreapers")
