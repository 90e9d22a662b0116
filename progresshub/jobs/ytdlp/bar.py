"""One percentage for a whole download, out of yt-dlp's hooks, which speak of one file or program at a time.

Fetching and each piece of work afterwards have a share of it. Within an attempt it never goes back, and
where the size is not known there is none: then only the bytes so far are told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import Any, NamedTuple

from progresshub.jobs.ytdlp.options import AUDIO, CONTAINERS, sound_title, with_picture


class Work(NamedTuple):
    """Something done with the files: `share` is its percentage of the whole."""

    stage: str
    message: str
    share: float


WORKS = {
    "Merger": Work("merging", "Putting picture and sound together", 5),
    "FixupM3u8": Work("processing", "Repairing the container", 2),
    "VideoRemuxer": Work("processing", "Changing the container", 5),
    "ExtractAudio": Work("processing", "Extracting the sound", 15),
    "Metadata": Work("processing", "Writing the title", 1),
    "EmbedThumbnail": Work("processing", "Embedding the picture", 2),
}


class Part:
    """One of the files that are fetched: `size_bytes` is None while nobody knows it."""

    def __init__(self, size_bytes: float | None = None, name: str = "") -> None:
        self.size_bytes = size_bytes
        self.name = name
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
    """Listens to the hooks and calls `progress` (that of a Context) for each."""

    def __init__(self, progress: Callable[..., None], request: Mapping[str, Any]) -> None:
        self._progress = progress
        self._request = request
        self._container = CONTAINERS.get(request["format"])
        self.begin()

    def begin(self, number: int = 0, of: int = 0) -> None:
        """Count afresh, for one of several entries."""
        self._entry = {"entry": number, "entries": of} if of else {}
        self._parts = [Part()]
        self._works: dict[str, float] = {}
        self._finished = 0
        self._percent = 0.0
        self._about: dict[str, Any] = {}
        self._duration_s: float | None = None
        self._working = ""

    def plan(self, info: Mapping[str, Any]) -> None:
        """Learn what is going to be fetched, before the first byte of it."""
        formats = info.get("requested_formats") or [info]
        self._parts = [Part(one.get("filesize") or one.get("filesize_approx"), _name(one)) for one in formats]
        self._works = {name: WORKS[name].share for name in self._foreseen(info)}
        self._finished = 0
        self._about = about(info)
        self._duration_s = self._about["duration_s"]
        self._progress(stage="downloading", message=self._message(), unit="bytes", metadata=self._metadata())

    def on_progress(self, status: Mapping[str, Any]) -> None:
        """The hook for bytes."""
        part = self._running
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
        if name not in WORKS or (name == "VideoRemuxer" and status["info_dict"].get("ext") == self._container):
            return
        if status["status"] == "started" and name != self._working:
            self._working = name
            self._tell_work(0.0)
        elif status["status"] == "finished" and name == self._working:
            self._tell_work(1.0)

    def on_ffmpeg(self, made_s: float | None, made_bytes: int | None) -> None:
        """What ffmpeg says while yt-dlp waits for it: it works on files, or fetches one itself."""
        share = None if not self._duration_s or made_s is None else min(1.0, made_s / self._duration_s)
        if self._working:
            self._tell_work(share)
            return
        if share is not None:
            self._percent = max(self._percent, share * self._fetching)
        self._progress(None if share is None else self._percent, current=made_bytes, unit="bytes", stage="downloading")

    @property
    def _running(self) -> Part:
        return self._parts[min(self._finished, len(self._parts) - 1)]

    @property
    def _fetching(self) -> float:
        """The share of fetching."""
        return 100 - sum(self._works.values())

    def _foreseen(self, info: Mapping[str, Any]) -> list[str]:
        """Works that are certain to come."""
        sound, fits = self._request["format"] in AUDIO, self._container in (None, info.get("ext"))
        expected = {
            "Merger": len(self._parts) > 1,
            "VideoRemuxer": not sound and not fits,
            "ExtractAudio": sound,
            "Metadata": bool(sound_title(self._request)),
            "EmbedThumbnail": with_picture(self._request),
        }
        return [name for name, comes in expected.items() if comes]

    def _tell_work(self, done: float | None) -> None:
        stage, message, _ = WORKS[self._working]
        names = list(self._works)
        if self._working in names:
            at = names.index(self._working)
            before = self._fetching + sum(self._works[name] for name in names[:at])
            self._percent = max(self._percent, before + (done or 0.0) * self._works[self._working])
        else:
            self._percent = max(self._percent, self._fetching)
        self._progress(self._percent, stage=stage, message=message)

    def _report(self, speed_bps: float | None) -> None:
        current = sum(part.done_bytes for part in self._parts)
        sizes = [part.size_bytes for part in self._parts if part.size_bytes is not None]
        total = max(sum(sizes), current) if len(sizes) == len(self._parts) else None
        left_s = (total - current) / speed_bps if total and speed_bps and not self._entry else None
        self._progress(
            self._overall(),
            current=current,
            total=total,
            unit="bytes",
            stage="downloading",
            message=self._message(),
            speed_bps=speed_bps,
            eta_s=left_s,
            metadata=self._metadata(),
        )

    def _overall(self) -> float | None:
        """Each part counts by its size; a part whose size nobody knows yet counts like an average one.

        While such a part begins, what was known stays: a bar that has moved does not vanish.
        """
        sizes = [part.size_bytes for part in self._parts if part.size_bytes]
        average = sum(sizes) / len(sizes) if sizes else 1.0
        if not self._running.size_bytes:
            return self._percent or None
        whole = sum(part.size_bytes or average for part in self._parts)
        done = sum(min(part.done_bytes, part.size_bytes or average) for part in self._parts)
        self._percent = max(self._percent, self._fetching * (done / whole))
        return self._percent

    def _message(self) -> str:
        title, name = self._about.get("title") or "", self._running.name
        return f"{title} ({name})" if name and len(self._parts) > 1 else title

    def _metadata(self) -> dict[str, Any]:
        estimated = any(part.estimated and part.size_bytes for part in self._parts)
        done = {"done_bytes": int(sum(part.done_bytes for part in self._parts))}
        return {**self._about, **self._entry, **done, "estimated": estimated, "parts": len(self._parts)}


def about(info: Mapping[str, Any]) -> dict[str, Any]:
    """What is known of a video before it is there."""
    return {"title": info.get("title") or "", "thumbnail": info.get("thumbnail"), "duration_s": info.get("duration")}


def _name(info: Mapping[str, Any]) -> str:
    """What a part is: sites say "none" of what it does not contain."""
    if info.get("vcodec") == "none":
        return "sound"
    return "picture" if info.get("acodec") == "none" else ""
