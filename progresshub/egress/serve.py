"""The proxy's own process: a thread for each connection, and an end when the worker is gone.

It opens nothing but connections, and waits for none of them longer than the rules say.
"""

from __future__ import annotations

import hmac
import select
import socket
import threading
from collections.abc import Callable
from contextlib import suppress

from progresshub.egress.reach import PrivateAddress, reach
from progresshub.egress.request import END, MOST_BYTES, Refused, answer, parse
from progresshub.egress.rules import Rules

MOST_CONNECTIONS = 64
BUFFER_BYTES = 262_144
HEAD_S = 10.0

Tell = Callable[[str], None]


def serve(listener: socket.socket, lifeline: socket.socket, credentials: bytes, rules: Rules) -> None:
    """Serve until the other end of the lifeline is gone; what is refused as private is told over it."""

    def tell(reason: str) -> None:
        with suppress(OSError):
            lifeline.send(reason.encode()[:2000], socket.MSG_DONTWAIT)

    free = threading.BoundedSemaphore(MOST_CONNECTIONS)
    waiting = select.poll()
    waiting.register(listener, select.POLLIN)
    waiting.register(lifeline, select.POLLIN | select.POLLHUP)
    while True:
        for fd, _ in waiting.poll():
            if fd == lifeline.fileno():
                return
            client, _ = listener.accept()
            if not free.acquire(blocking=False):
                client.close()
                continue
            threading.Thread(target=_conversation, args=(client, credentials, rules, tell, free), daemon=True).start()


def _conversation(
    client: socket.socket, credentials: bytes, rules: Rules, tell: Tell, free: threading.BoundedSemaphore
) -> None:
    try:
        with client, suppress(OSError):
            client.settimeout(HEAD_S)
            try:
                server = _connect(client, credentials, rules)
            except Refused as refusal:
                if isinstance(refusal, PrivateAddress):
                    tell(refusal.reason)
                client.sendall(answer(refusal.status, refusal.reason))
            else:
                with server:
                    _relay(client, server, rules.idle_s)
    finally:
        free.release()


def _connect(client: socket.socket, credentials: bytes, rules: Rules) -> socket.socket:
    head, rest = _read_head(client)
    request = parse(head)
    if not hmac.compare_digest(request.credentials, credentials):
        raise Refused(407, "this proxy is not for you")
    server = reach(request.host, request.port, rules)
    try:
        if request.tunnel:
            client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        server.sendall(request.head + rest)
    except OSError:
        server.close()
        raise
    return server


def _read_head(client: socket.socket) -> tuple[bytes, bytes]:
    data = b""
    while END not in data:
        if len(data) > MOST_BYTES:
            raise Refused(431, "the head is too large")
        more = client.recv(MOST_BYTES)
        if not more:
            raise ConnectionError
        data += more
    head, _, rest = data.partition(END)
    return head, rest


def _relay(client: socket.socket, server: socket.socket, idle_s: float) -> None:
    """Carry bytes both ways until the server has said all, or both are silent for too long."""
    buffer = memoryview(bytearray(BUFFER_BYTES))
    other = {client.fileno(): (client, server), server.fileno(): (server, client)}
    waiting = select.poll()
    for end in (client, server):
        end.settimeout(idle_s)
        waiting.register(end, select.POLLIN)
    while ready := waiting.poll(1000 * idle_s):
        for fd, _ in ready:
            source, sink = other[fd]
            count = source.recv_into(buffer)
            if count:
                _pass_on(sink, buffer[:count])
            elif source is server:
                return
            else:
                waiting.unregister(client)
                server.shutdown(socket.SHUT_WR)


def _pass_on(sink: socket.socket, data: memoryview) -> None:
    """As slowly as it is taken: the wait is for the next bytes, not for all of them as in `sendall`."""
    while data:
        data = data[sink.send(data) :]
