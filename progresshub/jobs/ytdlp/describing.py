"""What there is at an address, without fetching it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from progresshub.jobs.functions import Context
from progresshub.jobs.ytdlp.options import options
from progresshub.jobs.ytdlp.session import LISTS, Info, session

DESCRIPTION_CHARS = 2_000
MOST_FORMATS = 300


def describe(ctx: Context, request: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Title, thumbnail, duration, uploader, formats … of the video at `request["url"]`, or the entries of a list."""
    parameters = {**options({"format": "best"}, settings, ctx.directory), "ignore_no_formats_error": True}
    with session(ctx, parameters, settings) as site:
        found = site.find(request["url"])
        if found.get("_type") in LISTS:
            entries = site.entries(found, settings.get("max_entries", 1))
            if len(entries) != 1:
                return {**_of_any(found), "type": "playlist", "entries": [_of_entry(entry) for entry in entries]}
            found = entries[0]
        return _of_video(site.process(found, download=False))


def _of_any(info: Info) -> dict[str, Any]:
    return {
        "title": info.get("title") or "",
        "thumbnail": info.get("thumbnail"),
        "uploader": info.get("uploader"),
        "description": (info.get("description") or "")[:DESCRIPTION_CHARS],
        "webpage_url": info.get("webpage_url"),
        "extractor": info.get("extractor"),
    }


def _of_entry(info: Info) -> dict[str, Any]:
    return {"title": info.get("title") or "", "url": info.get("url"), "duration_s": info.get("duration")}


def _of_video(info: Info) -> dict[str, Any]:
    formats = info.get("formats") or []
    return {
        **_of_any(info),
        "type": "video",
        "id": info.get("id"),
        "duration_s": info.get("duration"),
        "upload_date": info.get("upload_date"),
        "view_count": info.get("view_count"),
        "is_live": bool(info.get("is_live")),
        "formats": [_of_format(one) for one in formats[-MOST_FORMATS:]],
        "subtitles": sorted(info.get("subtitles") or ()),
        "automatic_captions": sorted(info.get("automatic_captions") or ()),
    }


def _of_format(info: Info) -> dict[str, Any]:
    return {
        "format_id": info.get("format_id"),
        "ext": info.get("ext"),
        "resolution": info.get("resolution"),
        "width": info.get("width"),
        "height": info.get("height"),
        "fps": info.get("fps"),
        "vcodec": info.get("vcodec"),
        "acodec": info.get("acodec"),
        "bitrate_kbps": info.get("tbr"),
        "size_bytes": info.get("filesize") or info.get("filesize_approx"),
        "note": info.get("format_note"),
    }
