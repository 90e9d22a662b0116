"""The generations dialect's words: its statuses, messages, bodies and refusals, as tables and pure functions."""

from __future__ import annotations

import time
from typing import Any, NamedTuple
from urllib.parse import quote

import msgspec
from aiohttp import web

from progresshub.edge.redact import redact_text
from progresshub.edge.wire import encode, reply
from progresshub.errors import HubError
from progresshub.jobs.video import KIND, ContentData, ScriptData
from progresshub.model import State, StepState, Task
from progresshub.storage.persistence import short

ORIGIN = "generations"

CODE = {
    "invalid_request": 422,
    "invalid_field": 422,
    "invalid_payload": 422,
    "unauthorized": 401,
    "forbidden": 403,
    "unknown_path": 404,
    "unknown_task": 404,
    "unknown_file": 404,
    "unknown_generation": 404,
    "nothing_made": 404,
    "wrong_method": 405,
    "too_slow": 408,
    "duplicate_task": 409,
    "idempotency_mismatch": 409,
    "too_large": 413,
    "unsupported_media": 415,
    "bad_range": 416,
    "foreign_host": 421,
    "upgrade_needed": 426,
    "too_many": 429,
    "unavailable": 503,
    "storage_full": 507,
}
RETRY_AFTER_S = "2"


class UnknownGeneration(HubError):
    """There is no generation {generation_id}."""

    code = "unknown_generation"


class UnknownVideo(HubError):
    """There is no video {filename}."""

    code = "unknown_generation"


class NothingMade(HubError):
    """Generation {generation_id} has made no video; its status is {status}."""

    code = "nothing_made"


class NotGenerated(HubError):
    """Video generation failed: {reason}."""

    code = "not_generated"


class BadRange(HubError):
    """The range {asked} is not in this file of {size_bytes} bytes."""

    code = "bad_range"


class ErrorBody(msgspec.Struct):
    """What is said with a refusal."""

    detail: str


def refuse(error: HubError) -> web.Response:
    status = CODE.get(error.code, 500)
    headers = {"Retry-After": RETRY_AFTER_S} if status in (429, 503) else {}
    if error.code == BadRange.code:
        headers["Content-Range"] = f"bytes */{error.details['size_bytes']}"
    return reply(ErrorBody(error.message), status, headers)


class Said(NamedTuple):
    """What a watcher is told, but for the time."""

    status: str
    progress: int
    message: str


class Status(msgspec.Struct):
    """How a generation stands; `progress` is 0 to 100, `timestamp` the server's time of day, `HH:MM:SS`."""

    status: str
    progress: int
    message: str
    timestamp: str


CONNECTED = Said("connected", 0, "📡 Connected to progress stream")
WAITING = Said("waiting", 0, "⏳ Waiting for generation to start...")
STARTED = Said("started", 0, "🚀 Starting generation...")
COMPLETED = Said("completed", 100, "✅ Video generation complete!")
DONE = Said("done", 100, "✅ Stream ended")
STEP = {
    "content": "generating_content",
    "scripts": "generating_scripts",
    "audio": "generating_audio",
    "visuals": "generating_media",
    "composition": "composing_video",
}
"""The steps of a video by the statuses that clients know, for the moments in which the kind itself names none."""
NEVER_CAME = "no generation of this name has started"
DELETED = "the generation was deleted"
CANCELLED = "the generation was cancelled"


def said(task: Task) -> Said:
    """How a task stands, in the stage's own words while it runs."""
    match task.state:
        case State.SCHEDULED:
            return WAITING
        case State.PENDING:
            return STARTED
        case State.COMPLETED:
            return COMPLETED
        case State.FAILED | State.CANCELLED:
            return failed(reason(task))
    progress = task.progress
    if progress is None:
        return STARTED
    status = STEP.get(progress.stage, progress.stage) or STARTED.status
    usual = STARTED.message if status == STARTED.status else status.replace("_", " ").capitalize()
    return Said(status, min(99, int(progress.percent or 0)), redact_text(progress.message) or usual)


def between_steps(task: Task) -> bool:
    """Whether a step has just begun or ended: its figures are no milestone, and the next word comes at once."""
    progress = task.progress
    if task.state is not State.RUNNING or progress is None or task.spec.kind != KIND:
        return False
    none_runs = not any(step.state is StepState.RUNNING for step in task.steps)
    return bool(task.steps) and (none_runs or not progress.message)


def failed(why: str) -> Said:
    return Said("error", 0, f"❌ Error: {why}")


def reason(task: Task) -> str:
    """Why it did not end well."""
    if task.state is State.CANCELLED:
        return CANCELLED
    return redact_text(task.error.message) if task.error is not None and task.error.message else "it failed"


def status_body(task: Task) -> Status:
    return _at(said(task), task.changed.ms)


def frame(said: Said, at_ms: int) -> bytes:
    """One message of a stream: `data` alone, of the default type."""
    return b"data: %b\n\n" % encode(_at(said, at_ms))


def last_frames(task: Task, at_ms: int) -> bytes:
    """How a task ended, and that this was all."""
    return frame(said(task), at_ms) + frame(DONE, at_ms)


def farewell(why: str, at_ms: int) -> bytes:
    """The same where there is no task to tell of."""
    return frame(failed(why), at_ms) + frame(DONE, at_ms)


def _at(said: Said, at_ms: int) -> Status:
    return Status(*said, time.strftime("%H:%M:%S", time.localtime(at_ms / 1000)))


class Generated(msgspec.Struct):
    """What has been made. `video_path` is a path of this API; `video_filename` stays that of this run."""

    status: str
    message: str
    generation_id: str
    content_data: ContentData
    script_data: ScriptData
    video_path: str
    video_filename: str


class Begun(msgspec.Struct):
    """Where to follow what is being made."""

    generation_id: str
    status_url: str
    progress_url: str


def generation_id(task: Task) -> str:
    """The id that is published; of a task that has no topic its own."""
    return task.spec.names[0] if task.spec.names else task.id


def begun(task: Task, base_path: str) -> Begun:
    name = generation_id(task)
    address = quote(name, safe="")
    return Begun(name, f"{base_path}/api/status/{address}", f"{base_path}/api/progress/{address}")


def generated(task: Task, base_path: str) -> Generated:
    name = video_filename(task)
    return Generated(
        status="success",
        message="Video generated successfully",
        generation_id=generation_id(task),
        content_data=task.result["content_data"],
        script_data=task.result["script_data"],
        video_path=f"{base_path}/api/video/{quote(name, safe='')}",
        video_filename=name,
    )


def video_filename(task: Task) -> str:
    """Names one run's video among those of all runs."""
    return f"{generation_id(task)}-{short(task.id)}.mp4"


def made(task: Task) -> dict[str, Any] | None:
    """What came of a completed run that made a video; None for any other."""
    result = task.result
    return result if task.state is State.COMPLETED and isinstance(result, dict) and "video" in result else None
