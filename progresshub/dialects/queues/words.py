"""The queues dialect's words: its states, bodies, frames and errors, as tables and pure functions."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from progresshub.clock import rfc3339
from progresshub.edge.redact import redact, redact_text
from progresshub.edge.sse import Frame
from progresshub.edge.wire import duration, encode, reply
from progresshub.errors import HubError
from progresshub.model import Event, EventId, EventType, Progress, State, Step, Task
from progresshub.storage.persistence import ENTRIES

STATE = {
    State.SCHEDULED: "scheduled",
    State.PENDING: "pending",
    State.RUNNING: "active",
    State.RETRYING: "retry",
    State.COMPLETED: "completed",
    State.FAILED: "archived",
    State.CANCELLED: "archived",  # this dialect has no word for it; last_err says it
}
STATUS = {State.COMPLETED: "completed", State.FAILED: "failed", State.CANCELLED: "cancelled"}
DONE = "Done"

CODE = {
    "invalid_request": (400, "INVALID_REQUEST"),
    "invalid_payload": (400, "INVALID_PAYLOAD"),
    "unknown_pipeline": (400, "INVALID_PAYLOAD"),
    "unknown_kind": (400, "INVALID_TASK_TYPE"),
    "bad_report": (400, "INVALID_REPORT"),
    "unauthorized": (401, "UNAUTHORIZED"),
    "forbidden": (403, "FORBIDDEN"),
    "unknown_path": (404, "NOT_FOUND"),
    "unknown_task": (404, "TASK_NOT_FOUND"),
    "unknown_queue": (404, "QUEUE_NOT_FOUND"),
    "unknown_file": (404, "FILE_NOT_FOUND"),
    "no_progress": (404, "PROGRESS_NOT_FOUND"),
    "wrong_method": (405, "METHOD_NOT_ALLOWED"),
    "too_slow": (408, "REQUEST_TIMEOUT"),
    "not_cancellable": (409, "CANCEL_FAILED"),
    "not_deletable": (409, "DELETE_FAILED"),
    "not_retryable": (409, "RETRY_FAILED"),
    "not_reportable": (409, "REPORT_FAILED"),
    "duplicate_task": (409, "TASK_ALREADY_EXISTS"),
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
    "timeout": "INVALID_TIMEOUT",
    "process_at": "INVALID_PROCESS_AT",
    "unique": "INVALID_UNIQUE",
    "start_id": "INVALID_START_ID",
}
RETRY_AFTER_S = "2"


class ErrorBody(msgspec.Struct):
    """What is said with every refusal."""

    error: str
    code: str
    details: dict[str, Any]


def refuse(error: HubError) -> web.Response:
    if error.code == "invalid_field":
        status, code = 400, FIELD_CODE.get(error.details["field"], "INVALID_REQUEST")
    else:
        status, code = CODE.get(error.code, (500, "INTERNAL_ERROR"))
    headers = {"Retry-After": RETRY_AFTER_S} if status in (429, 503) else None
    return reply(ErrorBody(error.message, code, error.details), status, headers)


class Entry(msgspec.Struct, omit_defaults=True):
    """One point of a task's progress. `percentage` is 0 while the total is unknown, and `indeterminate` says so."""

    task_id: str
    percentage: int
    stage: str
    message: str
    timestamp_ms: int
    indeterminate: bool = False
    current: float | None = None
    total: float | None = None
    unit: str = ""
    speed_bps: float | None = None
    eta_seconds: float | None = None
    metadata: dict[str, Any] = {}


def entry(task: Task, at: EventId) -> Entry:
    progress = task.progress or Progress()
    percent = progress.percent
    return Entry(
        task_id=task.id,
        percentage=_whole(percent, task.state),
        stage=STATUS.get(task.state, progress.stage),
        message=_message(task, progress),
        timestamp_ms=at.ms,
        indeterminate=percent is None and not task.final,
        current=progress.current,
        total=progress.total,
        unit=progress.unit,
        speed_bps=None if task.final else progress.speed_bps,
        eta_seconds=None if task.final or progress.eta_ms is None else progress.eta_ms / 1000,
        metadata=progress.metadata,
    )


def _whole(percent: float | None, state: State) -> int:
    """Rounded down, and 100 only for what is completed."""
    if state is State.COMPLETED:
        return 100
    return min(99, int(percent or 0))


def _message(task: Task, progress: Progress) -> str:
    if task.state in (State.FAILED, State.CANCELLED) and task.error is not None:
        return redact_text(task.error.message)
    return progress.message or (DONE if task.state is State.COMPLETED else "")


def status(task: Task) -> str:
    """The word for how it ended; empty while it has not."""
    return STATUS.get(task.state, "")


def frames(event: Event) -> list[Frame]:
    """What a watcher of one task sees of an event."""
    if event.type is EventType.DELETED:
        return [done(event.task, event.id, "deleted")]
    if event.type not in ENTRIES:
        return []
    shown = Frame("progress", encode(entry(event.task, event.id)), event.id)
    return [shown, done(event.task, event.id)] if event.task.final else [shown]


def history_frames(event: Event) -> list[Frame]:
    """The same for what had happened before."""
    past = Frame("history", encode(entry(event.task, event.id)), event.id)
    return [past, done(event.task, event.id)] if event.task.final else [past]


def done(task: Task, at: EventId, word: str = "") -> Frame:
    return Frame("done", encode({"task_id": task.id, "status": word or status(task)}), at)


def all_done(task_ids: list[str], at: EventId) -> Frame:
    """What ends a stream of several tasks."""
    return Frame("done", encode({"task_ids": task_ids}), at)


def gap(seen: EventId, now: EventId, live: list[Task]) -> Frame:
    """What is said instead of more events than are told one by one: from where to where, and how live tasks stand."""
    return Frame("gap", encode({"after": str(seen), "until": str(now), "tasks": [body(task) for task in live]}), now)


def multi_frames(event: Event) -> list[Frame]:
    """What a watcher of several tasks sees of an event."""
    if event.type is EventType.DELETED and not event.task.final:
        return [_of_several(event, "deleted")]
    return [_of_several(event, status(event.task))] if event.type in ENTRIES else []


def _of_several(event: Event, ending: str) -> Frame:
    body: dict[str, Any] = {"task_id": event.task.id, "progress": entry(event.task, event.id)}
    if ending:
        body.update(is_final=True, status=ending)
    return Frame("progress", encode(body), event.resume or event.id)


def all_frames(event: Event) -> list[Frame]:
    """What a watcher of everything sees of an event."""
    return [Frame(event.type.value, encode({"type": event.type, "task": body(event.task)}), event.resume or event.id)]


class StepBody(msgspec.Struct, omit_defaults=True):
    """A part of a task. Times are RFC 3339."""

    name: str
    state: str
    weight: float = 1.0
    percentage: int = 0
    message: str = ""
    started_at: str | None = None
    finished_at: str | None = None
    result: Any = None
    error: str = ""


class TaskBody(msgspec.Struct, omit_defaults=True):
    """A task as the queues dialect shows it. Times are RFC 3339, `timeout` a duration."""

    id: str
    queue: str
    type: str
    state: str
    max_retry: int
    retried: int
    last_err: str
    next_process_at: str | None = None
    title: str = ""
    priority: int = 0
    timeout: str = ""
    attempt: int = 0
    crashes: int = 0
    cancelling: bool = False
    stalled: bool = False
    origin: str = ""
    retry_of: str = ""
    created_at: str = ""
    started_at: str | None = None
    finished_at: str | None = None
    progress: Entry | None = None
    stream_id: str = ""
    steps: list[StepBody] = []
    payload: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    result: Any = None
    error: dict[str, Any] | None = None


def body(task: Task) -> TaskBody:
    spec = task.spec
    error = task.error
    return TaskBody(
        id=spec.id,
        queue=spec.queue,
        type=spec.kind,
        state=STATE[task.state],
        max_retry=spec.max_retries,
        retried=task.failures if not task.final else min(task.failures, spec.max_retries),
        last_err=redact_text(error.message) if error else "",
        next_process_at=_time(task.due_ms),
        title=redact_text(spec.title),
        priority=spec.priority,
        timeout=duration(spec.timeout_ms) if spec.timeout_ms else "",
        attempt=task.attempt,
        crashes=task.crashes,
        cancelling=task.cancelling,
        stalled=task.stalled,
        origin=spec.origin,
        retry_of=spec.retry_of,
        created_at=rfc3339(spec.created_ms),
        started_at=_time(task.started_ms),
        finished_at=_time(task.finished_ms),
        progress=entry(task, task.entry) if task.entry and (task.progress or task.final) else None,
        stream_id=str(task.entry or ""),
        steps=[_step(step) for step in task.steps],
        payload=redact(spec.payload),
        metadata=redact(spec.metadata),
        result=redact(task.result),
        error={"type": error.type, "message": redact_text(error.message), "details": error.details} if error else None,
    )


def _step(step: Step) -> StepBody:
    return StepBody(
        name=step.name,
        state=step.state.value,
        weight=step.weight,
        percentage=int(step.percent or 0),
        message=step.message,
        started_at=_time(step.started_ms),
        finished_at=_time(step.finished_ms),
        result=redact(step.result),
        error=redact_text(step.error),
    )


def _time(ms: int | None) -> str | None:
    return None if ms is None else rfc3339(ms)
