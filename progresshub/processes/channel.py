"""This side of a child's pipe or socket, on the loop until its end.

It is read in chunks of a bounded size, so that a child that floods it shares the loop with the others.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

DRAIN_BYTES = 1_048_576


class Channel:
    """Gives what arrives to `sink`, and calls `on_close` once when the other end is closed."""

    def __init__(self, fd: int, chunk_bytes: int = 65_536) -> None:
        self.sink: Callable[[bytes], None] = _ignore
        self.on_close: Callable[[], None] = _nothing
        self.closed = False
        self._fd = fd
        self._chunk_bytes = chunk_bytes
        self._loop = asyncio.get_running_loop()
        self._resting: asyncio.TimerHandle | None = None
        self._unsent = b""
        self._writing = False
        os.set_blocking(fd, False)
        self._loop.add_reader(fd, self._readable)

    def drain(self) -> None:
        """Read what is there already, up to a bound."""
        read_bytes = 0
        while not self.closed and read_bytes < DRAIN_BYTES:
            data = self._read()
            if data is None:
                return
            read_bytes += len(data)

    def send(self, data: bytes) -> None:
        """Write to the socket, the rest as soon as there is room; a child that died is told nothing."""
        waiting = bool(self._unsent)
        self._unsent += data
        if not waiting:
            self._write()

    def ignore(self) -> None:
        """Let what arrives go nowhere."""
        self.sink, self.on_close = _ignore, _nothing

    def rest(self, seconds: float) -> None:
        """Let the child wait before more is read."""
        if not self.closed and self._resting is None:
            self._loop.remove_reader(self._fd)
            self._resting = self._loop.call_later(seconds, self.resume)

    def resume(self) -> None:
        if self._resting is not None:
            self._resting.cancel()
            self._resting = None
            self._loop.add_reader(self._fd, self._readable)

    def close(self) -> None:
        if self.closed:
            return
        self.closed = True
        if self._resting is not None:
            self._resting.cancel()
        self._loop.remove_reader(self._fd)
        if self._writing:
            self._loop.remove_writer(self._fd)
        os.close(self._fd)

    def _write(self) -> None:
        try:
            sent = os.write(self._fd, self._unsent)
        except BlockingIOError:
            sent = 0
        except OSError:
            sent = len(self._unsent)
        self._unsent = self._unsent[sent:]
        if self._unsent:
            self._loop.add_writer(self._fd, self._write)
        elif self._writing:
            self._loop.remove_writer(self._fd)
        self._writing = bool(self._unsent)

    def _readable(self) -> None:
        self._read()

    def _read(self) -> bytes | None:
        """One chunk given to the sink; None when there is nothing just now."""
        try:
            data = os.read(self._fd, self._chunk_bytes)
        except BlockingIOError:
            return None
        except OSError:  # a socket whose other end died says so here
            data = b""
        if data:
            self.sink(data)
        else:
            self.close()
            self.on_close()
        return data


def _ignore(data: bytes) -> None: ...


def _nothing() -> None: ...
