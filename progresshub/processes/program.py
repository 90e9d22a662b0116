"""How a program is started: its environment from scratch, its pipes, and the limits it gets.

Limits are set from outside just after the start: code between fork and exec would cost the fast way
to start a process, and is unsafe where there are threads.
"""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from progresshub.kinds import Outcome
from progresshub.model import Failure
from progresshub.settings import Runner as RunnerSettings

PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "USER")
PACKAGE_ROOT = str(Path(__file__).resolve().parents[2])
_LAUNCHER = "import sys; sys.path.insert(0, sys.argv.pop(1)); from progresshub.processes.{} import main; main()"
_MAY_PASS = frozenset({errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO, errno.ETXTBSY})


class Started(NamedTuple):
    """A new process, and the reading ends of its output and of its reports."""

    pid: int
    output_fd: int
    report_fd: int


def environment(settings: RunnerSettings, server: Mapping[str, str]) -> dict[str, str]:
    """What every child gets of the server's variables."""
    passed = {name: server[name] for name in (*PASSED_ON, *settings.environment) if name in server}
    return {"PATH": os.defpath, **passed}


class ShortNumber:
    """A descriptor number of one digit, kept free for the child that is being started.

    Children find their report pipe at it: in `sh`, `>&$PROGRESSHUB_FD` takes one digit only (while
    `>/dev/fd/$PROGRESSHUB_FD` takes any). There is one if this is made while few files are open.
    """

    def __init__(self) -> None:
        self._spare = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        number = os.dup(self._spare)
        self._owned: Sequence[int] = (self._spare, number)
        self._number = number if number < 10 else None

    @contextmanager
    def lent_to(self, fd: int) -> Iterator[int]:
        """The short number, as another name of `fd`; `fd` itself when there was none to be had."""
        if self._number is None:
            yield fd
            return
        os.dup2(fd, self._number, inheritable=False)
        try:
            yield self._number
        finally:
            os.dup2(self._spare, self._number, inheritable=False)

    def close(self) -> None:
        """Give the numbers back. Closing again does no harm."""
        close_all(self._owned)
        self._owned = ()
        self._number = None


def start(argv: Sequence[str], cwd: str | Path, variables: Mapping[str, str], short: ShortNumber) -> Started:
    """Start a program in a session of its own; OSError or ValueError when that can't be done."""
    if not argv:
        raise ValueError("there is no program to start")
    reading: list[int] = []
    writing: list[int] = []
    try:
        for _ in range(2):
            ends = os.pipe()
            reading.append(ends[0])
            writing.append(ends[1])
        with short.lent_to(writing[1]) as number:
            named = {**variables, "PROGRESSHUB_FD": str(number)}
            pid = popen(argv, cwd, named, output=writing[0], passed=(number,))
    except (OSError, ValueError):
        close_all(reading)
        raise
    finally:
        close_all(writing)
    return Started(pid, *reading)


def popen(
    argv: Sequence[str],
    cwd: str | Path,
    variables: Mapping[str, str],
    *,
    output: int | None = None,
    passed: tuple[int, ...] = (),
) -> int:
    """The number of a new process that reads nothing and writes to `output`."""
    process = subprocess.Popen(
        argv,
        cwd=cwd,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        pass_fds=passed,
        start_new_session=True,
        umask=0o077,
    )
    # The family reaps it; this object must not try to.
    process.returncode = 0
    return process.pid


def python(module: str, *arguments: str, site: bool = True) -> list[str]:
    """The command line of one of this room's own programs, in a fresh interpreter."""
    options = ["-I"] if site else ["-I", "-S"]
    return [sys.executable, *options, "-c", _LAUNCHER.format(module), PACKAGE_ROOT, *arguments]


def limit(pid: int, settings: RunnerSettings) -> None:
    """Bound what a child may use; one that is gone already needs no bounds."""
    try:
        _limit(pid, resource.RLIMIT_AS, settings.memory_bytes)
        _limit(pid, resource.RLIMIT_NOFILE, settings.open_files)
        Path(f"/proc/{pid}/oom_score_adj").write_text(str(settings.oom_score_adj), encoding="ascii")
    except OSError:
        pass  # gone, or run as another user


def _limit(pid: int, what: int, most: int) -> None:
    if most > 0:
        hard = resource.prlimit(pid, what)[1]
        bound = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.prlimit(pid, what, (bound, bound))


def refused(argv: Sequence[str], error: OSError | ValueError) -> Outcome:
    """What became of a program that could not be started."""
    name = Path(argv[0]).name if argv else "nothing"
    reason, may_pass = str(error), False
    if isinstance(error, OSError):
        missing = error.filename is not None and error.filename != (argv[0] if argv else None)
        place = "its working directory" if missing else "the program"
        reason = f"{place}: {os.strerror(error.errno)}" if error.errno else str(error)
        may_pass = error.errno in _MAY_PASS
    failure = Failure(type="spawn", message=f"can't start {name}: {reason}")
    return Outcome(status="failed", failure=failure, retry=may_pass)


def close_all(fds: Sequence[int]) -> None:
    for fd in fds:
        os.close(fd)
