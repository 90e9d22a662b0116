"""A watcher's connection as the bus sees it: somewhere to write to, which may fill up, and an end.

What is live goes straight to the socket, the same bytes for all, as long as the transport holds nothing that
has to go first; what the kernel does not take then is the transport's to send. The end comes because the last
event has been told, the watcher could not keep up, the client left, or the server stops.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable

from progresshub.model import Event
from progresshub.settings import Streams

NO_FILE = -1


class Outlet:
    """A bus sink; whoever answers the request waits for `over`."""

    __slots__ = ("_file", "_last", "_transport", "over", "settings")

    def __init__(self, settings: Streams) -> None:
        self.settings = settings
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._last: Callable[[Event], bool] = _any
        self._transport: asyncio.Transport | None = None
        self._file = NO_FILE

    def connect(self, transport: asyncio.BaseTransport | None) -> None:
        """Write there from now on, with a kernel that neither keeps much nor waits long for a dead peer."""
        if not isinstance(transport, asyncio.Transport):
            return
        self._transport = transport
        sock = transport.get_extra_info("socket")
        if sock is None:
            return
        if transport.get_extra_info("sslcontext") is None:
            self._file = sock.fileno()
        if self.settings.send_buffer_bytes:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self.settings.send_buffer_bytes)
        if sock.family != socket.AF_UNIX:
            patience_ms = int(1000 * self.settings.stalled_deadline_s)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, patience_ms)

    def until(self, last: Callable[[Event], bool]) -> None:
        """Say which of the tasks' ends is the end of the stream; else the first one is."""
        self._last = last

    def write(self, data: bytes) -> int:
        transport = self._transport
        if transport is None or transport.is_closing():
            return 0
        if self._file != NO_FILE and not transport.get_write_buffer_size():
            try:
                sent = os.write(self._file, data)
            except OSError:  # that nothing fits, or that nobody is there: the transport knows what to do about it
                sent = 0
            if sent == len(data):
                return 0
            data = data[sent:]
        transport.write(data)
        return transport.get_write_buffer_size()

    def backlog(self) -> int:
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    def ended(self, event: Event) -> bool:
        return self._last(event)

    def finish(self) -> None:
        if not self.over.done():
            self.over.set_result(None)

    def cut(self) -> None:
        if self._transport is not None:
            self._transport.abort()
        self.finish()


def _any(event: Event) -> bool:
    return True
