"""The head of a proxy request, read and written anew.

Sans-I/O. What can be understood in two ways is refused, and what is sent on is built from what was
understood: the host that was checked is the host that is named.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

MOST_BYTES = 65_536
END = b"\r\n\r\n"

_LINE = re.compile(rb"([A-Z]{1,20}) ([\x21-\x7e]+) HTTP/1\.[01]")
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n\x00]*)")
_AUTHORITY = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\s:/?#@\[\]]+)):(\d{1,5})")
_DROPPED = frozenset(b"connection host keep-alive proxy-authorization proxy-connection te upgrade".split())
_METHODS = frozenset({"GET", "HEAD", "POST"})


class Refused(Exception):
    """Why a request is not served: the status and the words of the answer."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """`head` is what goes to the server before anything else; for a tunnel there is none."""

    host: str
    port: int
    credentials: bytes
    head: bytes

    @property
    def tunnel(self) -> bool:
        return not self.head


def parse(head: bytes) -> Request:
    """Understand a head, without the empty line that ends it; Refused if that is not possible."""
    first, *lines = head.split(b"\r\n")
    line = _LINE.fullmatch(first)
    if line is None:
        raise Refused(400, "this is no request")
    headers = [_header(one) for one in lines]
    credentials = next((value for name, value in headers if name.lower() == b"proxy-authorization"), b"")
    method, target = line[1].decode(), line[2].decode()
    if method == "CONNECT":
        host, port = _authority(target)
        return Request(host=host, port=port, credentials=credentials, head=b"")
    if method not in _METHODS:
        raise Refused(405, f"{method} is not passed on")
    host, port, path = _absolute(target)
    named = f"[{host}]" if ":" in host else host
    kept = [(name, value) for name, value in headers if name.lower() not in _DROPPED]
    kept += [(b"Host", (named if port == 80 else f"{named}:{port}").encode()), (b"Connection", b"close")]
    lines = [f"{method} {path} HTTP/1.1".encode(), *(name + b": " + value for name, value in kept)]
    return Request(host=host, port=port, credentials=credentials, head=b"\r\n".join(lines) + END)


def answer(status: int, reason: str) -> bytes:
    """A whole answer that says why not, and that it is not the site's."""
    body = f"{reason}\n".encode("ascii", "replace")
    login = b'Proxy-Authenticate: Basic realm="egress"\r\n' if status == 407 else b""
    shown = re.sub(rb"[^\x20-\x7e]", b"?", body[:-1])
    headers = b"Egress: refused\r\nContent-Type: text/plain\r\nConnection: close\r\n"
    return b"HTTP/1.1 %d %s\r\n%s%sContent-Length: %d\r\n\r\n%s" % (status, shown, login, headers, len(body), body)


def _header(line: bytes) -> tuple[bytes, bytes]:
    match = _HEADER.fullmatch(line)
    if match is None:
        raise Refused(400, "a header can't be read")
    return match[1], match[2]


def _authority(target: str) -> tuple[str, int]:
    match = _AUTHORITY.fullmatch(target)
    if match is None or not 0 < int(match[3]) < 65_536:
        raise Refused(400, "the target can't be read")
    return match[1] or match[2], int(match[3])


def _absolute(target: str) -> tuple[str, int, str]:
    try:
        parts = urlsplit(target)
        port = parts.port or 80
    except ValueError:
        raise Refused(400, "the target can't be read") from None
    if parts.scheme != "http" or not parts.hostname:
        raise Refused(400, "only http and https are passed on")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return parts.hostname, port, path
