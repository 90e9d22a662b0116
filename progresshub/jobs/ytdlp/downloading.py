"""Fetches what a request asks for: one video, or the entries of a list one after another.

What is not whole yet lies in a hidden directory beside what is; a later attempt goes on with it.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from yt_dlp.utils import YoutubeDLError

from progresshub.jobs.functions import Context
from progresshub.jobs.ytdlp.bar import Bar, about
from progresshub.jobs.ytdlp.failures import Unfit, Why
from progresshub.jobs.ytdlp.ffmpeg import listening
from progresshub.jobs.ytdlp.fitness import Fitness
from progresshub.jobs.ytdlp.loopback import one_file_at
from progresshub.jobs.ytdlp.options import PARTIAL, naming, options
from progresshub.jobs.ytdlp.session import LISTS, Info, Session, opened, reason, session

WARMTH = {"socket_timeout_s": 5.0, "buffer_bytes": 65_536}


class NotFetched(Exception):
    """One of several could not be fetched."""

    def __init__(self, why: Why) -> None:
        super().__init__(why.message)
        self.why = why


def download(ctx: Context, request: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Fetch what `request` (a checked payload of the kind) asks for."""
    ctx.pace(settings["reports_per_s"])
    ctx.progress(stage="extracting", message="Looking for the media")
    bar = Bar(ctx.progress, request)
    fitness = Fitness(ctx.directory, settings.get("min_free_bytes", 0))
    partial = ctx.directory / PARTIAL
    partial.mkdir(mode=0o700, exist_ok=True)

    def check(info: Info) -> None:
        fitness.check(info)
        bar.plan(info)

    hooks = {"progress_hooks": [fitness.on_progress, bar.on_progress], "postprocessor_hooks": [bar.on_processing]}
    parameters = {**options(request, settings, ctx.directory), **hooks}
    with session(ctx, parameters, settings, check) as site, listening(partial, bar.on_ffmpeg):
        found = site.find(request["url"])
        entries = site.entries(found, settings.get("max_entries", 1))
        if found.get("_type") in LISTS and len(entries) > 1:
            result = _fetch_all(ctx, site, entries, bar, request) | {"title": found.get("title") or ""}
        elif entries:
            result = _result(ctx.directory, site.process(entries[0], download=True))
        else:
            raise Unfit("the list at this address is empty", "unavailable", retry=False)
    shutil.rmtree(partial, ignore_errors=True)
    return result


def warm_up() -> None:
    """Do once, before forking, what every download would do again: it takes most of the time to the first byte.

    One small download from this process's own loopback compiles the extractors' patterns and imports
    what they need. No thread and no socket is left. When it fails, downloads only start more slowly.
    """
    request = {"format": "best"}
    with one_file_at("/warm-up.mp4") as url, tempfile.TemporaryDirectory() as directory:
        try:
            with opened(options(request, WARMTH, Path(directory)), Bar(_to_nobody, request).plan) as downloader:
                downloader.extract_info(url)
        except (YoutubeDLError, OSError):
            return


def _fetch_all(
    ctx: Context, site: Session, entries: list[Info], bar: Bar, request: Mapping[str, Any]
) -> dict[str, Any]:
    """Every entry as a step. What may come another time fails the attempt; what never will is told in the result."""
    names = [f"{number} of {len(entries)}" for number in range(1, len(entries) + 1)]
    ctx.steps(dict(zip(names, _weights(entries), strict=True)))
    results: list[dict[str, Any]] = []
    failures: list[Why] = []
    for number, (name, entry) in enumerate(zip(names, entries, strict=True), 1):
        bar.begin(number, len(entries))
        site.downloader.params["outtmpl"]["default"] = naming(request.get("mp3_title"), number)
        try:
            with ctx.step(name):
                results.append(_fetch_entry(ctx, site, entry))
        except NotFetched as failed:
            failures.append(failed.why)
            results.append({"title": entry.get("title") or "", "error": failed.why.message})
    worst = next((why for why in failures if why.retry), failures[0] if len(failures) == len(entries) else None)
    if worst is not None:
        ctx.fail(f"{len(failures)} of {len(entries)}: {worst.message}", worst.retry, worst.error_type)
    first = next(result for result in results if "path" in result)
    return {**first, "entries": results}


def _fetch_entry(ctx: Context, site: Session, entry: Info) -> dict[str, Any]:
    try:
        return _result(ctx.directory, site.process(entry, download=True))
    except (YoutubeDLError, OSError, Unfit) as error:
        raise NotFetched(reason(error, site.way)) from None


def _weights(entries: list[Info]) -> list[float]:
    """Each counts by its length, and if that is not known of all, like any other."""
    lengths = [float(entry.get("duration") or 0.0) for entry in entries]
    return lengths if all(lengths) else [1.0] * len(entries)


def _result(directory: Path, info: Info) -> dict[str, Any]:
    """What came of it; several files where an entry was a list itself, and then the first of them is it."""
    top = directory.resolve()
    paths = [Path(path).resolve() for path in _files(info)]
    if not paths or not all(path.is_relative_to(top) and path.is_file() for path in paths):
        raise Unfit("the downloaded file is not in the task's directory", "outside", retry=False)
    path = paths[0]
    name = path.relative_to(top).as_posix()
    found = {"path": name, "filename": path.name, "size_bytes": path.stat().st_size}
    return {**found, "format": path.suffix.removeprefix("."), **about(info)}


def _files(info: Info) -> Iterator[str]:
    for entry in info.get("entries") or ():
        yield from _files(entry or {})
    if made := info.get("requested_downloads"):
        yield made[-1]["filepath"]


def _to_nobody(*_: object, **__: object) -> None:
    return
