"""A place of work for servers under fire: a data directory, settings with kinds that keep ledgers, and who is left."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import orjson

from progresshub.processes import proc
from tests.faults import workshop
from tests.faults.load import Sort
from tests.wait import PATIENCE_S, until

SETTINGS = """
[commands.work]
argv = ["/bin/sh", "-c", {script}, "work", "{{ledger}}", "{{sleep_s}}"]
params = {{ledger = ".+", sleep_s = "[\\\\d.]+|long"}}

[commands.shell]
argv = ["/bin/sh", "-c", "{{script}}"]
params = {{script = "(?s).*"}}

[python]
modules = ["workshop"]
path = [{path}]
"""


class Line(NamedTuple):
    """What a worker wrote down."""

    word: str
    task_id: str
    pid: int
    started: int


class Shop:
    """One data directory, whichever server uses it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.data = root / "data"
        self.ledger = root / "worked"
        self.ledger.touch()
        settings = root / "config.toml"
        script, path = (orjson.dumps(text).decode() for text in (workshop.SCRIPT, str(Path(__file__).parent)))
        settings.write_text(SETTINGS.format(script=script, path=path))
        self._gate = root / "gate"
        self.environment = {"PROGRESSHUB_CONFIG": str(settings)}

    def log(self) -> str:
        """What the servers wrote to their standard error."""
        path = self.data.with_suffix(".err")
        return path.read_text() if path.exists() else ""

    def worked(self) -> list[Line]:
        lines = (line.split() for line in self.ledger.read_text().splitlines())
        return [Line(word, task_id, int(pid), int(started)) for word, task_id, pid, started in lines]

    async def begun(self, task_id: str) -> None:
        """Wait until a task's work has begun."""
        await until(lambda: any(line.task_id == task_id for line in self.worked()))

    def sorts(self) -> dict[str, Sort]:
        """Short tasks of every sort."""
        return {
            "demo": lambda random: {"payload": {"count": random.randrange(3), "delay_ms": random.randrange(20)}},
            "external": lambda random: {"payload": {}},
            "command": lambda random: self.command(f"{random.random() / 20:.3f}"),
            "work": lambda random: self.work(random.random() / 20),
        }

    def command(self, sleep_s: str) -> dict[str, Any]:
        return {"payload": {"name": "work", "args": {"ledger": str(self.ledger), "sleep_s": sleep_s}}}

    def gated(self) -> dict[str, Any]:
        """Work that ends when it is let."""
        return {"payload": {"ledger": str(self.ledger), "sleep_s": 0.0, "gate": str(self._gate)}}

    async def let_end(self) -> None:
        """Let gated work end, and wait until some of it has."""
        self._gate.touch()
        await until(lambda: any(line.word == "end" for line in self.worked()))

    def work(self, sleep_s: float) -> dict[str, Any]:
        return {"payload": {"ledger": str(self.ledger), "sleep_s": sleep_s}}


@contextmanager
def half_a_request(url: str) -> Iterator[socket.socket]:
    """A connection whose request has been announced and never comes."""
    address = urlsplit(url)
    with socket.create_connection((address.hostname or "", address.port or 0), PATIENCE_S) as connection:
        connection.sendall(
            b"POST /api/v1/tasks HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: 1000\r\n\r\n{"
        )
        yield connection


def left_of(url: str) -> list[int]:
    """The living processes that the server at this address started, and all that they did."""
    mark = {b"PROGRESSHUB_URL": url.encode()}
    return [
        pid
        for pid in proc.everybody()
        if pid != os.getpid() and mark.items() <= proc.environment(pid).items() and _lives(pid)
    ]


async def nobody_left(url: str) -> None:
    await until(lambda: not left_of(url))


def _lives(pid: int) -> bool:
    stat = proc.stat(pid)
    return stat is not None and not stat.dead
