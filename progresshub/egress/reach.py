"""Connects to what was asked for, at an address that was checked.

The name is resolved once; what is connected to is one of the addresses that were looked at, so that a
name can't lead elsewhere in between.
"""

from __future__ import annotations

import base64
import socket

from progresshub.addresses import is_public
from progresshub.egress.request import END, MOST_BYTES, Refused
from progresshub.egress.rules import Rules, Upstream


class PrivateAddress(Refused):
    """A place that downloads must not reach."""

    def __init__(self, host: str, address: str) -> None:
        where = host if host == address else f"{host} ({address})"
        super().__init__(403, f"{where} is a private address; downloads are made from public ones only")


def reach(host: str, port: int, rules: Rules) -> socket.socket:
    """A connection to the place, or Refused."""
    try:
        if rules.upstream is not None:
            return _through(rules.upstream, *_checked_name(host, port, rules), rules.connect_s)
        return _direct(host, port, rules)
    except TimeoutError:
        raise Refused(504, f"{host} does not answer") from None
    except OSError as error:
        raise Refused(502, f"{host} can't be reached: {error.strerror or error}") from None


def _addresses(host: str, port: int, rules: Rules) -> list[str]:
    """All that the name stands for; one private address among them is one too many."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError:
        raise Refused(400, "the host's name can't be read") from None
    addresses = list(dict.fromkeys(str(place[0]) for *_, place in found))
    if not rules.may_be_private(host, port):
        for address in addresses:
            if not is_public(address):
                raise PrivateAddress(host, address)
    return addresses


def _direct(host: str, port: int, rules: Rules) -> socket.socket:
    last: OSError = OSError("it has no address")
    for address in _addresses(host, port, rules):
        try:
            connection = socket.create_connection((address, port), rules.connect_s)
        except OSError as error:
            last = error
            continue
        if not rules.may_be_private(host, port) and connection.getpeername()[0] == connection.getsockname()[0]:
            connection.close()
            raise PrivateAddress(host, address)  # it is this machine itself, by its public name
        return connection
    raise last


def _checked_name(host: str, port: int, rules: Rules) -> tuple[str, int]:
    """What to tell the next proxy: an address, so that it does not resolve the name anew."""
    return (host, port) if rules.may_be_private(host, port) else (_addresses(host, port, rules)[0], port)


def _through(upstream: Upstream, host: str, port: int, timeout_s: float) -> socket.socket:
    connection = socket.create_connection((upstream.host, upstream.port), timeout_s)
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    secret = base64.b64encode(f"{upstream.user}:{upstream.password}".encode()).decode()
    login = f"Proxy-Authorization: Basic {secret}\r\n" if upstream.user else ""
    try:
        connection.sendall(f"CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n{login}\r\n".encode())
        status = _status(connection)
        if status != 200:
            raise Refused(502, f"the proxy of the settings answers {status}")
    except (OSError, Refused):
        connection.close()
        raise
    return connection


def _status(connection: socket.socket) -> int:
    """The status of the answer; not a byte behind its head is taken."""
    head = b""
    while not head.endswith(END) and len(head) < MOST_BYTES:
        byte = connection.recv(1)
        if not byte:
            break
        head += byte
    words = head.split(b" ", 2)
    return int(words[1]) if len(words) > 1 and words[1].isdigit() else 502
