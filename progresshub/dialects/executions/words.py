"""The executions dialect's words: its states, ids, bodies, messages and errors, as tables and pure functions."""

from __future__ import annotations

import math
import re
from typing import Any, Literal

import msgspec
from aiohttp import web

from progresshub.clock import rfc3339
from progresshub.edge.redact import redact, redact_text
from progresshub.edge.wire import encode, reply
from progresshub.errors import HubError
from progresshub.model import Event, EventType, State, StepState, Task

ORIGIN = "executions"
PIPELINE = "pipeline"
INLINE = "inline"
CALLBACK_URL = "callback_url"

STATUS = {
    State.SCHEDULED: "pending",
    State.PENDING: "pending",
    State.RUNNING: "running",
    State.RETRYING: "pending",
    State.COMPLETED: "completed",
    State.FAILED: "failed",
    State.CANCELLED: "cancelled",
}
Status = Literal["pending", "running", "completed", "failed", "cancelled"]
Type = Literal["agent", "pipeline"]

CODE = {
    "not_cancellable": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "unknown_path": 404,
    "unknown_task": 404,
    "unknown_kind": 404,
    "unknown_pipeline": 404,
    "wrong_method": 405,
    "too_slow": 408,
    "duplicate_task": 409,
    "idempotency_mismatch": 409,
    "too_large": 413,
    "unsupported_media": 415,
    "foreign_host": 421,
    "upgrade_needed": 426,
    "too_many": 429,
    "unavailable": 503,
    "storage_full": 507,
}
UNPROCESSABLE = frozenset({"invalid_request", "invalid_field", "invalid_payload"})
RETRY_AFTER_S = "2"

_SHORT = re.compile(r"exec_([0-9a-f]{12})")
_AT = re.compile(r"(.*) - at `(?:key in )?\$([^`]*)`", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `([^`]*)`")
_KEY = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]")


class ErrorBody(msgspec.Struct):
    """What is said with a refusal."""

    detail: str


class Mismatch(msgspec.Struct):
    """One thing that is wrong with a request: where, in words, and a word for programs."""

    loc: list[str | int]
    msg: str
    type: str


class Invalid(msgspec.Struct):
    detail: list[Mismatch]


def refuse(error: HubError) -> web.Response:
    if error.code in UNPROCESSABLE:
        return reply(Invalid([_mismatch(error)]), 422)
    status = CODE.get(error.code, 500)
    return reply(ErrorBody(error.message), status, {"Retry-After": RETRY_AFTER_S} if status in (429, 503) else None)


def _mismatch(error: HubError) -> Mismatch:
    reason = str(error.details.get("reason", error.message))
    if error.code == "invalid_field":
        return Mismatch(["body", *str(error.details["field"]).split(".")], reason, "value_error")
    if error.code == "invalid_payload":
        whole = error.details["kind"] == PIPELINE and not reason.startswith("inputs")
        return Mismatch(["body", "config" if whole else "inputs"], reason, "value_error")
    place: list[str | int] = [str(error.details.get("where", "body"))]
    if found := _AT.fullmatch(reason):
        reason = found[1]
        place += [key or int(index) for key, index in _KEY.findall(found[2])]
    if missing := _MISSING.fullmatch(reason):
        return Mismatch([*place, missing[1]], "field required", "missing")
    return Mismatch(place, reason.replace("`", ""), "value_error")


def execution_id(task_id: str) -> str:
    return f"exec_{task_id.replace('-', '')[:12]}"


def short_id(text: str) -> str | None:
    """The beginning of the task's id that an execution's id holds; None for what is none."""
    match = _SHORT.fullmatch(text)
    return None if match is None else match[1]


def type_of(task: Task) -> Type:
    return "pipeline" if task.spec.kind == PIPELINE else "agent"


def target_of(task: Task) -> str:
    """What a client named as `target_id`, or would have."""
    return str(task.spec.payload.get("name", INLINE)) if task.spec.kind == PIPELINE else task.spec.kind


class ProgressBody(msgspec.Struct):
    """`current_step` counts from 0; `percentage` is of the whole, 100.0 only when it is completed."""

    current_step: int
    total_steps: int
    percentage: float
    current_step_name: str | None


class ErrorOf(msgspec.Struct):
    """Why an execution failed; `type` is a stable word for programs."""

    type: str
    message: str
    details: dict[str, Any]


class Execution(msgspec.Struct):
    """An execution. Times are RFC 3339; of `outputs` and `error` one at least is null."""

    execution_id: str
    type: Type
    target_id: str
    status: Status
    progress: ProgressBody | None
    outputs: dict[str, Any] | None
    error: ErrorOf | None
    started_at: str | None
    completed_at: str | None
    failed_at: str | None


def body(task: Task) -> Execution:
    ended = None if task.finished_ms is None else rfc3339(task.finished_ms)
    return Execution(
        execution_id=execution_id(task.id),
        type=type_of(task),
        target_id=target_of(task),
        status=STATUS[task.state],  # type: ignore[arg-type]
        progress=progress(task),
        outputs=outputs(task),
        error=error(task),
        started_at=None if task.started_ms is None else rfc3339(task.started_ms),
        completed_at=ended if task.state is State.COMPLETED else None,
        failed_at=ended if task.state is State.FAILED else None,
    )


def progress(task: Task) -> ProgressBody | None:
    """How far it is; None while nobody knows."""
    percent = None if task.progress is None else task.progress.percent
    if task.state is State.COMPLETED:
        percent = 100.0
    if percent is None:
        return None
    current = _current(task)
    if task.steps:
        name: str | None = task.steps[current].name
    else:
        name = (task.progress and task.progress.stage) or task.spec.kind
    shown = 100.0 if task.state is State.COMPLETED else min(99.9, math.floor(percent * 10 + 1e-9) / 10)
    return ProgressBody(current, len(task.steps) or 1, shown, name)


def _current(task: Task) -> int:
    """The step it is at: the first that runs, or where it failed, or the next to begin; or the last of all."""
    if task.state is State.COMPLETED or not task.steps:
        return max(0, len(task.steps) - 1)
    if task.state is State.FAILED and task.error is not None:
        names = [step.name for step in task.steps]
        if (failed := task.error.details.get("step")) in names:
            return names.index(failed)
    states = [step.state for step in task.steps]
    order = (
        (StepState.RUNNING, StepState.WAITING) if task.state is State.RUNNING else (StepState.FAILED, StepState.WAITING)
    )
    return next((states.index(state) for state in order if state in states), len(states) - 1)


def outputs(task: Task) -> dict[str, Any] | None:
    """Of a pipeline each step's result by name; of a single step its result, in an object if it is none."""
    if task.state is not State.COMPLETED:
        return None
    shown = redact(task.result)
    return shown if isinstance(shown, dict) else {"result": shown}


def error(task: Task) -> ErrorOf | None:
    if task.state is not State.FAILED or task.error is None:
        return None
    return ErrorOf(task.error.type, redact_text(task.error.message), redact(task.error.details))


def messages(event: Event) -> list[bytes]:
    """What a watcher sees of an event."""
    task, at_ms = event.task, event.id.ms
    match event.type:
        case EventType.STARTED:
            return [_message("started", task, at_ms)]
        case EventType.PROGRESSED | EventType.STAGED:
            known = progress(task)
            return [] if known is None else [_message("progress", task, at_ms, progress=known)]
        case EventType.COMPLETED | EventType.FAILED | EventType.CANCELLED:
            return [final(task, at_ms)]
        case EventType.DELETED:
            return [] if task.final else [problem(f"Execution {execution_id(task.id)} was deleted.", at_ms)]
    return []


def status(task: Task, at_ms: int) -> bytes:
    """What a watcher sees first."""
    return _message("status", task, at_ms, status=STATUS[task.state], progress=progress(task))


def final(task: Task, at_ms: int) -> bytes:
    """What a watcher sees last."""
    return _message(STATUS[task.state], task, at_ms, outputs=outputs(task), error=error(task))


def problem(message: str, at_ms: int) -> bytes:
    return encode({"type": "error", "message": message, "timestamp": rfc3339(at_ms)})


def _message(kind: str, task: Task, at_ms: int, **more: Any) -> bytes:
    return encode({"type": kind, "execution_id": execution_id(task.id), "timestamp": rfc3339(at_ms), **more})


def callback(task: Task) -> bytes:
    """What is sent to the address that was named with the execution, when it has ended."""
    word = STATUS[task.state]
    return encode(
        {
            "event": f"execution.{word}",
            "execution_id": execution_id(task.id),
            "status": word,
            "outputs": outputs(task),
            "error": error(task),
            "timestamp": rfc3339(task.finished_ms or task.changed.ms),
        }
    )


def callback_url(task: Task) -> str:
    """Where that is to be sent; empty for nowhere."""
    url = task.spec.metadata.get(CALLBACK_URL) if task.spec.origin == ORIGIN else None
    return url if isinstance(url, str) else ""
