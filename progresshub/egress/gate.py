"""Opens the way out for a block of a worker's code, and closes it behind it.

The proxy is a fork of the worker, which may have no threads yet. It ends with the block, or with
the worker however that ends.
"""

from __future__ import annotations

import base64
import os
import secrets
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from progresshub.egress.rules import Rules
from progresshub.egress.serve import serve

VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
USER = "download"
REASON_BYTES = 4_096


class Egress:
    """What the worker knows of its way out: `url` is what to tell a program, empty where none is needed."""

    def __init__(self, url: str = "", lifeline: socket.socket | None = None) -> None:
        self.url = url
        self._lifeline = lifeline

    def refusal(self) -> str:
        """Why the first private address since the last question was refused, or nothing."""
        reasons = []
        with suppress(BlockingIOError):
            while self._lifeline is not None and (reason := self._lifeline.recv(REASON_BYTES, socket.MSG_DONTWAIT)):
                reasons.append(reason.decode(errors="replace"))
        return reasons[0] if reasons else ""


@contextmanager
def egress(rules: Rules) -> Iterator[Egress]:
    """A way out by these rules; programs started inside find it in their environment."""
    if not rules.needed:
        yield Egress()
        return
    password = secrets.token_urlsafe(24)
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        pid = os.fork()
        if pid == 0:
            _become_proxy(listener, theirs, password, rules)
        theirs.close()
        port = listener.getsockname()[1]
    url = f"http://{USER}:{password}@127.0.0.1:{port}"
    before = {name: os.environ.get(name) for name in (*VARIABLES, "no_proxy", "NO_PROXY")}
    _environ({**dict.fromkeys(VARIABLES, url), "no_proxy": None, "NO_PROXY": None})
    try:
        yield Egress(url, ours)
    finally:
        _environ(before)
        ours.close()
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _become_proxy(listener: socket.socket, lifeline: socket.socket, password: str, rules: Rules) -> None:
    """Never returns. Everything of the worker's is let go of, so that its ends are seen to close."""
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(nothing, stream)
        _close_all_but({0, 1, 2, listener.fileno(), lifeline.fileno()})
        credentials = b"Basic " + base64.b64encode(f"{USER}:{password}".encode())
        serve(listener, lifeline, credentials, rules)
    finally:
        os._exit(0)


def _close_all_but(kept: set[int]) -> None:
    for fd in Path("/proc/self/fd").iterdir():
        if int(fd.name) not in kept:
            with suppress(OSError):
                os.close(int(fd.name))


def _environ(variables: dict[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
