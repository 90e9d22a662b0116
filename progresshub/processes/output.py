"""A task's log: what its processes wrote, by byte offset, attempt after attempt.

It only grows, and not for ever: past its bound the newest output is held back in memory and added
at the end, behind a line that says how much was left out. A disk that is full costs the log, never the job.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

TAIL_BYTES = 65_536

logger = logging.getLogger(__name__)


class Log:
    """One attempt's share of the file at `path`, which is made at the first byte."""

    def __init__(self, path: Path, most_bytes: int) -> None:
        self._path = path
        self._most_bytes = most_bytes
        self._fd: int | None = None
        self._room_bytes = 0
        self._tail = b""
        self._held_bytes = 0
        self._broken = False

    def write(self, data: bytes) -> None:
        if self._fd is None:
            self._open()
        if self._room_bytes > 0:
            self._append(data[: self._room_bytes])
            data, self._room_bytes = data[self._room_bytes :], self._room_bytes - len(data)
        if data:
            self._held_bytes += len(data)
            self._tail = (self._tail + data)[-TAIL_BYTES:]

    def close(self) -> None:
        """Add what was held back. Closing again does no harm."""
        if self._held_bytes > len(self._tail):
            self._append(b"\n[%d bytes of output left out]\n" % (self._held_bytes - len(self._tail)))
        self._append(self._tail)
        self._tail, self._held_bytes = b"", 0
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _open(self) -> None:
        if self._broken:
            return
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self._room_bytes = max(0, self._most_bytes - os.fstat(self._fd).st_size)
        except OSError as error:
            self._give_up(error)

    def _append(self, data: bytes) -> None:
        while data and self._fd is not None and not self._broken:
            try:
                data = data[os.write(self._fd, data) :]
            except OSError as error:
                self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        self._broken = True
        self._room_bytes = 0
        logger.warning("The output of a task is not kept any more: %s", error.strerror)
