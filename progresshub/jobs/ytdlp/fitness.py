"""Whether what is about to be fetched may be, and whether there is room for it.

Looked at before the first byte and while bytes come.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from progresshub.jobs.ytdlp.failures import Unfit

PROTOCOLS = frozenset(
    {
        "http",
        "https",
        "m3u8",
        "m3u8_native",
        "http_dash_segments",
        "http_dash_segments_generator",
        "ism",
        "f4m",
        "mhtml",
    }
)
"""Those that keep to the way out; others open connections of their own."""
LOOK_EVERY_S = 0.5


class Fitness:
    """Raises Unfit when it has to end. `min_free_bytes` is what has to stay free on the disk."""

    def __init__(self, directory: Path, min_free_bytes: int) -> None:
        self._directory = directory
        self._min_free_bytes = min_free_bytes
        self._next_s = 0.0

    def check(self, info: Mapping[str, Any]) -> None:
        """Before the first byte."""
        formats = info.get("requested_formats") or [info]
        for one in formats:
            check_protocol(one)
        sizes = (one.get("filesize") or one.get("filesize_approx") or 0 for one in formats)
        self._check_room(sum(sizes))

    def on_progress(self, status: Mapping[str, Any]) -> None:
        """The hook for bytes."""
        now_s = time.monotonic()
        if now_s >= self._next_s:
            self._next_s = now_s + LOOK_EVERY_S
            left = (status.get("total_bytes") or 0) - (status.get("downloaded_bytes") or 0)
            self._check_room(left if status["status"] == "downloading" else 0)

    def _check_room(self, wanted_bytes: float) -> None:
        free = shutil.disk_usage(self._directory).free
        if free - max(0, wanted_bytes) < self._min_free_bytes:
            reason = (
                f"the disk has {free / 1e6:.0f} MB free; {wanted_bytes / 1e6:.0f} MB are still to come, "
                f"and {self._min_free_bytes / 1e6:.0f} MB are to stay free"
            )
            raise Unfit(reason, "storage_full", retry=True)


def check_protocol(info: Mapping[str, Any]) -> None:
    """A file given as fragments may have no address of its own."""
    scheme = urlsplit(info.get("url") or "").scheme
    protocol = info.get("protocol") or scheme
    for one in protocol.split("+"):
        if one not in PROTOCOLS:
            raise Unfit(f"{one} is not fetched, only http and https are", "unsupported_protocol", retry=False)
    if scheme not in ("", "http", "https"):
        raise Unfit(f"{scheme} is not fetched, only http and https are", "unsupported_protocol", retry=False)
