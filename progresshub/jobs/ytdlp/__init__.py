"""The kind `download`, the worker's half: yt-dlp as a library, kept within the task's directory.

A fork server imports this and calls `warm_up` once; each of its children then calls `download`.
"""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yt_dlp
from yt_dlp.globals import all_plugins_loaded, plugin_dirs
from yt_dlp.postprocessor.common import PostProcessor
from yt_dlp.utils import YoutubeDLError

from progresshub.jobs.functions import Context
from progresshub.jobs.ytdlp.bar import Bar, about
from progresshub.jobs.ytdlp.failures import explain
from progresshub.jobs.ytdlp.loopback import one_file_at
from progresshub.jobs.ytdlp.options import CONTAINERS, options

WARMTH = {"socket_timeout_s": 5.0, "buffer_bytes": 65_536}


def download(ctx: Context, request: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Fetch what `request` (a checked payload of the kind) asks for; `settings` are those of `[downloads]`."""
    ctx.pace(settings["reports_per_s"])
    bar = Bar(ctx.progress, CONTAINERS.get(request["format"]))
    ctx.progress(stage="extracting", message="Looking for the media")
    try:
        info = fetch(request["url"], options(request, settings, ctx.directory), bar)
    except (YoutubeDLError, OSError) as error:
        why = explain(error)
        ctx.fail(why.message, retry=why.retry, error_type=why.error_type)
    if info is None:
        ctx.fail("there is nothing to download at this address", error_type="unavailable")
    return _result(ctx, info)


def fetch(url: str, parameters: Mapping[str, Any], bar: Bar) -> dict[str, Any] | None:
    """Download the one video at `url` and return all that yt-dlp knows of it."""
    hooks = {"progress_hooks": [bar.on_progress], "postprocessor_hooks": [bar.on_processing]}
    with yt_dlp.YoutubeDL({**parameters, **hooks}, auto_init=False) as downloader:
        for extractor in _extractors():
            downloader.add_info_extractor(extractor)
        downloader.add_post_processor(_Before(bar.plan), when="before_dl")
        info = downloader.extract_info(url)
    if info is not None and "entries" in info:
        info = next(iter(info["entries"]), None)
    return info


def warm_up() -> None:
    """Do once, before forking, what every download would do again: it takes most of the time to the first byte.

    One small download from this process's own loopback compiles the extractors' patterns and imports
    what they need. No thread and no socket is left. When it fails, downloads only start more slowly.
    """
    request = {"format": "best"}
    with one_file_at("/warm-up.mp4") as url, tempfile.TemporaryDirectory() as directory:
        try:
            fetch(url, options(request, WARMTH, Path(directory)), Bar(_to_nobody))
        except (YoutubeDLError, OSError):
            return


@functools.cache
def _extractors() -> tuple[type, ...]:
    """Every extractor yt-dlp brings, and none of a plugin's; looking them up is slow, adding them is not."""
    plugin_dirs.value = []
    all_plugins_loaded.value = True
    return tuple(yt_dlp.extractor.gen_extractor_classes())


class _Before(PostProcessor):  # type: ignore[misc]  # yt-dlp ships no types
    """Shows what is about to be downloaded."""

    def __init__(self, show: Callable[[Mapping[str, Any]], None]) -> None:
        super().__init__(None)
        self._show = show

    def run(self, information: dict[str, Any]) -> tuple[list[str], dict[str, Any]]:
        self._show(information)
        return [], information


def _result(ctx: Context, info: Mapping[str, Any]) -> dict[str, Any]:
    directory = ctx.directory.resolve()
    path = Path(info["requested_downloads"][-1]["filepath"]).resolve()
    if not path.is_relative_to(directory) or not path.is_file():
        ctx.fail("the downloaded file is not in the task's directory", error_type="outside")
    name = path.relative_to(directory).as_posix()
    return {
        "path": name,
        "filename": path.name,
        "size_bytes": path.stat().st_size,
        "format": path.suffix.removeprefix("."),
        **about(info),
    }


def _to_nobody(*_: object, **__: object) -> None:
    return
