"""A process with a pool's modules imported, that forks workers when it is asked to.

It has one thread and does nothing else, so that a fork of it is safe and quick. Each worker is
forked twice: its parent ends at once, and the server, a subreaper, becomes the parent instead.

Spoken over a socket of packets: first the setup `{"path", "modules", "warmup"}` is read and
`{"ready": true}` or `{"failed": why}` answered; then each `{"id"}`, which carries the worker's two
descriptors, is answered with `{"id", "pid"}` or `{"id", "error"}`. When the socket ends, so does it.
"""

from __future__ import annotations

import functools
import gc
import importlib
import json
import os
import signal
import socket
import sys
import traceback
from collections.abc import Iterable
from types import TracebackType
from typing import Any

PACKET_BYTES = 65_536


def main() -> None:
    """`forkserver FD`"""
    control = socket.socket(fileno=int(sys.argv[1]))
    setup = json.loads(control.recv(PACKET_BYTES))
    sys.excepthook = functools.partial(_report_failure, control)
    _load(setup)
    sys.excepthook = sys.__excepthook__
    _send(control, ready=True)
    while True:
        packet, fds, _, _ = socket.recv_fds(control, PACKET_BYTES, 2)
        if not packet:
            return
        _send(control, **_fork_worker(control, json.loads(packet)["id"], fds))


def _load(setup: dict[str, Any]) -> None:
    sys.path[:0] = setup["path"]
    for module in ("progresshub.processes.worker", *setup["modules"]):
        importlib.import_module(module)
    if warmup := setup["warmup"]:
        module, _, name = warmup.partition(":")
        getattr(importlib.import_module(module), name)()
    # What is there now is shared with all workers, and stays so when no collector touches it.
    gc.collect()
    gc.freeze()


def _fork_worker(control: socket.socket, request: int, fds: Iterable[int]) -> dict[str, Any]:
    """Nothing is answered when all goes well: the worker's parent has done that."""
    # A signal that comes while the worker is being set up is delivered when it can take it.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        parent = os.fork()
        if parent == 0:
            _introduce_worker(control, request, list(fds))
        status = os.waitpid(parent, 0)[1]
        return {"id": request, "error": "it could not be forked"} if status else {}
    except OSError as error:
        return {"id": request, "error": os.strerror(error.errno or 0)}
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})
        for fd in fds:
            os.close(fd)


def _introduce_worker(control: socket.socket, request: int, fds: list[int]) -> None:
    """Never returns: the copy of the fork server ends in here, or becomes a worker that does."""
    code = 1
    try:
        worker = os.fork()
        if worker == 0:
            from progresshub.processes.worker import serve  # noqa: PLC0415  (found by the path of the setup)

            control.close()
            serve(*fds)
        else:
            _send(control, id=request, pid=worker)
        code = 0
    finally:
        error = sys.exc_info()[1]
        if error is not None and not isinstance(error, KeyboardInterrupt):
            traceback.print_exception(error)
        os._exit(code)


def _send(control: socket.socket, **message: Any) -> None:
    if message:
        control.send(json.dumps(message).encode())


def _report_failure(
    control: socket.socket, kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    _send(control, failed=f"{kind.__name__}: {error}"[:2000])
    sys.__excepthook__(kind, error, trace)
