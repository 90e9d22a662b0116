"""How the stems dialect says no: that it is an error, a sentence, and the status once more."""

from __future__ import annotations

import msgspec
from aiohttp import web

from progresshub.edge.wire import reply
from progresshub.errors import HubError

STATUS = {
    "invalid_request": 400,
    "unsupported_audio": 400,
    "invalid_name": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "unknown_path": 404,
    "unknown_task": 404,
    "unknown_file": 404,
    "wrong_method": 405,
    "too_slow": 408,
    "not_completed": 409,
    "not_cancellable": 409,
    "not_deletable": 409,
    "duplicate_task": 409,
    "idempotency_mismatch": 409,
    "too_large": 413,
    "unsupported_media": 415,
    "foreign_host": 421,
    "invalid_form": 422,
    "invalid_field": 422,
    "invalid_payload": 422,
    "upgrade_needed": 426,
    "too_many": 429,
    "unavailable": 503,
    "storage_full": 507,
}
RETRY_AFTER_S = "2"


class InvalidForm(HubError):
    """{field}: {reason}."""

    code = "invalid_form"


class UnsupportedAudio(HubError):
    """Unsupported audio format: {name} holds none of {formats}."""

    code = "unsupported_audio"


class InvalidName(HubError):
    """{name} is not the plain name of a file."""

    code = "invalid_name"


class NotCompleted(HubError):
    """Job {job_id} is {status}; its results are there when it is completed."""

    code = "not_completed"


class NothingMade(NotCompleted):
    """Job {job_id} has failed and has no results."""


class ErrorBody(msgspec.Struct):
    """What is said with every refusal."""

    error: bool
    message: str
    status_code: int


def refuse(error: HubError) -> web.Response:
    status = STATUS.get(error.code, 500)
    headers = {"Retry-After": RETRY_AFTER_S} if status in (429, 503) else None
    return reply(ErrorBody(True, error.message, status), status, headers)
