"""What a forked child of a pool does: one call after another, until its socket ends.

A call comes as a JSON line, its reports go back over the same socket as everybody's do, and a mark
behind the last word says whether the worker is good for another call: it is not when the call
left a process or a thread behind.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import Any

import msgspec

from progresshub.jobs.functions import Context, perform
from progresshub.processes import proc
from progresshub.processes.job import STEP
from progresshub.processes.lines import KEEP, LEAVE
from progresshub.report import reporter


def serve(channel_fd: int, output_fd: int) -> None:
    """Become a worker that speaks over `channel_fd` and whose output goes to `output_fd`."""
    _settle(channel_fd, output_fd)
    home = Path.cwd()
    with socket.socket(fileno=channel_fd) as channel:
        for line in channel.makefile("rb"):
            if not _do(msgspec.json.decode(line)):
                return
            if Path.cwd() != home:
                os.chdir(home)


def _settle(channel_fd: int, output_fd: int) -> None:
    os.setsid()
    for stream in (1, 2):
        os.dup2(output_fd, stream)
    os.close(output_fd)
    os.set_inheritable(channel_fd, False)
    os.environ["PROGRESSHUB_FD"] = str(channel_fd)
    proc.become_subreaper()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _do(job: dict[str, Any]) -> bool:
    """Do one call, and say whether another may follow."""
    os.environ.pop(STEP, None)
    os.environ.update(job["variables"])
    reporter.reset()
    directory = Path(job["directory"])
    context = Context(reporter, task_id=job["task_id"], attempt=job["attempt"], directory=directory)
    flushed = False
    try:
        last_word = perform(job["target"], job["arguments"], context)
    finally:
        flushed = _flushed()
    keep = flushed and not job["last"] and threading.active_count() == 1 and _is_childless()
    reporter.end(last_word, (KEEP if keep else LEAVE) + b"\n")
    return keep


def _flushed() -> bool:
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):  # the function closed them
        return False
    return True


def _is_childless() -> bool:
    """As a subreaper it has what its calls left running as children, however they were started."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return True
    return False
