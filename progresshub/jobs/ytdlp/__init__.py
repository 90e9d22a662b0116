"""The kind `download`, the worker's half: yt-dlp as a library, kept within the task's directory.

A fork server imports this and calls `warm_up` once; each of its children then calls one of the other
functions, whose `settings` are those of `[downloads]`.
"""

from __future__ import annotations

from progresshub.jobs.ytdlp.describing import describe
from progresshub.jobs.ytdlp.downloading import download, warm_up
from progresshub.jobs.ytdlp.subtitling import subtitles

__all__ = ["describe", "download", "subtitles", "warm_up"]
