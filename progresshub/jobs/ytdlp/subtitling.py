"""The subtitles of a video, as text."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from progresshub.jobs.functions import Context
from progresshub.jobs.ytdlp.failures import Unfit
from progresshub.jobs.ytdlp.fitness import check_protocol
from progresshub.jobs.ytdlp.options import options
from progresshub.jobs.ytdlp.session import Info, session

LIKED = ("vtt", "srt", "ttml", "ass")
MOST_BYTES = 900_000


def subtitles(ctx: Context, request: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Those in `request["lang"]` of the video at `request["url"]`: written by people if there are any."""
    language = request["lang"]
    with tempfile.TemporaryDirectory() as scratch:
        parameters = {**options({"format": "best"}, settings, Path(scratch)), "ignore_no_formats_error": True}
        with session(ctx, parameters, settings) as site:
            found = site.entries(site.find(request["url"]), 1)
            if not found:
                raise Unfit("the list at this address is empty", "unavailable", retry=False)
            info = site.process(found[0], download=False)
            track, automatic = _choose(info, language)
            check_protocol(track)
            path = Path(scratch, f"subtitles.{track['ext']}")
            if track.get("data") is not None:
                path.write_text(track["data"])
            else:
                site.downloader.dl(str(path), {**track, "http_headers": info.get("http_headers") or {}}, subtitle=True)
            text = path.read_bytes()[:MOST_BYTES].decode(errors="replace")
    return {"language": language, "format": track["ext"], "automatic": automatic, "text": text}


def _choose(info: Info, language: str) -> tuple[Info, bool]:
    for name, automatic in (("subtitles", False), ("automatic_captions", True)):
        tracks = (info.get(name) or {}).get(language)
        if tracks:
            return min(tracks, key=_rank), automatic
    there = sorted({*(info.get("subtitles") or ()), *(info.get("automatic_captions") or ())})
    which = f"there are {', '.join(there[:50])}" if there else "there are none"
    raise Unfit(f"there are no subtitles in {language}: {which}", "no_subtitles", retry=False)


def _rank(track: Info) -> int:
    extension = track.get("ext")
    return LIKED.index(extension) if extension in LIKED else len(LIKED)
