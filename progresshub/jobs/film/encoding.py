"""Pictures and sound as an mp4 that plays everywhere, with its chapters and subtitles in it.

ffmpeg does it, and says how far it is. It reads nothing but local files, which are named here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from progresshub.jobs.film.programs import follow
from progresshub.readers.ffmpeg import FfmpegReader

LONGEST_STILL_S = 2.0
"""A picture that is seen for longer is shown again, so that players need not wait for the next one."""
KEYFRAME_EVERY = 5
LAST_S = 0.1
BITRATE = "64k"
COLOURS = "bt709"
"""Said in the file as well, or else some players show other colours than were drawn."""


class View(NamedTuple):
    """A picture, and how long it is seen."""

    path: Path
    duration_s: float


class Reel(NamedTuple):
    """The files that ffmpeg is given."""

    pictures: Path
    track: Path
    chapters: Path
    subtitles: Path


Tell = Callable[[float], None]
Arguments = list[str | Path]


def list_of(views: Sequence[View]) -> str:
    """In the words of ffmpeg's concat format. The last picture stands there again: its duration would not count."""
    *before, last = views
    stills = [
        still for view in (*before, last._replace(duration_s=last.duration_s - LAST_S)) for still in _stills(view)
    ]
    entries = [f"file '{path.name}'\nduration {duration_s:.6f}\n" for path, duration_s in stills]
    return f"ffconcat version 1.0\n{''.join(entries)}file '{last.path.name}'\n"


def _stills(view: View) -> list[View]:
    count = math.ceil(view.duration_s / LONGEST_STILL_S)
    return [View(view.path, view.duration_s / count)] * count


def encode(reel: Reel, target: Path, *, duration_s: float, language: str, hear: Tell) -> None:
    """Make the film; `hear` is told what share of it has been written, 0 to 1."""
    reader = FfmpegReader()

    def read(said: bytes) -> None:
        for report in reader.feed(said):
            hear(min(1.0, (report.current or 0.0) / duration_s))

    follow(_argv(reel, target, duration_s, language), read)


def _argv(reel: Reel, target: Path, duration_s: float, language: str) -> Arguments:
    local: Arguments = ["-protocol_whitelist", "file"]
    inputs: Arguments = [*local, "-f", "concat", "-i", reel.pictures, *local, "-f", "wav", "-i", reel.track]
    inputs += [*local, "-f", "ffmetadata", "-i", reel.chapters, *local, "-f", "webvtt", "-i", reel.subtitles]
    mapped = ["-map", "0:v", "-map", "1:a", "-map", "3:s", "-map_metadata", "2", "-map_chapters", "2"]
    picture = ["-c:v", "libx264", "-preset", "veryfast", "-tune", "stillimage", "-crf", "20"]
    picture += ["-vf", f"scale=out_color_matrix={COLOURS}:out_range=tv,format=yuv420p", "-color_range", "tv"]
    picture += ["-colorspace", COLOURS, "-color_primaries", COLOURS, "-color_trc", COLOURS]
    picture += ["-fps_mode", "vfr", "-g", str(KEYFRAME_EVERY)]
    sound = ["-c:a", "aac", "-aac_coder", "fast", "-b:a", BITRATE, "-metadata:s:a:0", f"language={language}"]
    text = ["-c:s", "mov_text", "-metadata:s:s:0", f"language={language}", "-disposition:s:0", "0"]
    end: Arguments = ["-t", f"{duration_s:.3f}", "-movflags", "+faststart", "-f", "mp4", target]
    quiet = ["-nostdin", "-hide_banner", "-stats_period", "0.2", "-y"]
    return ["ffmpeg", *quiet, *inputs, *mapped, *picture, *sound, *text, *end]
