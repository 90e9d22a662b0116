"""One percentage for a whole download, out of yt-dlp's hooks, which speak of one file at a time.

Within an attempt it never goes back, and where the size is not known there is none: then only the
bytes so far are told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import Any

STAGES = {
    "Merger": ("merging", "Putting picture and sound together"),
    "FixupM3u8": ("processing", "Repairing the container"),
    "VideoRemuxer": ("processing", "Changing the container"),
    "VideoConvertor": ("processing", "Converting"),
    "ExtractAudio": ("processing", "Extracting the sound"),
    "EmbedThumbnail": ("processing", "Embedding the picture"),
}


class Part:
    """One of the files that are fetched: `size_bytes` is None while nobody knows it."""

    def __init__(self, size_bytes: float | None = None) -> None:
        self.size_bytes = size_bytes
        self.done_bytes = 0.0
        self.estimated = True

    def learn(self, status: Mapping[str, Any]) -> None:
        """Take over what a hook says."""
        exact, estimate = status.get("total_bytes"), status.get("total_bytes_estimate")
        self.size_bytes = exact or estimate or self.size_bytes
        self.estimated = not exact
        self.done_bytes = status.get("downloaded_bytes") or self.done_bytes

    def end(self) -> None:
        self.size_bytes = self.done_bytes = max(self.done_bytes, self.size_bytes or 0.0)
        self.estimated = False


class Bar:
    """Listens to the hooks and calls `progress` (that of a Context) for each.

    `container` is the one the file is to have in the end: what has it already is not changed again.
    """

    def __init__(self, progress: Callable[..., None], container: str | None = None) -> None:
        self._progress = progress
        self._container = container
        self._parts = [Part()]
        self._finished = 0
        self._percent = 0.0
        self._about: dict[str, Any] = {}
        self._processing = ""

    def plan(self, info: Mapping[str, Any]) -> None:
        """Learn what is going to be fetched, before the first byte of it."""
        formats = info.get("requested_formats") or [info]
        self._parts = [Part(one.get("filesize") or one.get("filesize_approx")) for one in formats]
        self._finished = 0
        self._about = about(info)
        self._progress(stage="downloading", message=self._about["title"], unit="bytes", metadata=self._metadata())

    def on_progress(self, status: Mapping[str, Any]) -> None:
        """The hook for bytes."""
        part = self._parts[min(self._finished, len(self._parts) - 1)]
        part.learn(status)
        if filename := status.get("filename"):
            self._about["filename"] = PurePath(filename).name
        if status["status"] == "finished":
            part.end()
            self._finished += 1
        self._report(status.get("speed") or None)

    def on_processing(self, status: Mapping[str, Any]) -> None:
        """The hook for what is done with the files afterwards."""
        name = status["postprocessor"]
        if status["status"] != "started" or name not in STAGES or name == self._processing:
            return
        if name == "VideoRemuxer" and status["info_dict"].get("ext") == self._container:
            return
        self._processing = name
        stage, message = STAGES[name]
        self._progress(stage=stage, message=message)

    def _report(self, speed_bps: float | None) -> None:
        current = sum(part.done_bytes for part in self._parts)
        sizes = [part.size_bytes for part in self._parts if part.size_bytes is not None]
        total = max(sum(sizes), current) if len(sizes) == len(self._parts) else None
        self._progress(
            self._overall(),
            current=current,
            total=total,
            unit="bytes",
            stage="downloading",
            speed_bps=speed_bps,
            eta_s=(total - current) / speed_bps if total and speed_bps else None,
            metadata=self._metadata(),
        )

    def _overall(self) -> float | None:
        """Each part counts by its size; a part whose size nobody knows yet counts like an average one."""
        sizes = [part.size_bytes for part in self._parts if part.size_bytes]
        average = sum(sizes) / len(sizes) if sizes else 1.0
        running = self._parts[min(self._finished, len(self._parts) - 1)]
        if not running.size_bytes:
            return None
        whole = sum(part.size_bytes or average for part in self._parts)
        done = sum(min(part.done_bytes, part.size_bytes or average) for part in self._parts)
        self._percent = max(self._percent, 100 * (done / whole))
        return self._percent

    def _metadata(self) -> dict[str, Any]:
        estimated = any(part.estimated and part.size_bytes for part in self._parts)
        return {**self._about, "estimated": estimated, "parts": len(self._parts)}


def about(info: Mapping[str, Any]) -> dict[str, Any]:
    """What is known of a video before it is there."""
    return {"title": info.get("title") or "", "thumbnail": info.get("thumbnail"), "duration_s": info.get("duration")}
