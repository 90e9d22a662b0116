"""The downloads dialect's words: its statuses, bodies, events and messages, as tables and pure functions.

Numbers that clients of this API format are never null; what is not known is said beside them.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from progresshub.clock import naive
from progresshub.edge.redact import redact_text
from progresshub.edge.wire import encode
from progresshub.model import Event, EventType, Progress, State, Task
from progresshub.registry.traffic import BYTES, counted
from progresshub.storage.persistence import tenths

PENDING, DOWNLOADING, PROCESSING = "pending", "downloading", "processing"
COMPLETED, FAILED, CANCELLED = "completed", "failed", "cancelled"

STATUS = {
    State.SCHEDULED: PENDING,
    State.PENDING: PENDING,
    State.RUNNING: DOWNLOADING,  # or processing, by its stage
    State.RETRYING: PENDING,
    State.COMPLETED: COMPLETED,
    State.FAILED: FAILED,
    State.CANCELLED: CANCELLED,
}
STATUSES = tuple(dict.fromkeys((PENDING, DOWNLOADING, PROCESSING, *STATUS.values())))
WAITING = frozenset(state for state, word in STATUS.items() if word == PENDING)
FINISHING = frozenset({"merging", "processing", "finalizing"})
"""The stages in which something is done with what is there."""

EVENT = {
    EventType.SUBMITTED: "task_created",
    EventType.SCHEDULED: "task_created",
    EventType.STARTED: "download_started",
    EventType.PROGRESSED: "progress_update",
    EventType.STAGED: "progress_update",  # or post_processing, by the stage
    EventType.STALLED: "download_stalled",
    EventType.REVIVED: "download_resumed",
    EventType.RETRYING: "task_retrying",
    EventType.COMPLETED: "task_completed",
    EventType.FAILED: "task_failed",
    EventType.CANCELLED: "task_cancelled",
}
UPDATES = frozenset({EventType.PROGRESSED, EventType.STAGED})

UNITS = ("KB/s", "MB/s", "GB/s", "TB/s")


class Detail(msgspec.Struct):
    """All about a task's progress. `total_bytes` is null while nobody knows it, and `indeterminate` is there
    while `progress` means nothing."""

    task_id: str
    url: str
    title: str
    status: str
    progress: float
    current_bytes: int
    total_bytes: int | None
    speed_bps: float
    eta_seconds: float | None
    filename: str | None
    file_size: int | None
    error_message: str | None
    created_at: str
    started_at: str | None
    completed_at: str | None
    stage: str
    message: str
    indeterminate: bool | UnsetType = UNSET
    stalled: bool | UnsetType = UNSET


class Summary(msgspec.Struct):
    task_id: str
    status: str
    progress: float
    speed_bps: float
    eta_seconds: float | None
    time_remaining: str | None
    indeterminate: bool | UnsetType = UNSET


class Status(msgspec.Struct):
    task_id: str
    status: str
    progress: float
    filename: str | None
    file_size: int | None
    title: str
    thumbnail_url: str | None
    error_message: str | None
    created_at: str
    completed_at: str | None


class Listed(msgspec.Struct):
    task_id: str
    url: str
    status: str
    progress: float
    title: str
    format: str
    created_at: str


class InProgress(msgspec.Struct):
    task_id: str
    title: str
    status: str
    progress: float
    speed_bps: float


class Happened(msgspec.Struct):
    """Something that happened to a task; `details` depend on what it was."""

    event: str
    timestamp: str
    details: dict[str, Any]


def status(task: Task) -> str:
    if task.state is not State.RUNNING:
        return STATUS[task.state]
    return PROCESSING if task.progress and task.progress.stage in FINISHING else DOWNLOADING


def progress_tenths(task: Task) -> int:
    """Tenths of a percent: rounded down, whole only when completed; what waits has not begun, or begins anew."""
    if task.state is State.COMPLETED:
        return 1_000
    if task.state in WAITING or task.progress is None:
        return 0
    return min(999, tenths(task.progress.percent))


def percent(task: Task) -> float:
    return progress_tenths(task) / 10


def indeterminate(task: Task) -> bool:
    """Whether nobody can say how far it is."""
    return task.state is State.RUNNING and (task.progress is None or task.progress.percent is None)


def speed_bps(task: Task) -> float:
    """What it moves now; 0 while that is not known, and when it moves nothing."""
    progress = task.progress
    if task.state is not State.RUNNING or task.stalled or progress is None or not counts_bytes(task):
        return 0.0
    return round(progress.speed_bps or 0.0, 1)


def counts_bytes(task: Task) -> bool:
    return task.progress is not None and task.progress.unit in BYTES


def eta_s(task: Task) -> float | None:
    """Only where it follows from what is known: how much is left, and how fast it goes."""
    progress = task.progress
    if not speed_bps(task) or progress is None or not progress.total or progress.eta_ms is None:
        return None
    return round(progress.eta_ms / 1000, 1)


def time_remaining(seconds: float | None) -> str | None:
    """`1h 2m 3s`, `3m 37s`, `45s`."""
    if seconds is None:
        return None
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h {minutes}m {rest}s"
    return f"{minutes}m {rest}s" if minutes else f"{rest}s"


def speed_text(bps: float) -> str:
    """`2.50 MB/s`: decimal units, as this API's answers have always had them."""
    if bps < 999.5:
        return f"{bps:.0f} B/s"
    for unit in UNITS:
        bps /= 1000
        if bps < 999.995 or unit == UNITS[-1]:
            break
    return f"{bps:.2f} {unit}"


def title(task: Task) -> str:
    return redact_text(_text(task, "title") or task.spec.title)


def detail(task: Task) -> Detail:
    progress = task.progress or Progress()
    size = file_size(task)
    current, total = _counts(task)
    return Detail(
        task_id=task.id,
        url=url(task),
        title=title(task),
        status=status(task),
        progress=percent(task),
        current_bytes=size if current is None and size is not None else current or 0,
        total_bytes=size if current is None else total,
        speed_bps=speed_bps(task),
        eta_seconds=eta_s(task),
        filename=_text(task, "filename"),
        file_size=size,
        error_message=error_message(task),
        created_at=naive(task.spec.created_ms),
        started_at=_time(task.started_ms),
        completed_at=_time(task.finished_ms),
        stage=progress.stage,
        message=redact_text(progress.message),
        indeterminate=indeterminate(task) or UNSET,
        stalled=task.stalled or UNSET,
    )


def summary(task: Task) -> Summary:
    left_s = eta_s(task)
    left = time_remaining(left_s)
    return Summary(task.id, status(task), percent(task), speed_bps(task), left_s, left, indeterminate(task) or UNSET)


def status_body(task: Task) -> Status:
    return Status(
        task_id=task.id,
        status=status(task),
        progress=percent(task),
        filename=_text(task, "filename"),
        file_size=file_size(task),
        title=title(task),
        thumbnail_url=thumbnail_url(task),
        error_message=error_message(task),
        created_at=naive(task.spec.created_ms),
        completed_at=_time(task.finished_ms),
    )


def listed(task: Task) -> Listed:
    asked = task.spec.payload.get("format")
    created = naive(task.spec.created_ms)
    wanted = asked if isinstance(asked, str) else ""
    return Listed(task.id, url(task), status(task), percent(task), title(task), wanted, created)


def in_progress(task: Task) -> InProgress:
    return InProgress(task.id, title(task), status(task), percent(task), speed_bps(task))


def happened(event: Event) -> Happened:
    word = EVENT[event.type]
    if event.type is EventType.STAGED and status(event.task) == PROCESSING:
        word = "post_processing"
    return Happened(word, naive(event.id.ms), _details(word, event.task))


def messages(event: Event) -> list[bytes]:
    """What a watcher of one task hears of an event over WebSocket."""
    if event.type is EventType.DELETED:
        return [] if event.task.final else [encode({"error": f"task {event.task.id} was deleted"})]
    return [encode(detail(event.task))]


def _details(word: str, task: Task) -> dict[str, Any]:
    match word:
        case "task_created":
            return {"title": title(task), "url": url(task)}
        case "download_started":
            return {"process_id": None, "attempt": task.attempt}
        case "progress_update":
            current, total = _counts(task)
            numbers = {"progress": percent(task), "speed_bps": speed_bps(task), "current_bytes": current or 0}
            return {**numbers, "total_bytes": total, **({"indeterminate": True} if indeterminate(task) else {})}
        case "post_processing":
            progress = task.progress or Progress()
            return {"progress": percent(task), "stage": progress.stage, "message": redact_text(progress.message)}
        case "task_completed":
            path = file_name(task)
            where = None if path is None else f"files/{task.id}/{path}"
            return {"file_path": where, "file_size": file_size(task)}
        case "task_failed" | "task_retrying":
            error = task.error
            return {"error": redact_text(error.message), "error_type": error.type} if error else {}
    return {"progress": percent(task)}


def url(task: Task) -> str:
    asked = task.spec.payload.get("url")
    return redact_text(asked) if isinstance(asked, str) else ""


def thumbnail_url(task: Task) -> str | None:
    return _text(task, "thumbnail")


def file_name(task: Task) -> str | None:
    """What came of it, in the task's directory."""
    found = _result(task).get("path")
    return found if isinstance(found, str) and found else None


def file_size(task: Task) -> int | None:
    found = _result(task).get("size_bytes")
    return found if isinstance(found, int) else None


def error_message(task: Task) -> str | None:
    failed = task.state in (State.FAILED, State.CANCELLED) and task.error is not None
    return redact_text(task.error.message) if failed and task.error else None


def _counts(task: Task) -> tuple[int | None, int | None]:
    """Bytes so far and in all; None where they are not known, or something else is counted."""
    done, progress = counted(task), task.progress
    if done is None or progress is None:
        return None, None
    if status(task) == PROCESSING:
        return int(done), int(done)
    return int(done), int(progress.total) if progress.total and counts_bytes(task) else None


def _text(task: Task, name: str) -> str | None:
    """What its result says, or its progress so far."""
    known = task.progress.metadata if task.progress else {}
    for found in (_result(task).get(name), known.get(name)):
        if isinstance(found, str) and found:
            return found
    return None


def _result(task: Task) -> dict[str, Any]:
    return task.result if isinstance(task.result, dict) else {}


def _time(ms: int | None) -> str | None:
    return None if ms is None else naive(ms)
