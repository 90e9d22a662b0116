"""Songs come in over the stems dialect: what may come, what it is, and how long it may take."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from statistics import median
from typing import NamedTuple

import msgspec
from aiohttp import web

from progresshub.dialects.stems import words
from progresshub.dialects.stems.refusals import InvalidForm, UnsupportedAudio
from progresshub.edge.idempotency import idempotency
from progresshub.edge.routes import FORM, Call, Route, Upload
from progresshub.edge.uploads import Form, Received, receive
from progresshub.edge.wire import reply
from progresshub.errors import Unavailable
from progresshub.jobs import audio
from progresshub.model import State, Task
from progresshub.registry.hub import Hub
from progresshub.registry.submission import Submission
from progresshub.settings import Config
from progresshub.storage.persistence import Filter

ORIGIN = "stems"
FILE = "file"
SHORTEST_S = 1.0
RETENTION_HOURS = audio.RETENTION_MS // 3_600_000
SEEN_SONGS = 20
"""So many of the last songs say how long the next one takes."""
USUAL_WORK = 0.2
"""Seconds of work on a second of sound, before any was measured."""


class Sort(NamedTuple):
    """A format that is taken: what its media type is, and how much a second of sound usually is."""

    media_type: str
    bytes_per_s: int


SORTS = {
    "mp3": Sort("audio/mpeg", 24_000),
    "wav": Sort("audio/wav", 176_400),
    "m4a": Sort("audio/mp4", 24_000),
    "flac": Sort("audio/flac", 110_000),
}


class Options(msgspec.Struct, kw_only=True):
    """How a song is to be worked on; what is left out is up to the server."""

    enable_beat_tracking: bool = True
    enable_vocals_extraction: bool = True
    language: str | None = None
    whisper_model: str | None = None
    demucs_model: str | None = None
    audio_sample_rate: int | None = None


class SongForm(Options, kw_only=True):
    """A song as mp3, wav, m4a or flac, and how it is to be worked on."""

    file: bytes


class FileInfo(msgspec.Struct):
    filename: str
    size: int
    format: str


class Taken(msgspec.Struct):
    """`estimated_time` is in seconds, by how long songs of this sort took so far."""

    job_id: str
    status: str
    message: str
    filename: str
    file_size: int
    file_info: FileInfo
    estimated_time: int


class UploadInfo(msgspec.Struct):
    """What may be uploaded. Durations are seconds, sizes bytes; `available` says whether songs are taken now."""

    supported_formats: list[str]
    mime_types: list[str]
    max_file_size: int
    max_file_size_mb: float
    min_duration: float
    max_duration: float
    retention_hours: int
    options: dict[str, bool | str | int | None]
    processing_steps: list[str]
    stems: list[str]
    available: bool
    message: str


async def process(call: Call[None, None]) -> web.Response:
    if reason := audio.missing():
        raise Unavailable(reason=reason)
    async with receive(call, SONG) as form:
        song = song_of(form)
        about = FileInfo(song.name, song.size_bytes, format_of(song.name, song.head))
        asked = submission(form, song, about)
        takes_s = estimate_s(about, await _last_songs(call.hub))
        (accepted,) = await call.hub.submit([asked], await idempotency(call.request, form.digest))
    taken = Taken(
        job_id=accepted.task_id,
        status=words.STATUS[accepted.state],
        message=f"{song.name} is here and will be taken apart",
        filename=song.name,
        file_size=song.size_bytes,
        file_info=about,
        estimated_time=takes_s,
    )
    return reply(taken)


def submission(form: Form, song: Received, about: FileInfo) -> Submission:
    options = msgspec.to_builtins(options_of(form))
    metadata = {"filename": song.name, "file_size": song.size_bytes, "format": about.format}
    return Submission(
        kind=audio.KIND,
        payload={**options, "file": song.name, "name": song.name},
        origin=ORIGIN,
        metadata=metadata,
        staged=form.folder,
    )


def song_of(form: Form) -> Received:
    song = next((file for file in form.files if file.field == FILE), None)
    if song is None:
        raise InvalidForm(field=FILE, reason="it is missing")
    return song


def options_of(form: Form) -> Options:
    """The fields of a form; those that were left empty were left out."""
    filled = {name: text.strip() for name, text in form.fields.items() if text.strip()}
    try:
        return msgspec.convert(filled, Options, strict=False)
    except msgspec.ValidationError as error:
        reason, _, field = str(error).partition(" - at ")
        raise InvalidForm(field=field.strip("`$.") or "form", reason=reason.replace("`", "")) from None


def format_of(name: str, head: bytes) -> str:
    """What its first bytes say that a song is, whatever it is called."""
    found = sniff(head)
    if found is None:
        raise UnsupportedAudio(name=name, formats=", ".join(SORTS))
    return found


def sniff(head: bytes) -> str | None:
    """The format of a file that begins like this."""
    if head[:4] in (b"RIFF", b"RF64") and head[8:12] == b"WAVE":
        return "wav"
    if head.startswith(b"fLaC"):
        return "flac"
    if head[4:8] == b"ftyp":
        return "m4a"
    return "mp3" if head.startswith(b"ID3") or _is_frame(head) else None


def _is_frame(head: bytes) -> bool:
    """Whether an MPEG audio frame of layer III begins here (ISO/IEC 11172-3, 2.4.1.3)."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return False
    version, layer, bitrate, rate = head[1] >> 3 & 3, head[1] >> 1 & 3, head[2] >> 4, head[2] >> 2 & 3
    return version != 1 and layer == 1 and 0 < bitrate < 15 and rate != 3


def estimate_s(about: FileInfo, songs: Iterable[Task]) -> int:
    """How long a song may take: as long for each byte as others of its format did."""
    seen = list(_s_per_byte(about.format, songs))
    usual = USUAL_WORK / SORTS[about.format].bytes_per_s
    return max(1, round(about.size * (median(seen) if seen else usual)))


def _s_per_byte(kind: str, songs: Iterable[Task]) -> Iterator[float]:
    for song in songs:
        size = words.file_bytes(song)
        if song.spec.metadata.get("format") == kind and size and song.started_ms and song.finished_ms:
            yield (song.finished_ms - song.started_ms) / 1000 / size


async def _last_songs(hub: Hub) -> list[Task]:
    wanted = Filter(kind=audio.KIND, states=frozenset({State.COMPLETED}))
    songs, _ = await hub.page(wanted, None, SEEN_SONGS)
    return songs


async def upload_info(call: Call[None, None]) -> web.Response:
    return reply(_upload_info(call.config, audio.missing()))


def _upload_info(config: Config, missing: str) -> UploadInfo:
    return UploadInfo(
        supported_formats=list(SORTS),
        mime_types=[sort.media_type for sort in SORTS.values()],
        max_file_size=config.audio.most_bytes,
        max_file_size_mb=round(config.audio.most_bytes / 1_048_576, 1),
        min_duration=SHORTEST_S,
        max_duration=config.audio.max_duration_s,
        retention_hours=RETENTION_HOURS,
        options=msgspec.to_builtins(Options()),
        processing_steps=list(audio.STEPS),
        stems=list(audio.STEMS),
        available=not missing,
        message=missing,
    )


SONG = Upload(
    form=SongForm,
    most_bytes=lambda config: config.audio.most_bytes,
    most_files=lambda config: 1,
    check=format_of,
)

ROUTES = (
    Route(
        method="POST",
        path="/api/process",
        handler=process,
        summary="Upload a song to have it taken apart",
        scope="submit",
        upload=SONG,
        takes=(FORM,),
        answers={200: Taken},
    ),
    Route(
        method="GET",
        path="/api/upload-info",
        handler=upload_info,
        summary="What may be uploaded",
        answers={200: UploadInfo},
    ),
)
