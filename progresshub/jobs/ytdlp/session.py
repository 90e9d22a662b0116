"""An opened yt-dlp, with the way out it has to take and nothing of the user's.

What goes wrong inside ends the task in words; an address that was refused is the reason before all others.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any

import yt_dlp
from yt_dlp.downloader.external import FFmpegFD
from yt_dlp.globals import all_plugins_loaded, plugin_dirs
from yt_dlp.postprocessor.common import PostProcessor
from yt_dlp.utils import PlaylistEntries, YoutubeDLError

from progresshub.egress import Egress, egress, rules_of
from progresshub.jobs.functions import Context
from progresshub.jobs.ytdlp.failures import Unfit, Why, explain

Info = dict[str, Any]

NOTHING = "there is nothing to download at this address"
MOST_HOPS = 5
"""From one page to another, until there is a video or a list of them."""
LISTS = frozenset({"playlist", "multi_video", "compat_list"})


@contextmanager
def session(
    ctx: Context,
    parameters: Mapping[str, Any],
    settings: Mapping[str, Any],
    check: Callable[[Info], None] | None = None,
) -> Iterator[Session]:
    """A session for a block; what yt-dlp raises in it is the task's failure.

    `check` sees what is about to be fetched, before the first byte of it.
    """
    with egress(rules_of(settings)) as way:
        try:
            with opened({**parameters, "proxy": way.url, **_cookies(settings)}, check) as downloader:
                downloader.add_post_processor(_Hook(lambda info: _check_whole(way)), when="post_process")
                yield Session(downloader, way)
        except (YoutubeDLError, OSError, Unfit) as error:
            why = reason(error, way)
            ctx.fail(why.message, retry=why.retry, error_type=why.error_type)


@contextmanager
def opened(parameters: Mapping[str, Any], check: Callable[[Info], None] | None = None) -> Iterator[yt_dlp.YoutubeDL]:
    with yt_dlp.YoutubeDL({**parameters}, auto_init=False) as downloader:
        for extractor in _extractors():
            downloader.add_info_extractor(extractor)
        if check is not None:
            downloader.add_post_processor(_Hook(check), when="before_dl")
        yield downloader


def _check_whole(way: Egress) -> None:
    """Before a file gets its name: ffmpeg leaves out what it can't get, and calls that a success."""
    if refused := way.refusal():
        raise Unfit(refused, "private_address", retry=False)


def reason(error: BaseException, way: Egress) -> Why:
    refused = way.refusal()
    return Why(refused, "private_address", retry=False) if refused else explain(error)


class Session:
    """What there is at an address, and how to have it."""

    def __init__(self, downloader: yt_dlp.YoutubeDL, way: Egress) -> None:
        self.downloader = downloader
        self.way = way

    def find(self, url: str) -> Info:
        """The video or list at `url`, with nothing of it looked at more closely."""
        found: Info | None = self.downloader.extract_info(url, download=False, process=False)
        for _ in range(MOST_HOPS):
            if found is None or found.get("_type") != "url":
                break
            found = self.downloader.extract_info(
                found["url"], download=False, ie_key=found.get("ie_key"), process=False
            )
        if found is None:
            raise Unfit(NOTHING, "unavailable", retry=False)
        return found

    def entries(self, found: Info, most: int) -> list[Info]:
        """What a list contains, in its order; the only element of it where it is not a list."""
        if found.get("_type") not in LISTS:
            return [found]
        entries = (entry for _, entry in PlaylistEntries(self.downloader, found).get_requested_items())
        return [{**entry} for entry in islice(filter(None, entries), most)]

    def process(self, found: Info, *, download: bool) -> Info:
        """All that is known of it, and with `download` the files."""
        extra = {"original_url": found["original_url"]} if found.get("original_url") else {}
        info: Info | None = self.downloader.process_ie_result(found, download=download, extra_info=extra)
        if info is None:
            raise Unfit(NOTHING, "unavailable", retry=False)
        return info


@functools.cache
def _extractors() -> tuple[type, ...]:
    """Every extractor yt-dlp brings, and none of a plugin's; looking them up is slow, adding them is not."""
    plugin_dirs.value = []
    all_plugins_loaded.value = True
    return tuple(yt_dlp.extractor.gen_extractor_classes())


def _keep_from_ffmpeg() -> None:
    """Cookies of a login never stand on a command line, where everybody on the machine could read them."""
    fetch = FFmpegFD.real_download

    def fetch_without_cookies(self: FFmpegFD, name: str, info: Info) -> Any:
        addresses = [one["url"] for one in info.get("requested_formats") or [info]]
        if any(map(self.ydl.cookiejar.get_cookies_for_url, addresses)):
            raise Unfit("ffmpeg would have to fetch this, and it is not given cookies", "cookies_file", retry=False)
        return fetch(self, name, info)

    FFmpegFD.real_download = fetch_without_cookies


def _cookies(settings: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of the cookies, since yt-dlp writes back what it was given, and others read the same file."""
    path = settings.get("cookies_file")
    if not path:
        return {}
    with suppress(UnicodeDecodeError, OSError):
        _keep_from_ffmpeg()
        return {"cookiefile": io.StringIO(Path(path).read_text())}
    raise Unfit("the file of cookies that the settings name can't be read", "cookies_file", retry=False)


class _Hook(PostProcessor):  # type: ignore[misc]  # yt-dlp ships no types
    """Shows what yt-dlp knows at some moment of a download."""

    def __init__(self, show: Callable[[Info], None]) -> None:
        super().__init__(None)
        self._show = show

    def run(self, information: Info) -> tuple[list[str], Info]:
        self._show(information)
        return [], information
