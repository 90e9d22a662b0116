"""The stems dialect's words: how a song's task and each of its parts stand, as tables and pure functions.

Numbers that clients of this API show are never null. A percentage is whole, rounded down, and 100
only for what is completed or was skipped.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec

from progresshub.clock import naive
from progresshub.edge.redact import redact_text
from progresshub.jobs import audio
from progresshub.model import Event, State, Step, StepState, Task

QUEUED, PROCESSING, COMPLETED, FAILED, SKIPPED = "queued", "processing", "completed", "failed", "skipped"
VALIDATION, SEPARATION, TRANSCRIPTION, BEATS = audio.STEPS
TAKEN_PERCENT = 10
"""How far a job is at least, once its file is here."""

STATUS = {
    State.SCHEDULED: QUEUED,
    State.PENDING: QUEUED,
    State.RETRYING: QUEUED,
    State.RUNNING: PROCESSING,
    State.COMPLETED: COMPLETED,
    State.FAILED: FAILED,
    State.CANCELLED: FAILED,  # this dialect has no word for it; error_message says it
}
STEP_STATUS = {
    StepState.WAITING: QUEUED,
    StepState.RUNNING: PROCESSING,
    StepState.COMPLETED: COMPLETED,
    StepState.FAILED: FAILED,
    StepState.SKIPPED: SKIPPED,
}

T = TypeVar("T")


class Part(msgspec.Struct, kw_only=True):
    """One part of the work."""

    status: str
    progress: int


class StemSeparation(Part, kw_only=True):
    vocals_path: str | None = None
    drums_path: str | None = None
    bass_path: str | None = None
    other_path: str | None = None
    processing_time: float | None = None
    error: str | None = None


class Transcription(Part, kw_only=True):
    transcription_path: str | None = None
    language: str | None = None
    word_count: int | None = None
    processing_time: float | None = None
    error: str | None = None


class BeatAnalysis(Part, kw_only=True):
    tempo_bpm: float | None = None
    beat_count: int | None = None
    time_signature: str | None = None
    beat_confidence: float | None = None
    rhythm_regularity: float | None = None
    processing_time: float | None = None
    error: str | None = None


class JobStatus(msgspec.Struct):
    """A job and its parts. Times are ISO 8601 in UTC, durations seconds, paths those of `/api/files`."""

    job_id: str
    status: str
    progress: int
    current_step: str
    created_at: str
    updated_at: str
    processing_time: float
    error_message: str | None
    stem_separation: StemSeparation
    transcription: Transcription
    beat_analysis: BeatAnalysis
    audio_duration: float | None
    file_size: int | None


class SimpleStatus(msgspec.Struct):
    job_id: str
    status: str
    progress: int
    current_step: str
    error_message: str | None


def status_body(task: Task, now_ms: int, before: Iterable[Event] = ()) -> JobStatus:
    """`before` are the events that ended its earlier attempts, behind which it does not go back."""
    about = file_info(task)
    return JobStatus(
        job_id=task.id,
        status=STATUS[task.state],
        progress=progress(task, before),
        current_step=current_step(task),
        created_at=naive(task.spec.created_ms),
        updated_at=naive(task.changed.ms),
        processing_time=processing_s(task, now_ms),
        error_message=error_message(task),
        stem_separation=separation(task),
        transcription=transcription(task),
        beat_analysis=beat_analysis(task),
        audio_duration=None if about is None else about.duration_s,
        file_size=file_bytes(task),
    )


def simple_body(task: Task, before: Iterable[Event] = ()) -> SimpleStatus:
    return SimpleStatus(task.id, STATUS[task.state], progress(task, before), current_step(task), error_message(task))


def progress(task: Task, before: Iterable[Event] = ()) -> int:
    if task.state is State.COMPLETED:
        return 100
    if task.final:
        return 0
    reached = max(map(_percent, (task, *(event.task for event in before))))
    return min(99, max(TAKEN_PERCENT, int(reached)))


def _percent(task: Task) -> float:
    return (task.progress.percent or 0.0) if task.progress is not None else 0.0


def current_step(task: Task) -> str:
    """The step that runs, or where it ended; between two of them the next."""
    if task.state is State.COMPLETED:
        return COMPLETED
    if task.final:
        stopped = [step for step in task.steps if step.state is StepState.FAILED or _broken_off(step)]
        return stopped[-1].name if stopped else VALIDATION
    ahead = [step for step in task.steps if step.state in (StepState.RUNNING, StepState.WAITING)]
    running = [step for step in ahead if step.state is StepState.RUNNING]
    found = (*running, *ahead, *task.steps[-1:])
    return found[0].name if found else VALIDATION


def processing_s(task: Task, now_ms: int) -> float:
    """How long it has been worked on, this time."""
    if task.started_ms is None:
        return 0.0
    return _seconds((task.finished_ms or now_ms) - task.started_ms)


def error_message(task: Task) -> str | None:
    if STATUS[task.state] != FAILED:
        return None
    return redact_text(task.error.message) if task.error is not None else "it failed"


def separation(task: Task) -> StemSeparation:
    step = part_of(task, SEPARATION)
    made = told(step.result, audio.Separation)
    paths: dict[str, Any] = {f"{stem}_path": link(task, getattr(made, stem, "")) for stem in audio.STEMS}
    return StemSeparation(**_part(task, step), **_ending(task, step), **paths)


def transcription(task: Task) -> Transcription:
    step = part_of(task, TRANSCRIPTION)
    made = told(step.result, audio.Transcription)
    if made is None or made.skipped:
        return Transcription(**_part(task, step), **_ending(task, step))
    return Transcription(
        **_part(task, step),
        **_ending(task, step),
        transcription_path=link(task, made.file),
        language=made.language or None,
        word_count=made.word_count,
    )


def beat_analysis(task: Task) -> BeatAnalysis:
    step = part_of(task, BEATS)
    made = told(step.result, audio.Beats)
    if made is None or made.skipped or step.state is not StepState.COMPLETED:
        return BeatAnalysis(**_part(task, step), **_ending(task, step))
    return BeatAnalysis(
        **_part(task, step),
        **_ending(task, step),
        tempo_bpm=made.tempo_bpm,
        beat_count=made.beat_count,
        time_signature=made.time_signature or None,
        beat_confidence=made.beat_confidence,
        rhythm_regularity=made.rhythm_regularity,
    )


def file_info(task: Task) -> audio.FileInfo | None:
    """What the song turned out to be, as soon as it is known."""
    return told(part_of(task, VALIDATION).result, audio.FileInfo) or told(
        task.result.get("file_info") if isinstance(task.result, dict) else None, audio.FileInfo
    )


def original(task: Task) -> str | None:
    """The name of the file that came."""
    name = task.spec.metadata.get("filename") or task.spec.payload.get("file")
    return name if isinstance(name, str) else None


def file_bytes(task: Task) -> int | None:
    size = task.spec.metadata.get("file_size")
    about = file_info(task)
    return size if isinstance(size, int) else (about.size_bytes if about is not None else None)


def link(task: Task, name: str) -> str | None:
    """Where a file of a job is to be had."""
    return f"/api/files/{task.id}/{quote(name)}" if name else None


def told(value: Any, kind: type[T]) -> T | None:
    """What a child has said, if it is of that type."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return None


def part_of(task: Task, name: str) -> Step:
    """The step of that name; one that nobody has planned yet waits, or was left out."""
    found = next((step for step in task.steps if step.name == name), None)
    if found is None:
        return Step(name=name, state=StepState.SKIPPED if task.state is State.COMPLETED else StepState.WAITING)
    return found


def _part(task: Task, step: Step) -> dict[str, Any]:
    """The status and percentage of a part. What a job that failed never came to counts as skipped."""
    if task.final and step.state is StepState.WAITING:
        return {"status": FAILED if _broken_off(step) else SKIPPED, "progress": 0}
    word = STEP_STATUS[step.state]
    if word in (COMPLETED, SKIPPED):
        return {"status": word, "progress": 100}
    return {"status": word, "progress": min(99, int(step.percent or 0)) if word == PROCESSING else 0}


def _ending(task: Task, step: Step) -> dict[str, Any]:
    took_s = None
    if step.state is StepState.COMPLETED and step.started_ms is not None and step.finished_ms is not None:
        took_s = _seconds(step.finished_ms - step.started_ms)
    error = redact_text(step.error) or (error_message(task) if task.final and _broken_off(step) else None)
    return {"processing_time": took_s, "error": error}


def _broken_off(step: Step) -> bool:
    """Whether it had begun when the whole was ended."""
    return step.state is StepState.WAITING and step.started_ms is not None


def _seconds(ms: int) -> float:
    return round(max(0, ms) / 1000, 1)
