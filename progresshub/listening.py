"""The addresses a server listens on, as text and as sockets."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

from progresshub.errors import AddressTaken
from progresshub.settings import Server

UNIX = "unix:"
BACKLOG = 2_048


def addresses(settings: Server) -> tuple[str, ...]:
    """`host:port` or `unix:PATH`, as many as there are."""
    return settings.listen or (
        f"[{settings.host}]:{settings.port}" if ":" in settings.host else f"{settings.host}:{settings.port}",
    )


def listen(address: str) -> socket.socket:
    """A socket that listens there; AddressTaken says why it can't."""
    try:
        return _unix(Path(address.removeprefix(UNIX))) if address.startswith(UNIX) else _tcp(address)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise AddressTaken(address=address, reason=reason) from None


def url(listening: socket.socket) -> str:
    """How clients on this machine reach it."""
    name = listening.getsockname()
    if isinstance(name, str):
        return f"{UNIX}{name}"
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(name[0], name[0])  # noqa: S104 - taken out, not listened on
    return f"http://[{host}]:{name[1]}" if ":" in host else f"http://{host}:{name[1]}"


def _tcp(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    found = socket.getaddrinfo(host.strip("[]") or None, int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, kind, protocol, _, where = found[0]
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(where)
        listening.listen(BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening


def _unix(path: Path) -> socket.socket:
    _remove_left_over(path)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listening.bind(os.fspath(path))
        path.chmod(0o600)
        listening.listen(BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening


def _remove_left_over(path: Path) -> None:
    """A socket that nobody listens on any more; one that answers is somebody else's."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            return
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        if probe.connect_ex(os.fspath(path)) != 0:
            path.unlink()
