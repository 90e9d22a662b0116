"""What has come of a song, over the stems dialect: in full, in short, and how it stands until then."""

from __future__ import annotations

import msgspec
from aiohttp import web

from progresshub.clock import naive
from progresshub.dialects.stems import words
from progresshub.dialects.stems.refusals import NotCompleted, NothingMade
from progresshub.edge.routes import Call, Route
from progresshub.edge.wire import reply
from progresshub.jobs import audio
from progresshub.model import FIRST, Event, EventType, State, StepState, Task
from progresshub.registry.hub import Hub

BREAKS = frozenset({EventType.RETRYING, EventType.RECOVERED})
MOST_BREAKS = 100


class SongInfo(msgspec.Struct):
    """The song as it came; what was not to be found out is 0."""

    filename: str
    size: int
    format: str
    duration: float
    sample_rate: int
    channels: int


class Links(msgspec.Struct):
    """Where each file is to be had; null where there is none."""

    vocals_stem: str | None
    drums_stem: str | None
    bass_stem: str | None
    other_stem: str | None
    transcription: str | None
    beat_analysis: str | None
    beat_beats: str | None
    beat_onsets: str | None


class Results(msgspec.Struct):
    """All that was made of a song. Times are ISO 8601 in UTC, durations seconds."""

    job_id: str
    status: str
    created_at: str
    started_at: str
    completed_at: str
    processing_time: float
    processing_times: dict[str, float]
    engine: str
    file_info: SongInfo
    stem_separation: words.StemSeparation
    transcription: words.Transcription
    beat_analysis: words.BeatAnalysis
    output_files: list[str]
    download_links: Links


class Summary(msgspec.Struct):
    job_id: str
    status: str
    filename: str
    audio_duration: float
    processing_time: float
    stems: list[str]
    has_transcription: bool
    language: str | None
    tempo_bpm: float | None
    beat_count: int | None
    time_signature: str | None
    output_files: int


async def status(hub: Hub, task: Task) -> words.JobStatus:
    """How a job stands; it does not go back when it has to begin again."""
    return words.status_body(task, hub.clock.now_ms(), await _breaks(hub, task))


async def simple(call: Call[None, None]) -> web.Response:
    task = await call.hub.get(call.path("job_id"))
    return reply(words.simple_body(task, await _breaks(call.hub, task)))


async def _breaks(hub: Hub, task: Task) -> list[Event]:
    """The events with which its earlier attempts ended."""
    if task.final or task.failures + task.crashes + task.attempt < 2:
        return []
    await hub.kept()
    return await hub.store.history(task, start=FIRST, types=BREAKS, limit=MOST_BREAKS)


async def results(call: Call[None, None]) -> web.Response:
    task = await _completed(call)
    return reply(_results(task, _files(call.hub, task)))


async def summary(call: Call[None, None]) -> web.Response:
    task = await _completed(call)
    return reply(_summary(task, _files(call.hub, task)))


async def _completed(call: Call[None, None]) -> Task:
    task = await call.hub.get(call.path("job_id"))
    if task.state is not State.COMPLETED:
        refusal = NothingMade if task.final else NotCompleted
        raise refusal(job_id=task.id, status=words.STATUS[task.state])
    return task


def _files(hub: Hub, task: Task) -> list[str]:
    """What was made of the song that came."""
    return [file.name for file in hub.files.list(task.id) if file.name != words.original(task)]


def _results(task: Task, files: list[str]) -> Results:
    stems = words.separation(task)
    beats = words.told(words.part_of(task, words.BEATS).result, audio.Beats) or audio.Beats()
    begun_ms = task.started_ms or task.spec.created_ms
    return Results(
        job_id=task.id,
        status=words.STATUS[task.state],
        created_at=naive(task.spec.created_ms),
        started_at=naive(begun_ms),
        completed_at=naive(task.finished_ms or begun_ms),
        processing_time=words.processing_s(task, begun_ms),
        processing_times=_times(task),
        engine=_text(task, "engine"),
        file_info=song_info(task),
        stem_separation=stems,
        transcription=words.transcription(task),
        beat_analysis=words.beat_analysis(task),
        output_files=files,
        download_links=Links(
            vocals_stem=stems.vocals_path,
            drums_stem=stems.drums_path,
            bass_stem=stems.bass_path,
            other_stem=stems.other_path,
            transcription=words.transcription(task).transcription_path,
            beat_analysis=words.link(task, beats.analysis_file),
            beat_beats=words.link(task, beats.beats_file),
            beat_onsets=words.link(task, beats.onsets_file),
        ),
    )


def _summary(task: Task, files: list[str]) -> Summary:
    about, stems = song_info(task), words.separation(task)
    spoken, beats = words.transcription(task), words.beat_analysis(task)
    return Summary(
        job_id=task.id,
        status=words.STATUS[task.state],
        filename=about.filename,
        audio_duration=about.duration,
        processing_time=words.processing_s(task, 0),
        stems=[stem for stem in audio.STEMS if getattr(stems, f"{stem}_path") is not None],
        has_transcription=spoken.transcription_path is not None,
        language=spoken.language,
        tempo_bpm=beats.tempo_bpm,
        beat_count=beats.beat_count,
        time_signature=beats.time_signature,
        output_files=len(files),
    )


def song_info(task: Task) -> SongInfo:
    about = words.file_info(task)
    return SongInfo(
        filename=words.original(task) or task.spec.title,
        size=words.file_bytes(task) or 0,
        format=about.format if about else str(task.spec.metadata.get("format", "")),
        duration=about.duration_s if about else 0.0,
        sample_rate=about.sample_rate if about else 0,
        channels=about.channels if about else 0,
    )


def _times(task: Task) -> dict[str, float]:
    """How long each part took that was done."""
    return {
        step.name: round((step.finished_ms - step.started_ms) / 1000, 1)
        for step in task.steps
        if step.state is StepState.COMPLETED and step.started_ms is not None and step.finished_ms is not None
    }


def _text(task: Task, name: str) -> str:
    value = task.result.get(name) if isinstance(task.result, dict) else None
    return value if isinstance(value, str) else ""


ROUTES = (
    Route(
        method="GET",
        path="/api/status/{job_id}/simple",
        handler=simple,
        summary="How a job stands, in short",
        answers={200: words.SimpleStatus},
    ),
    Route(
        method="GET",
        path="/api/results/{job_id}",
        handler=results,
        summary="All that was made of a song",
        answers={200: Results},
    ),
    Route(
        method="GET",
        path="/api/results/{job_id}/summary",
        handler=summary,
        summary="The same in short",
        answers={200: Summary},
    ),
)
