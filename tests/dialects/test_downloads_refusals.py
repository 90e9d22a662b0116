"""Every refusal in the downloads dialect's words."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from progresshub import errors
from progresshub.dialects.downloads.refusals import (
    CODE,
    OPERATION,
    FeatureOff,
    NotCompleted,
    UnknownSubtitles,
    refuse,
)
from progresshub.errors import HubError
from progresshub.model import State
from progresshub.scheduling.inquiries import BadAddress
from progresshub.states import IllegalEvent


def said(error: HubError) -> Any:
    body: Any = refuse(error).body
    return orjson.loads(body)


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (errors.InvalidRequest(reason="not JSON"), 400, "VALIDATION_ERROR"),
        (errors.InvalidRequest(reason="Expected `str`, got `int` - at `$.url`"), 400, "INVALID_URL"),
        (errors.InvalidRequest(reason="Invalid enum value 'x' - at `$.format`"), 400, "INVALID_FORMAT"),
        (errors.InvalidRequest(reason="Invalid value 7 - at `$.format_id`"), 400, "INVALID_FORMAT"),
        (errors.InvalidRequest(reason="Expected `bool` - at `$.embed_thumbnail`"), 400, "VALIDATION_ERROR"),
        (errors.InvalidField(field="status", reason="there is none"), 400, "VALIDATION_ERROR"),
        (errors.InvalidPayload(kind="download", reason="url: it names no host"), 400, "INVALID_URL"),
        (errors.InvalidPayload(kind="download", reason="quality: no"), 400, "INVALID_FORMAT"),
        (BadAddress(reason="private"), 400, "INVALID_URL"),
        (errors.Unauthorized(), 401, "UNAUTHORIZED"),
        (errors.Forbidden(reason="no"), 403, "FORBIDDEN"),
        (FeatureOff(feature="progress_tracking"), 403, "FEATURE_DISABLED"),
        (errors.UnknownTask(task_id="x"), 404, "NOT_FOUND"),
        (errors.UnknownFile(task_id="x", name="y"), 404, "NOT_FOUND"),
        (errors.UnknownPath(path="/api/task"), 404, "NOT_FOUND"),
        (UnknownSubtitles(lang="en"), 404, "NOT_FOUND"),
        (errors.WrongMethod(path="/api/tasks", method="PUT"), 405, "METHOD_NOT_ALLOWED"),
        (errors.TooSlow(limit_s=30), 408, "REQUEST_TIMEOUT"),
        (errors.DuplicateTask(task_id="x"), 409, "ALREADY_EXISTS"),
        (errors.IdempotencyMismatch(key="k"), 409, "IDEMPOTENCY_MISMATCH"),
        (errors.TooLarge(limit_bytes=1), 413, "PAYLOAD_TOO_LARGE"),
        (errors.UnsupportedMedia(content_type="a/b", expected="c/d"), 415, "UNSUPPORTED_MEDIA_TYPE"),
        (errors.ForeignHost(host="evil"), 421, "MISDIRECTED_REQUEST"),
        (errors.TooMany(reason="of them"), 429, "TOO_MANY_REQUESTS"),
        (errors.Unavailable(reason="locked"), 503, "UNAVAILABLE"),
        (errors.StorageFull(), 507, "STORAGE_FULL"),
        (errors.Internal(), 500, "INTERNAL_ERROR"),
        (IllegalEvent(event="due", state="running"), 500, "INTERNAL_ERROR"),
    ],
)
def test_a_refusal_has_its_status_code_sentence_and_details(error: HubError, status: int, code: str) -> None:
    response = refuse(error)

    assert response.status == status
    assert said(error) == {
        "error": code,
        "message": error.message,
        "status_code": status,
        "details": error.details,
    }
    assert ("Retry-After" in response.headers) == (status in (429, 503))


@pytest.mark.parametrize(
    ("error", "current", "operation", "allowed"),
    [
        (
            errors.NotCancellable(task_id="x", state=State.FAILED),
            "failed",
            "cancel",
            ["pending", "downloading", "processing"],
        ),
        (
            errors.NotCancellable(task_id="x", state="being cancelled"),
            "cancelled",
            "cancel",
            ["pending", "downloading", "processing"],
        ),
        (
            errors.NotDeletable(task_id="x", state=State.RUNNING),
            "downloading",
            "delete",
            ["pending", "completed", "failed", "cancelled"],
        ),
        (NotCompleted(task_id="x", state=State.RETRYING), "pending", "download", ["completed"]),
    ],
)
def test_what_a_state_does_not_allow_is_told_with_the_states_that_do(
    error: HubError, current: str, operation: str, allowed: list[str]
) -> None:
    body = said(error)

    assert (body["error"], body["status_code"]) == ("INVALID_STATE", 409)
    assert body["details"] == {
        "task_id": "x",
        "current_state": current,
        "operation": operation,
        "allowed_states": allowed,
    }


def test_every_refusal_that_a_client_can_meet_has_its_words() -> None:
    other = {
        "unknown_kind",
        "unknown_pipeline",
        "unknown_queue",
        "no_progress",
        "not_retryable",
        "not_reportable",
        "internal",
        "refused",
    }
    found = {kind.code for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, HubError)}
    at_start = {kind.code for kind in errors.StartupError.__subclasses__()} | {errors.StartupError.code}
    ours = {kind.code for kind in (BadAddress, FeatureOff, NotCompleted, UnknownSubtitles)}

    assert (found - at_start - other) | ours == CODE.keys() | OPERATION.keys()
