"""What yt-dlp is told, made from a checked request.

All of it is written here: nothing a client sends is used as an option, a template or a path, and
no configuration, plugin, cookie or cache of the user takes part.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from yt_dlp.postprocessor.metadataparser import MetadataParserPP
from yt_dlp.utils import sanitize_filename

from progresshub.jobs.ytdlp.ffmpeg import PIPE

AUDIO = {"audio": "best", "mp3": "mp3", "wav": "wav", "flac": "flac", "aac": "aac"}
CONTAINERS = {"mp4": "mp4", "webm": "webm"}
TAKES_PICTURE = frozenset({"mp3", "mp4", "aac"})
RETRIES = 2
PARTIAL = ".partial"
"""Where files are until they are whole: hidden, so that nobody is offered half of one."""
WHITELIST = "http,https,tls,tcp,httpproxy,crypto,data"
"""What ffmpeg may open when it fetches something itself: all of it goes the way out that it is given."""


def options(request: Mapping[str, Any], settings: Mapping[str, Any], directory: Path) -> dict[str, Any]:
    """The parameters of a YoutubeDL for this request, whose files all go to `directory`."""
    said = ["-progress", str(directory / PARTIAL / PIPE)]
    return {
        **_always(settings),
        "paths": {"home": str(directory), "temp": PARTIAL},
        "outtmpl": {"default": naming(request.get("mp3_title"))},
        "format": selector(request, can_merge=shutil.which("ffmpeg") is not None),
        "merge_output_format": CONTAINERS.get(request["format"]),
        "writethumbnail": with_picture(request),
        "writesubtitles": bool(request.get("subtitles")),
        "subtitleslangs": list(request.get("subtitles") or ()),
        "postprocessors": _processing(request),
        "postprocessor_args": {"ffmpeg": said},
        "external_downloader_args": {"ffmpeg_i": ["-protocol_whitelist", WHITELIST], "ffmpeg_o": said},
    }


def selector(request: Mapping[str, Any], *, can_merge: bool = True) -> str:
    """Which of a site's formats to take, in yt-dlp's own language; unless they can be merged, one that is whole."""
    if request.get("format_id"):
        return str(request["format_id"])
    wanted, quality = request["format"], request.get("quality") or "best"
    if wanted in AUDIO:
        return "wa/w" if quality == "worst" else "ba/b"
    height = re.match(r"\d+", quality)
    limit = f"[height<={height[0]}]" if height else ""
    take = "w" if quality == "worst" else "b"
    if wanted == "video":
        return f"{take}v{limit}/{take}v*{limit}/{take}"
    choices = [f"{take}v*{limit}+{take}a", f"{take}{limit}", take]
    if wanted in CONTAINERS:
        sound = "m4a" if wanted == "mp4" else "webm"
        choices = [f"{take}v*{limit}[ext={wanted}]+{take}a[ext={sound}]", f"{take}{limit}[ext={wanted}]", *choices]
    return "/".join(choice for choice in choices if can_merge or "+" not in choice)


def _always(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "quiet": True,
        "noprogress": True,
        "color": "never",
        "noplaylist": True,
        "skip_unavailable_fragments": False,
        "cachedir": False,
        "usenetrc": False,
        "enable_file_urls": False,
        "restrictfilenames": True,
        "trim_file_name": 200,
        "updatetime": False,
        "continuedl": True,
        "nopart": False,
        "retries": RETRIES,
        "fragment_retries": RETRIES,
        "extractor_retries": 1,
        "socket_timeout": settings["socket_timeout_s"],
        "noresizebuffer": True,
        "buffersize": settings["buffer_bytes"],
        "ratelimit": settings.get("rate_limit_bps") or None,
    }


def naming(title: str | None, number: int = 0) -> str:
    """The template of a file's name, numbered where it is one of several, and again in a list within a list.

    The title is cut by bytes so that `.part` and its like still fit behind it.
    """
    fixed = sanitize_filename(title, restricted=True).replace("%", "%%") if title else "%(title).150B"
    return f"{number:03d}_%(playlist_index&{{}}_|)s{fixed}.%(ext)s" if number else f"{fixed}.%(ext)s"


def sound_title(request: Mapping[str, Any]) -> str:
    """What to write into the file as its title."""
    return (request.get("mp3_title") or "") if request["format"] in AUDIO else ""


def with_picture(request: Mapping[str, Any]) -> bool:
    return bool(request.get("embed_thumbnail")) and request["format"] in TAKES_PICTURE


def _processing(request: Mapping[str, Any]) -> list[dict[str, Any]]:
    steps: list[dict[str, Any]] = []
    wanted, quality = request["format"], request.get("quality")
    if wanted in AUDIO:
        number = re.match(r"\d+", quality or "")
        bitrate = number[0] if number else None
        steps.append({"key": "FFmpegExtractAudio", "preferredcodec": AUDIO[wanted], "preferredquality": bitrate})
    elif wanted in CONTAINERS:
        steps.append({"key": "FFmpegVideoRemuxer", "preferedformat": CONTAINERS[wanted]})
    if title := sound_title(request):
        steps.append({"key": "MetadataParser", "when": "pre_process", "actions": [_titled(title)]})
        steps.append({"key": "FFmpegMetadata", "add_chapters": False, "add_infojson": False})
    if with_picture(request):
        steps.append({"key": "EmbedThumbnail"})
    return steps


def _titled(title: str) -> tuple[Any, ...]:
    """Replaces whatever title there is: as text, in which nothing stands for something else."""
    return MetadataParserPP.Actions.REPLACE, "title", r"(?s)\A.*\Z", title.replace("\\", r"\\")
