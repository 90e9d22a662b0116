"""The kind `audio`, the server's half: a song goes in; its stems, its words and its beats come out.

What computes is imported by the worker only (`jobs.sound`). The types here are what both halves and
the dialects agree on: the payload, and the result as it stands in `Task.result` and, part by part, in
`Step.result`.
"""

from __future__ import annotations

import importlib.util
import posixpath
import re
import shutil
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from progresshub.errors import InvalidPayload, Unavailable
from progresshub.jobs.payload import UPLOADED, read, schema_of
from progresshub.kinds import Call, Kind, Lane
from progresshub.model import Task
from progresshub.settings import Audio as Settings

KIND = "audio"
POOL = "audio"
STEPS = ("validation", "stem_separation", "transcription", "beat_analysis")
STEMS = ("vocals", "drums", "bass", "other")
TIMEOUT_MS = 6 * 3_600_000
RETENTION_MS = 24 * 3_600_000
MAX_RETRIES = 1
MIN_RATE_HZ = 8_000
MAX_RATE_HZ = 48_000
NAME_CHARS = 100

_PACKAGES = ("numpy", "scipy")
_PROGRAMS = ("ffmpeg", "ffprobe")
_UNFIT = re.compile(r"[\x00-\x1f\x7f/\\:*?\"<>|]+")


class Song(Struct, frozen=True, forbid_unknown_fields=True):
    """What is asked for. Exactly one of `file` and `path` says where the song is."""

    file: (
        Annotated[
            str,
            Meta(max_length=255, pattern=r"^[^/\x00.][^/\x00]*\Z", description="A file in the task's directory"),
            UPLOADED,
        ]
        | None
    ) = None
    path: (
        Annotated[str, Meta(max_length=4_096, pattern=r"^/[^\x00]+\Z", description="A file below one of audio.roots")]
        | None
    ) = None
    name: (
        Annotated[str, Meta(max_length=255, description="What it was called; names the title and the files made")]
        | None
    ) = None
    enable_beat_tracking: Annotated[bool, Meta(description="Find tempo, beats and onsets")] = True
    enable_vocals_extraction: Annotated[bool, Meta(description="Take it apart into four stems")] = True
    language: (
        Annotated[str, Meta(pattern=r"^([a-z]{2,3}|auto)\Z", description="Language that is sung, such as en")] | None
    ) = None
    whisper_model: (
        Annotated[str, Meta(max_length=64, pattern=r"^[\w-][\w.-]*\Z", description="Directory of audio.whisper_models")]
        | None
    ) = None
    demucs_model: (
        Annotated[str, Meta(max_length=64, pattern=r"^[\w-]+\Z", description="Model of audio.demucs_models")] | None
    ) = None
    audio_sample_rate: (
        Annotated[int, Meta(ge=MIN_RATE_HZ, le=MAX_RATE_HZ, description="Of the stems, in Hz; else the song's own")]
        | None
    ) = None


class FileInfo(Struct, frozen=True, kw_only=True):
    """What a song is: `format` is its container, lower case without a dot; `sample_rate` in Hz."""

    duration_s: float
    sample_rate: int
    channels: int
    format: str
    codec: str
    size_bytes: int


class Separation(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The stems, as names of files in the task's directory, or the reason why there are none."""

    vocals: str = ""
    drums: str = ""
    bass: str = ""
    other: str = ""
    engine: str = ""
    skipped: bool = False
    reason: str = ""


class Transcription(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The words that are sung; `file` has them with their times."""

    file: str = ""
    language: str = ""
    word_count: int = 0
    skipped: bool = False
    reason: str = ""
    error: str = ""


class Beats(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Tempo and beats; the files have every one. Confidence and regularity go from 0 to 1."""

    tempo_bpm: float = 0.0
    beat_count: int = 0
    onset_count: int = 0
    time_signature: str = ""
    beat_confidence: float = 0.0
    rhythm_regularity: float = 0.0
    beats_file: str = ""
    onsets_file: str = ""
    analysis_file: str = ""
    skipped: bool = False
    reason: str = ""
    error: str = ""


class SongResult(Struct, frozen=True, kw_only=True):
    """`Task.result`: `engine` is "builtin", "demucs:MODEL" or empty; `processing_s` has each step that ran."""

    file_info: FileInfo
    engine: str
    stem_separation: Separation
    transcription: Transcription
    beat_analysis: Beats
    output_files: list[str]
    processing_s: dict[str, float]


def kind(settings: Settings) -> Kind:
    known = msgspec.to_builtins(settings)

    def launch(task: Task) -> Call:
        arguments = {"song": task.spec.payload, "settings": known}
        return Call(pool=POOL, target="progresshub.jobs.sound.song:take_apart", arguments=arguments, fresh=True)

    return Kind(
        name=KIND,
        summary="Takes a song apart into vocals, drums, bass and the rest, and finds its beats and words",
        schema=schema_of(Song),
        check=lambda payload: _check(payload, settings),
        launch=launch,
        title=_title,
        timeout_ms=TIMEOUT_MS,
        max_retries=MAX_RETRIES,
        retention_ms=RETENTION_MS,
        lane_of=lambda payload: Lane("audio", settings.at_once),
        min_free_bytes=settings.min_free_bytes,
    )


def missing() -> str:
    """What has to be installed before songs can be worked on, in words; empty when nothing is."""
    if any(importlib.util.find_spec(package) is None for package in _PACKAGES):
        return "working on audio needs more packages: pip install 'progresshub[audio]'"
    if absent := [program for program in _PROGRAMS if shutil.which(program) is None]:
        return f"working on audio needs the program {absent[0]}; install ffmpeg"
    return ""


def output_name(song: Mapping[str, Any]) -> str:
    """How the names of all files begin that are made of a song: what it was called, without its ending."""
    called = song.get("name") or song.get("file") or song.get("path") or ""
    name = _UNFIT.sub("_", PurePosixPath(called.replace("\\", "/")).stem).strip("._ ")
    return name[:NAME_CHARS].rstrip("._ ") or "song"


def _check(payload: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    asked = read(KIND, Song, payload)
    if reason := _wrong_with(asked, settings):
        raise InvalidPayload(kind=KIND, reason=reason)
    if reason := missing():
        raise Unavailable(reason=reason)
    filled: dict[str, Any] = msgspec.to_builtins(asked)
    return filled


def _wrong_with(asked: Song, settings: Settings) -> str:
    if (asked.file is None) == (asked.path is None):
        return "give either file or path"
    if asked.path is None:
        return ""
    if posixpath.normpath(asked.path) != asked.path:
        return "path: it must be written without . and .. and doubled slashes"
    if not any(PurePosixPath(asked.path).is_relative_to(root) for root in settings.roots):
        return "path: it is below none of audio.roots"
    return ""


def _title(payload: Mapping[str, Any]) -> str:
    called = payload["name"] or payload["file"] or payload["path"]
    return PurePosixPath(str(called).replace("\\", "/")).name or "Song"
