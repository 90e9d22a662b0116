"""A process of its own that outlives the server, to end what the server left behind.

It waits for the end of a pipe whose other end only the server holds, then kills every process that
carries the server's mark in its environment or sits below one that does, until sweeps find none.
"""

from __future__ import annotations

import os
import sys
import time

from progresshub.processes import proc

MARK = b"PROGRESSHUB_SERVER"
LONGEST_S = 30.0
PAUSE_S = 0.01
EMPTY_SWEEPS = 3
"""One is not enough: in the middle of an exec a process shows no environment."""


def main() -> None:
    """`watchdog FD MARK`"""
    fd, mark = int(sys.argv[1]), sys.argv[2].encode()
    while os.read(fd, 4096):
        pass
    # Only a process that sleeps inside the kernel outlives a SIGKILL for long.
    end_s = time.monotonic() + LONGEST_S
    empty = 0
    while empty < EMPTY_SWEEPS and time.monotonic() < end_s:
        empty = 0 if sweep(mark) else empty + 1
        time.sleep(PAUSE_S)


def sweep(mark: bytes) -> int:
    """Kill all that is marked; how many there were."""
    return sum(proc.kill(process) for process in marked(mark))


def marked(mark: bytes) -> list[proc.Stat]:
    """The living processes with the mark, all below them, and all in their sessions.

    What the server starts has a session of its own, so nobody else's process is in one.
    """
    living = [one for one in map(proc.stat, proc.everybody()) if one is not None and not one.dead]
    found = {one.pid for one in living if proc.environment(one.pid).get(MARK) == mark}
    before = -1
    while len(found) != before:
        before = len(found)
        sessions = {one.session for one in living if one.pid in found}
        found |= {one.pid for one in living if one.parent in found or one.session in sessions}
    return [one for one in living if one.pid in found and one.pid != os.getpid()]
