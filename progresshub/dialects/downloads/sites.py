"""What is to be had at an address, over the downloads dialect: asked of yt-dlp, without a download or a task."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import msgspec
from aiohttp import web

from progresshub.dialects.downloads.refusals import UnknownSubtitles
from progresshub.edge.routes import Call, Route
from progresshub.edge.wire import reply
from progresshub.kinds import Call as Launch
from progresshub.scheduling.inquiries import BadAddress, Inquiries

INQUIRIES = web.AppKey("inquiries", Inquiries)

DESCRIBE = "progresshub.jobs.ytdlp:describe"
SUBTITLES = "progresshub.jobs.ytdlp:subtitles"
NO_SUBTITLES = "no_subtitles"
NONE = frozenset({None, "", "none"})


class InfoQuery(msgspec.Struct):
    url: str


class SubtitlesQuery(msgspec.Struct):
    """`lang` as the site names it, such as `en` or `pt-BR`."""

    url: str
    lang: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9-]{1,35}\Z")] = "en"


class Format(msgspec.Struct):
    """One of the ways in which a site has a video; `format_id` asks for it."""

    format_id: str
    ext: str
    resolution: str
    filesize: int | None
    fps: float | None
    vcodec: str | None
    acodec: str | None
    note: str | None


class Entry(msgspec.Struct):
    title: str
    url: str | None
    duration: float | None


class Info(msgspec.Struct):
    """What is known of a video, or of a list and its entries. `duration` is in seconds, null where nobody knows it."""

    url: str
    type: str
    title: str
    thumbnail: str | None
    duration: float | None
    uploader: str | None
    description: str
    view_count: int | None
    upload_date: str | None
    formats: list[Format]
    available_qualities: list[str]
    available_audio_formats: list[str]
    subtitles: list[str]
    automatic_captions: list[str]
    entries: list[Entry]


class Subtitles(msgspec.Struct):
    """The text of a video's subtitles; `format` says how it is written."""

    url: str
    language: str
    subtitles: str
    format: str
    automatic: bool


async def info(call: Call[InfoQuery, None]) -> web.Response:
    return reply(info_body(call.query.url, await _ask(call, DESCRIBE)))


async def subtitles(call: Call[SubtitlesQuery, None]) -> web.Response:
    query = call.query
    try:
        found = await _ask(call, SUBTITLES, lang=query.lang)
    except BadAddress as error:
        if error.details["type"] == NO_SUBTITLES:
            raise UnknownSubtitles(error.details["reason"], lang=query.lang) from None
        raise
    return reply(Subtitles(query.url, found["language"], found["text"], found["format"], found["automatic"]))


async def _ask(call: Call[Any, None], target: str, **more: str) -> dict[str, Any]:
    request = {**call.hub.kinds["download"].check({"url": call.query.url}), **more}
    arguments = {"request": request, "settings": msgspec.to_builtins(call.config.downloads)}
    asked = Launch(pool="download", target=target, arguments=arguments, fresh=True)
    found: dict[str, Any] = await call.request.app[INQUIRIES].ask(asked)
    return found


def info_body(url: str, found: Mapping[str, Any]) -> Info:
    formats = [_format(one) for one in found.get("formats") or ()]
    return Info(
        url=url,
        type=found.get("type") or "video",
        title=found.get("title") or "",
        thumbnail=found.get("thumbnail"),
        duration=found.get("duration_s"),
        uploader=found.get("uploader"),
        description=found.get("description") or "",
        view_count=found.get("view_count"),
        upload_date=found.get("upload_date"),
        formats=formats,
        available_qualities=qualities(found.get("formats") or ()),
        available_audio_formats=sorted({one.ext for one in formats if _is_sound(one)}),
        subtitles=found.get("subtitles") or [],
        automatic_captions=found.get("automatic_captions") or [],
        entries=[
            Entry(one.get("title") or "", one.get("url"), one.get("duration_s")) for one in found.get("entries") or ()
        ],
    )


def qualities(formats: Iterable[Mapping[str, Any]]) -> list[str]:
    """The heights there are, as `quality` takes them, best first."""
    heights = {one["height"] for one in formats if isinstance(one.get("height"), int)}
    return [f"{height}p" for height in sorted(heights, reverse=True)]


def _format(one: Mapping[str, Any]) -> Format:
    return Format(
        format_id=str(one.get("format_id") or ""),
        ext=one.get("ext") or "",
        resolution=one.get("resolution") or "",
        filesize=one.get("size_bytes"),
        fps=one.get("fps"),
        vcodec=one.get("vcodec"),
        acodec=one.get("acodec"),
        note=one.get("note"),
    )


def _is_sound(one: Format) -> bool:
    return one.vcodec in NONE and one.acodec not in NONE


ROUTES = (
    Route(
        method="GET",
        path="/api/info",
        handler=info,
        summary="What is at an address, without downloading it",
        query=InfoQuery,
        scope="submit",
        answers={200: Info},
    ),
    Route(
        method="GET",
        path="/api/subtitles",
        handler=subtitles,
        summary="The subtitles of what is at an address",
        query=SubtitlesQuery,
        scope="submit",
        answers={200: Subtitles},
    ),
)
