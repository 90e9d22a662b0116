"""The watchdog: nothing that a server started outlives it, even when it is killed."""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

import pytest

from progresshub.processes import proc, watchdog
from progresshub.processes.runner import Runner
from tests.processes.conftest import SOMEBODYS, MakeRunner
from tests.processes.kit import PATIENCE_S, lives, say
from tests.processes.test_leftovers import ORPHAN, background

ROOT = Path(watchdog.__file__).parents[2]
HOST = Path(__file__).with_name("host.py")

WAYS = {
    "plain": ORPHAN,
    "background": background("sh -c") + " sleep 1000",
    "session": background("setsid sh -c") + " sleep 1000",
    "daemon": background("setsid setsid sh -c") + " sleep 1000",
    "below an empty environment": f"env -i \"PROGRESSHUB_FD=$PROGRESSHUB_FD\" setsid -w /bin/sh -c '{ORPHAN}'",
    "deaf": "trap '' INT TERM; " + say("left", '{"pid":$$}') + "; while true; do sleep 1000; done",
}


class Host:
    """A small server in a process of its own, with one job of each way and one warm call running."""

    def __init__(self, data: Path) -> None:
        argv = [sys.executable, str(HOST), str(data), str(SOMEBODYS.parent), *WAYS.values()]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        try:
            self.told = json.loads(self._output.readline())
        except ValueError:
            self.close()
            raise

    @property
    def pids(self) -> list[int]:
        """Every process that was started below the host."""
        return [pid for pid in self.told["jobs"] + self.told["children"] if isinstance(pid, int)]

    @property
    def _output(self) -> IO[bytes]:
        assert self.process.stdout is not None
        return self.process.stdout

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    host = Host(tmp_path)
    yield host
    host.close()


def ends(pids: list[int]) -> None:
    """Wait for the end of processes that are nobody's children here."""
    for pid in pids:
        try:
            pidfd = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            ready, _, _ = select.select([pidfd], [], [], PATIENCE_S)
            assert ready, f"process {pid} still lives: {proc.stat(pid)}"
        finally:
            os.close(pidfd)


def test_nothing_outlives_a_server_that_is_killed(host: Host) -> None:
    assert len(host.told["jobs"]) == len(WAYS) + 1
    assert all(lives(pid) for pid in host.pids)

    host.process.send_signal(signal.SIGKILL)

    ends(host.pids)


def test_a_server_that_ends_well_ends_its_watchdog_too(host: Host) -> None:
    host.process.communicate(b"end\n", timeout=PATIENCE_S)

    assert host.process.returncode == 0
    assert not any(lives(pid) for pid in host.pids)


async def test_a_watchdog_that_dies_is_replaced(runner: Runner) -> None:
    guard = runner._guard
    assert guard is not None
    first = guard._child
    replaced = asyncio.Event()
    then = first.on_exit

    def on_exit() -> None:
        then()
        replaced.set()

    first.on_exit = on_exit

    os.kill(first.pid, signal.SIGKILL)
    async with asyncio.timeout(PATIENCE_S):
        await replaced.wait()

    assert guard._child.pid != first.pid
    assert lives(guard._child.pid)


async def test_no_child_holds_the_pipe_by_which_the_server_is_watched(make_runner: MakeRunner) -> None:
    runner = await make_runner()
    guard = runner._guard
    assert guard is not None

    assert not os.get_inheritable(guard._ours)


def marked_sleeper(mark: str) -> subprocess.Popen[bytes]:
    """A process with a mark, once that can be read: it tells so itself."""
    variables = {"PROGRESSHUB_SERVER": mark}
    argv = [sys.executable, "-I", "-S", "-c", "print('up', flush=True); input()"]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    sleeper = subprocess.Popen(argv, env=variables, start_new_session=True, **pipes)
    assert sleeper.stdout is not None
    assert sleeper.stdout.readline() == b"up\n"
    return sleeper


def test_only_the_marked_are_swept() -> None:
    mark = str(uuid4())
    with marked_sleeper(mark) as marked, marked_sleeper(f"{mark}-and-more") as other:
        try:
            assert watchdog.sweep(mark.encode()) == 1

            assert marked.wait(PATIENCE_S) == -signal.SIGKILL
            assert watchdog.sweep(mark.encode()) == 0
            assert lives(other.pid)
        finally:
            marked.kill()
            other.kill()


def test_a_number_that_was_used_again_is_not_killed() -> None:
    sleeper = subprocess.Popen(["sleep", "1000"])
    try:
        stat = proc.stat(sleeper.pid)
        assert stat is not None

        assert not proc.kill(stat._replace(started=stat.started - 1))
        assert lives(sleeper.pid)
        assert proc.kill(stat)
        assert sleeper.wait(PATIENCE_S) == -signal.SIGKILL
    finally:
        sleeper.kill()
        sleeper.wait()


def test_a_name_with_brackets_and_blanks_is_read(tmp_path: Path) -> None:
    tool = tmp_path / "a) R 1 (b"
    tool.symlink_to("/bin/sleep")
    sleeper = subprocess.Popen([str(tool), "1000"], start_new_session=True)
    try:
        stat = proc.stat(sleeper.pid)

        assert stat is not None
        assert (stat.parent, stat.session) == (os.getpid(), sleeper.pid)
    finally:
        sleeper.kill()
        sleeper.wait()


def test_the_watchdog_needs_the_standard_library_only() -> None:
    script = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); import progresshub.processes.watchdog; "
        "names = {name.partition('.')[0] for name in sys.modules}; "
        "print(names - sys.stdlib_module_names - {'progresshub', '__main__'})"
    )

    said = subprocess.run([sys.executable, "-I", "-S", "-c", script], capture_output=True, timeout=30, check=True)

    assert said.stdout == b"set()\n"
