"""Hears how far ffmpeg is while yt-dlp waits for it: it writes to a pipe that has a name.

A thread listens for as long as a block lasts; the pipe is gone afterwards.
"""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

PIPE = "ffmpeg"
JOIN_S = 5.0
PIECE_BYTES = 4_096

Hear = Callable[[float | None, int | None], None]


@contextmanager
def listening(directory: Path, hear: Hear) -> Iterator[None]:
    """Call `hear(seconds made, bytes made)` whenever ffmpeg, told to write to the pipe, says so."""
    path = directory / PIPE
    path.unlink(missing_ok=True)
    os.mkfifo(path, 0o600)
    # Opened for both ways, so that it never ends and ffmpeg never waits for somebody to listen.
    pipe = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    wake = os.eventfd(0)
    thread = threading.Thread(target=_listen, args=(pipe, wake, Progress(hear)), daemon=True)
    thread.start()
    try:
        yield
    finally:
        os.eventfd_write(wake, 1)
        thread.join(JOIN_S)
        os.close(wake)
        os.close(pipe)
        path.unlink(missing_ok=True)


class Progress:
    """Understands what ffmpeg writes for `-progress`: lines `name=value`, a round ends with `progress=…`."""

    def __init__(self, hear: Hear) -> None:
        self._hear = hear
        self._rest = b""
        self._values: dict[str, str] = {}

    def feed(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            name, _, value = line.decode(errors="replace").partition("=")
            self._values[name] = value.strip()
            if name == "progress":
                made_us, made_bytes = self._number("out_time_us"), self._number("total_size")
                self._hear(None if made_us is None else made_us / 1e6, made_bytes)
                self._values.clear()
        self._rest = self._rest[-PIECE_BYTES:]

    def _number(self, name: str) -> int | None:
        value = self._values.get(name, "")
        return int(value) if value.isdigit() else None


def _listen(pipe: int, wake: int, progress: Progress) -> None:
    waiting = select.poll()
    waiting.register(pipe, select.POLLIN)
    waiting.register(wake, select.POLLIN)
    while True:
        for fd, _ in waiting.poll():
            if fd == wake:
                return
            progress.feed(os.read(pipe, PIECE_BYTES))
