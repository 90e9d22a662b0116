"""How the downloads dialect says no: a code, a sentence, the status once more, and what it depends on."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import msgspec
from aiohttp import web

from progresshub.dialects.downloads.words import CANCELLED, DOWNLOADING, PROCESSING, STATUS, STATUSES
from progresshub.edge.wire import reply
from progresshub.errors import HubError
from progresshub.model import FINAL, State

CODE = {
    "invalid_request": (400, "VALIDATION_ERROR"),
    "invalid_field": (400, "VALIDATION_ERROR"),
    "invalid_payload": (400, "VALIDATION_ERROR"),
    "bad_address": (400, "INVALID_URL"),
    "unauthorized": (401, "UNAUTHORIZED"),
    "forbidden": (403, "FORBIDDEN"),
    "feature_off": (403, "FEATURE_DISABLED"),
    "unknown_path": (404, "NOT_FOUND"),
    "unknown_task": (404, "NOT_FOUND"),
    "unknown_file": (404, "NOT_FOUND"),
    "unknown_subtitles": (404, "NOT_FOUND"),
    "wrong_method": (405, "METHOD_NOT_ALLOWED"),
    "too_slow": (408, "REQUEST_TIMEOUT"),
    "duplicate_task": (409, "ALREADY_EXISTS"),
    "idempotency_mismatch": (409, "IDEMPOTENCY_MISMATCH"),
    "too_large": (413, "PAYLOAD_TOO_LARGE"),
    "unsupported_media": (415, "UNSUPPORTED_MEDIA_TYPE"),
    "foreign_host": (421, "MISDIRECTED_REQUEST"),
    "upgrade_needed": (426, "UPGRADE_REQUIRED"),
    "too_many": (429, "TOO_MANY_REQUESTS"),
    "unavailable": (503, "UNAVAILABLE"),
    "storage_full": (507, "STORAGE_FULL"),
}
FIELD_CODE = {
    "url": "INVALID_URL",
    "format": "INVALID_FORMAT",
    "format_id": "INVALID_FORMAT",
    "quality": "INVALID_FORMAT",
}
RETRY_AFTER_S = "2"
STATES = frozenset(State)
_FIELD = re.compile(r"(?:^|`\$\.)(url|format_id|format|quality)\b")


class NotCompleted(HubError):
    """Task {task_id} is {state}; what it makes is there when it is completed."""

    code = "not_completed"


class FeatureOff(HubError):
    """The feature {feature} is switched off in the settings of this server."""

    code = "feature_off"


class UnknownSubtitles(HubError):
    """There are no subtitles in {lang}."""

    code = "unknown_subtitles"


class Operation(NamedTuple):
    """Something that a task's state may not allow, and the states that do."""

    name: str
    allowed: frozenset[State]


OPERATION = {
    "not_cancellable": Operation("cancel", frozenset(State) - FINAL),
    "not_deletable": Operation("delete", frozenset(State) - {State.RUNNING}),
    "not_completed": Operation("download", frozenset({State.COMPLETED})),
}


class ErrorBody(msgspec.Struct):
    """What is said with every refusal."""

    error: str
    message: str
    status_code: int
    details: dict[str, Any]


def refuse(error: HubError) -> web.Response:
    details = error.details
    if error.code in OPERATION:
        status, code = 409, "INVALID_STATE"
        details = _state(details, OPERATION[error.code])
    else:
        status, code = CODE.get(error.code, (500, "INTERNAL_ERROR"))
        if code == "VALIDATION_ERROR":
            code = FIELD_CODE.get(_field(error), code)
    headers = {"Retry-After": RETRY_AFTER_S} if status in (429, 503) else None
    return reply(ErrorBody(code, error.message, status, details), status, headers)


def _field(error: HubError) -> str:
    """The field that is wrong, which the sentence names first, or where the value was found."""
    if "field" in error.details:
        return str(error.details["field"])
    found = _FIELD.search(str(error.details.get("reason", "")))
    return found[1] if found else ""


def _state(details: dict[str, Any], operation: Operation) -> dict[str, Any]:
    state = details.get("state")
    word = STATUS[State(state)] if state in STATES else CANCELLED  # what is being cancelled counts as if it were
    words = {STATUS[known] for known in operation.allowed}
    allowed = [known for known in STATUSES if known in words or (known == PROCESSING and DOWNLOADING in words)]
    return {
        "task_id": details.get("task_id", ""),
        "current_state": word,
        "operation": operation.name,
        "allowed_states": allowed,
    }
