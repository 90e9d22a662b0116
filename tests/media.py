"""A web server of media files for tests: whole or in parts, with a length or without, slow, cut off or refused.

It listens on a free port of the loopback while its block lasts. What is slow waits for the test to
open a gate, never for time to pass.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pytest
from aiohttp import web

CHUNK_BYTES = 16_384
GATE_TIMEOUT_S = 30.0
TYPES = {
    ".mpd": "application/dash+xml",
    ".m3u8": "application/vnd.apple.mpegurl",
    ".html": "text/html",
    ".vtt": "text/vtt",
    ".jpg": "image/jpeg",
}


class Asked(NamedTuple):
    """A request: `range` is its header, or empty."""

    name: str
    range: str


class Gate:
    """Lets a file's bytes pass up to a place that the test moves."""

    def __init__(self, upto: int = 0) -> None:
        self._upto = upto
        self._moved = asyncio.Condition()

    async def open(self, upto: int) -> None:
        async with self._moved:
            self._upto = upto
            self._moved.notify_all()

    async def passes(self, place: int) -> None:
        async with asyncio.timeout(GATE_TIMEOUT_S), self._moved:
            await self._moved.wait_for(lambda: place < self._upto)


@dataclass(frozen=True, kw_only=True)
class File:
    """How a file is served, or with a `location` where it is said to be.

    The `cut_request`-th request for it ends after `cut_after` bytes, without notice.
    """

    content: bytes = b""
    content_type: str = "video/mp4"
    status: int = 200
    length: bool = True
    gate: Gate | None = None
    cut_after: int | None = None
    cut_request: int = 2
    location: str = ""


@dataclass
class Media:
    """The server: `add` a file, give `url` to whoever shall fetch it, and see in `asked` what came."""

    base: str
    files: dict[str, File] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    cookies: set[str] = field(default_factory=set)

    def add(self, name: str, file: File) -> str:
        self.files[name] = file
        return f"{self.base}/{name}"

    async def serve(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        self.asked.append(Asked(name, request.headers.get("Range", "")))
        self.cookies |= {f"{key}={value}" for key, value in request.cookies.items()}
        file = self.files.get(name, File(status=404))
        if file.location:
            return web.Response(status=302, headers={"Location": file.location})
        if file.status != 200:
            return web.Response(status=file.status)
        count = sum(asked.name == name for asked in self.asked)
        cut_after = file.cut_after if count == file.cut_request else None
        return await _send(request, file, cut_after)


@asynccontextmanager
async def media_server() -> AsyncIterator[Media]:
    media = Media("")
    app = web.Application()
    app.router.add_get("/{name:.*}", media.serve)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    media.base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield media
    finally:
        await runner.cleanup()


async def _send(request: web.Request, file: File, cut_after: int | None) -> web.StreamResponse:
    response, start = _head(request, file)
    await response.prepare(request)
    end = len(file.content) if cut_after is None else cut_after
    for place in range(start, end, CHUNK_BYTES):
        if file.gate is not None:
            await file.gate.passes(place)
        try:
            await response.write(file.content[place : min(place + CHUNK_BYTES, end)])
        except ConnectionError:
            return response
    if cut_after is not None and request.transport is not None:
        request.transport.close()
    return response


def _head(request: web.Request, file: File) -> tuple[web.StreamResponse, int]:
    start = request.http_range.start or 0
    size = len(file.content)
    response = web.StreamResponse(status=206 if start and file.length else 200)
    response.content_type = file.content_type
    if not file.length:
        response.enable_chunked_encoding()
        return response, 0
    response.headers["Accept-Ranges"] = "bytes"
    response.content_length = size - start
    if start:
        response.headers["Content-Range"] = f"bytes {start}-{size - 1}/{size}"
    return response, start


def make_video(directory: Path) -> Path:
    """A second of picture and sound as a small mp4; skips where there is no ffmpeg."""
    return _make(directory / "video.mp4", "-movflags", "+faststart")


def make_manifest(directory: Path) -> Path:
    """The same as a DASH manifest, with picture and sound in files of their own beside it."""
    return _make(directory / "video.mpd", "-f", "dash")


def make_hls(directory: Path) -> Path:
    """The same as an HLS playlist of several segments beside it."""
    return _make(
        directory / "video.m3u8", "-c:v", "mpeg2video", "-g", "2", "-hls_time", "0.2", "-hls_playlist_type", "vod"
    )


def add_all(media: Media, directory: Path) -> None:
    """Serve every file of a directory, manifests as what they are."""
    for path in directory.iterdir():
        if path.is_file():
            content_type = TYPES.get(path.suffix, "video/mp4")
            media.add(path.name, File(content=path.read_bytes(), content_type=content_type))


def _make(path: Path, *arguments: str) -> Path:
    if shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed, so there is no real video to test with")
    sources = ["-f", "lavfi", "-i", "testsrc=d=1:r=10:s=160x120", "-f", "lavfi", "-i", "sine=d=1"]
    codecs = ["-c:v", "mpeg4", "-c:a", "aac", "-shortest", *arguments]
    subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-y", *sources, *codecs, path], check=True, timeout=60)
    return path
