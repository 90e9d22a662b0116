"""What a client may be answered instead of what it asked for: a code for programs, a message for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec


class ClientError(Exception):
    """Something was not to be had. `code` is a stable word."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.message = message
        self.code = code


class Unreachable(ClientError):
    """No server answers there."""

    def __init__(self, message: str) -> None:
        super().__init__(message, "UNREACHABLE")


class Ambiguous(ClientError):
    """Several tasks have ids that begin like this."""

    def __init__(self, message: str) -> None:
        super().__init__(message, "AMBIGUOUS")


class Refused(ClientError):
    """The server says no: `status` is HTTP's, `code`, `message` and `details` are the server's own."""

    def __init__(self, message: str, code: str, status: int, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message, code)
        self.status = status
        self.details = details or {}


class _Body(msgspec.Struct):
    error: str
    code: str = ""
    message: str = ""
    details: dict[str, Any] = {}


def refused(status: int, content: bytes) -> Refused:
    """What an answer of that status means, whoever gave it: it may have been a proxy's page."""
    try:
        body = msgspec.json.decode(content, type=_Body)
    except msgspec.DecodeError:
        return Refused(f"The server answers with status {status}.", f"HTTP_{status}", status)
    if body.code:
        return Refused(body.error, body.code, status, body.details)
    return Refused(body.message or body.error, body.error, status, body.details)


def unknown_task(task_id: str) -> Refused:
    return Refused(f"There is no task {task_id}.", "TASK_NOT_FOUND", 404, {"task_id": task_id})
