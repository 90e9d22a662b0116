"""The server's side of one fork server: asks it for workers and hears what became of that.

Every request is answered once, by a worker or by a reason; the end of the fork server answers all.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import os
import signal
import socket
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Protocol

from progresshub.processes import program
from progresshub.processes.channel import Channel
from progresshub.processes.child import Child
from progresshub.processes.family import Family
from progresshub.processes.outcome import in_words

logger = logging.getLogger(__name__)

START_S = 120.0
PACKET_BYTES = 65_536
REPORT_BYTES = 4_096


class Worker:
    """The server's side of a forked worker. `renewals` counts those of its pool before it was forked."""

    def __init__(self, child: Child, output_fd: int, channel_fd: int) -> None:
        self.child = child
        self.served = 0
        self.renewals = 0
        self.idle_since_s = 0.0
        self.output = Channel(output_fd)
        self.reports = Channel(channel_fd, REPORT_BYTES)

    def detach(self) -> None:
        """Nobody listens; what comes between two calls belongs to none of them."""
        self.child.task_id = ""
        self.output.ignore()
        self.reports.ignore()

    def close(self) -> None:
        """Close its channels, which ends it unless it is busy."""
        self.reports.close()
        self.output.close()


class Asker(Protocol):
    """Who hears of a fork server's answers."""

    def on_ready(self) -> None: ...
    def on_worker(self, worker: Worker) -> None: ...
    def on_refusal(self, reason: str) -> None: ...
    def on_end(self, reason: str) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What a pool imports: `path` goes before the interpreter's own, `warmup` is called once."""

    modules: tuple[str, ...] = ()
    warmup: str | None = None
    path: tuple[str, ...] = ()


class ForkServer:
    """One process with the modules of `setup`, from its start to its end."""

    def __init__(self, setup: Setup, variables: Mapping[str, str], family: Family, asker: Asker) -> None:
        self.ready = False
        self._family = family
        self._asker = asker
        self._reason = ""
        self._requests = itertools.count()
        self._ends: dict[int, tuple[int, int]] = {}
        self._loop = asyncio.get_running_loop()
        with ExitStack() as undo:
            self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            undo.enter_context(self._control)
            with theirs:
                self.child, self._output = self._start(theirs.fileno(), variables)
            undo.pop_all()
        self.child.on_exit = self._ended
        self._control.setblocking(False)
        self._control.send(json.dumps({"path": setup.path, "modules": setup.modules, "warmup": setup.warmup}).encode())
        self._loop.add_reader(self._control, self.hear)
        self._deadline = self._loop.call_later(START_S, self._too_late)

    def _start(self, control_fd: int, variables: Mapping[str, str]) -> tuple[Child, Channel]:
        reading, writing = os.pipe()
        try:
            argv = program.python("forkserver", str(control_fd))
            pid = program.popen(argv, ".", variables, output=writing, passed=(control_fd,))
            child = self._family.adopt(pid)
        except OSError:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        output = Channel(reading)
        output.sink = _log
        return child, output

    def fork(self) -> None:
        """Ask for a worker."""
        request = next(self._requests)
        fds: list[int] = []
        try:
            fds += os.pipe()
            fds += (end.detach() for end in socket.socketpair())
            socket.send_fds(self._control, [json.dumps({"id": request}).encode()], [fds[3], fds[1]])
        except (BrokenPipeError, ConnectionResetError):
            program.close_all(fds)  # its end is about to be heard of, and answers all
        except OSError as error:
            program.close_all(fds)
            self._asker.on_refusal(os.strerror(error.errno or 0))
        else:
            program.close_all((fds[1], fds[3]))
            self._ends[request] = (fds[0], fds[2])

    def hear(self) -> None:
        """Take in the answers that are there."""
        while self._control.fileno() >= 0:
            try:
                packet = self._control.recv(PACKET_BYTES)
            except BlockingIOError:
                return
            except OSError:
                packet = b""
            if not packet:
                self._loop.remove_reader(self._control)
                return
            self._take(json.loads(packet))

    def close(self) -> None:
        """End it; its workers live on."""
        self._deadline.cancel()
        self._loop.remove_reader(self._control)
        self._control.close()
        self._output.close()
        for ends in self._ends.values():
            program.close_all(ends)
        self._ends.clear()
        self._family.dismiss(self.child)

    def _take(self, answer: dict[str, Any]) -> None:
        if "ready" in answer:
            self.ready = True
            self._deadline.cancel()
            self._asker.on_ready()
        elif "failed" in answer:
            self._reason = answer["failed"]
        elif "pid" in answer:
            self._take_worker(answer["id"], answer["pid"])
        else:
            program.close_all(self._ends.pop(answer["id"]))
            self._asker.on_refusal(answer["error"])

    def _take_worker(self, request: int, pid: int) -> None:
        ends = self._ends.pop(request)
        try:
            child = self._family.adopt(pid)
        except OSError as error:
            program.close_all(ends)
            self._asker.on_refusal(os.strerror(error.errno or 0))
        else:
            self._asker.on_worker(Worker(child, *ends))

    def _too_late(self) -> None:
        self._reason = f"its modules take longer than {START_S:g} s to import"
        self.child.send_signal(signal.SIGKILL)

    def _ended(self) -> None:
        self.hear()
        self._output.drain()
        self.close()
        self._asker.on_end(self._reason or f"its fork server ended: {in_words(self.child.exit_code or 0)}")


def _log(data: bytes) -> None:
    """What modules print while they are imported."""
    for line in data.decode(errors="replace").splitlines():
        logger.info("Python pool: %s", line)
