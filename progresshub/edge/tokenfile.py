"""The tokens on disk: `token`, this machine's own, and `tokens.json`, those made by command line.

The first is for its owner's eyes alone, of the others only hashes are kept. A file is replaced as a
whole, so nobody ever reads half of one.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any

import msgspec

from progresshub.clock import Clock
from progresshub.errors import InvalidField, StartupError
from progresshub.places import TOKEN

LADDER = ("read", "submit", "command", "admin")
STORE = "tokens.json"
PREFIX = "ph_"  # so that no token begins with a dash, and whoever looks for leaked secrets knows one
READ_BYTES = 1_024
_NAME = re.compile(r"[\w.@-]{1,64}", re.ASCII)


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a token that was made; the token itself is not."""

    sha256: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
    scopes: tuple[str, ...]
    created_ms: int = 0


def digest(token: str) -> bytes:
    return sha256(token.encode(errors="surrogateescape")).digest()


def local_token(data: Path) -> str:
    """This machine's own token: read from its file, or made where there is none that only its owner can read."""
    path = data / TOKEN
    try:
        if token := _private_text(path):
            return token
        token = _fresh()
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        _replace(path, f"{token}\n".encode())
    except OSError as error:
        raise StartupError(reason=f"the token file {path} can't be used: {error.strerror}") from None
    return token


def create(data: Path, name: str, scopes: Sequence[str], clock: Clock | None = None) -> str:
    """Make a token with a name of its own and return it; it can't be shown again."""
    if not _NAME.fullmatch(name):
        raise InvalidField(field="name", reason="1 to 64 letters, digits, dots, dashes, @ or underscores")
    if not scopes or not set(scopes) <= set(LADDER):
        raise InvalidField(field="scopes", reason=f"one or more of {', '.join(LADDER)}")
    token = _fresh()
    with _changing(data) as tokens:
        if name in tokens:
            raise InvalidField(field="name", reason=f"there is a token called {name} already")
        now_ms = (clock or Clock()).now_ms()
        tokens[name] = Kept(sha256=digest(token).hex(), scopes=tuple(scopes), created_ms=now_ms)
    return token


def revoke(data: Path, name: str) -> None:
    with _changing(data) as tokens:
        if tokens.pop(name, None) is None:
            raise InvalidField(field="name", reason=f"there is no token called {name}")


def listed(data: Path) -> Mapping[str, Kept]:
    """The tokens that were made, oldest first."""
    path = data / STORE
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Kept])
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.DecodeError) as error:
        raise StartupError(reason=f"{path} can't be read ({error}); mend it or take it away") from None


def revision(data: Path) -> Any:
    """A value that changes with the list."""
    try:
        info = (data / STORE).stat()
    except FileNotFoundError:
        return None
    return info.st_ino, info.st_mtime_ns


@contextmanager
def _changing(data: Path) -> Iterator[dict[str, Kept]]:
    """The list, to be changed by one process at a time."""
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (data / f"{STORE}.lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        tokens = dict(listed(data))
        yield tokens
        _replace(data / STORE, msgspec.json.format(msgspec.json.encode(tokens)) + b"\n")


def _fresh() -> str:
    """256 bits."""
    return PREFIX + secrets.token_urlsafe(32)


def _private_text(path: Path) -> str:
    """What the file says, if it is there and nobody else can have read or written it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return ""
    with os.fdopen(descriptor, "rb") as file:
        info = os.fstat(descriptor)
        private = stat.S_ISREG(info.st_mode) and info.st_uid == os.geteuid() and not info.st_mode & 0o077
        return file.read(READ_BYTES).decode(errors="replace").strip() if private else ""


def _replace(path: Path, data: bytes) -> None:
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
