"""The kind `download`, the server's half: what may be asked for, and who does it.

yt-dlp itself is imported by the worker only (`jobs.ytdlp`). The child gets nothing but what is
checked here: no option of yt-dlp can be named from outside.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal
from urllib.parse import SplitResult, urlsplit

import msgspec
from msgspec import Meta, Struct

from progresshub.errors import InvalidPayload
from progresshub.jobs.payload import read, schema_of
from progresshub.kinds import Call, Kind, Lane
from progresshub.model import Task
from progresshub.settings import Downloads

TIMEOUT_MS = 6 * 3_600_000
TITLE_CHARS = 200

Format = Literal["mp4", "mp3", "best", "audio", "video", "webm", "wav", "flac", "aac"]


class Download(Struct, frozen=True, forbid_unknown_fields=True):
    url: Annotated[str, Meta(min_length=1, max_length=4_096, description="An http or https address")]
    format: Annotated[Format, Meta(description="What to make of it")] = "mp4"
    format_id: (
        Annotated[str, Meta(max_length=64, pattern=r"^[\w.+-]+\Z", description="One of the site's own formats")] | None
    ) = None
    quality: (
        Annotated[str, Meta(pattern=r"^(best|worst|[1-9]\d{1,3}[pk]?)\Z", description="best, worst, 720p or 192k")]
        | None
    ) = None
    mp3_title: (
        Annotated[str, Meta(max_length=200, description="Names the file in place of the page's title")] | None
    ) = None
    embed_thumbnail: Annotated[bool, Meta(description="Put the picture into the file")] = False
    subtitles: Annotated[
        list[Annotated[str, Meta(max_length=35, pattern=r"^[A-Za-z0-9-]+\Z")]],
        Meta(max_length=20, description="Languages of subtitles to have beside it, such as en"),
    ] = []


def kind(settings: Downloads) -> Kind:
    limits = msgspec.to_builtins(settings)

    def launch(task: Task) -> Call:
        arguments = {"request": task.spec.payload, "settings": limits}
        return Call(pool="download", target="progresshub.jobs.ytdlp:download", arguments=arguments, fresh=True)

    return Kind(
        name="download",
        summary="Fetches video or audio from a page or a direct link",
        schema=schema_of(Download),
        check=_check,
        launch=launch,
        title=_title,
        timeout_ms=TIMEOUT_MS,
        stalled_after_s=settings.stalled_after_s,
        min_free_bytes=settings.min_free_bytes,
        lane_of=lambda payload: _lane(payload, settings.per_host),
    )


def _check(payload: Mapping[str, Any]) -> dict[str, Any]:
    asked = read("download", Download, payload)
    if reason := _wrong_with(asked.url):
        raise InvalidPayload(kind="download", reason=f"url: {reason}")
    filled: dict[str, Any] = msgspec.to_builtins(asked)
    return filled


def _wrong_with(url: str) -> str:
    if any(character.isspace() or not character.isprintable() for character in url):
        return "it contains spaces or control characters"
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        return str(error)
    if parts.scheme not in {"http", "https"}:
        return "it must begin with http:// or https://"
    return "" if parts.hostname else "it names no host"


def _title(payload: Mapping[str, Any]) -> str:
    """The address without what may be secret: no user, no password, no query."""
    parts = urlsplit(payload["url"])
    shown = f"{_host(parts)}{parts.path}".rstrip("/")
    return shown if len(shown) <= TITLE_CHARS else shown[: TITLE_CHARS - 1] + "…"


def _lane(payload: Mapping[str, Any], slots: int) -> Lane | None:
    """Downloads from one host."""
    return Lane(f"download from {urlsplit(payload['url']).hostname}", slots) if slots else None


def _host(parts: SplitResult) -> str:
    return parts.netloc.rpartition("@")[2]
