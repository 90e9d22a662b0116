"""What is kept of a song, over the stems dialect: its files, one by one and as a list, until they are cleaned up."""

from __future__ import annotations

import asyncio
import mimetypes
from pathlib import PurePosixPath

import msgspec
from aiohttp import web

from progresshub.dialects.stems import words
from progresshub.dialects.stems.refusals import InvalidName
from progresshub.dialects.stems.songs import SORTS
from progresshub.edge.attachment import attachment
from progresshub.edge.ending import ended
from progresshub.edge.routes import JSON, Call, Route
from progresshub.edge.wire import reply
from progresshub.errors import NotCancellable, NotDeletable, UnknownTask
from progresshub.files import FileInfo
from progresshub.jobs import audio
from progresshub.model import State, Task

STOP_PATIENCE_S = 20.0
MEDIA_TYPES = {**{f".{name}": sort.media_type for name, sort in SORTS.items()}, ".json": JSON, ".txt": "text/plain"}
CATEGORIES = {
    **{f"_{stem}": stem for stem in audio.STEMS},
    "_transcription": "transcription",
    "_beats": "beats",
    "_onsets": "onsets",
    "_analysis": "beat_analysis",
}
INLINE = frozenset(MEDIA_TYPES.values())
ORIGINAL, OTHER = "original", "file"


class FileQuery(msgspec.Struct):
    """With `inline` a browser shows or plays the file in place of saving it."""

    inline: bool = False


class Listed(msgspec.Struct):
    filename: str
    category: str
    size: int
    mime_type: str
    download_url: str
    preview_url: str


class Listing(msgspec.Struct):
    job_id: str
    files: list[Listed]
    total_files: int
    total_size: int


class Cleaned(msgspec.Struct):
    job_id: str
    message: str
    deleted_files: int
    freed_bytes: int


async def file(call: Call[FileQuery, None]) -> web.StreamResponse:
    task = await call.hub.get(call.path("job_id"))
    name = call.path("filename")
    if "/" in name or "\\" in name or name in (".", ".."):
        raise InvalidName(name=name[:100])
    path, kind = call.hub.files.find(task.id, name), media_type(name)
    shared = bool(call.config.server.allowed_origins)
    response = attachment(path, inline=call.query.inline and kind in INLINE, shared=shared)
    response.content_type = kind
    return response


async def files(call: Call[None, None]) -> web.Response:
    task = await call.hub.get(call.path("job_id"))
    found = [listed(task, file) for file in call.hub.files.list(task.id)]
    return reply(Listing(task.id, found, len(found), sum(file.size for file in found)))


async def cleanup(call: Call[None, None]) -> web.Response:
    """Take a job and its files away; one that is being worked on is stopped before."""
    task = await call.hub.get(call.path("job_id"))
    if not task.final:
        await _stop(call, task)
    found = call.hub.files.list(task.id)
    await call.hub.delete(task.id)
    freed_bytes = sum(file.size_bytes for file in found)
    return reply(Cleaned(task.id, f"Job {task.id} and its files are gone", len(found), freed_bytes))


async def _stop(call: Call[None, None], task: Task) -> None:
    try:
        await call.hub.cancel(task.id)
    except NotCancellable:
        pass  # it has ended meanwhile, or is being stopped already
    try:
        async with asyncio.timeout(STOP_PATIENCE_S):
            await ended(call.hub, task.id)
    except UnknownTask:
        pass  # somebody else has cleaned it up meanwhile
    except TimeoutError:
        raise NotDeletable(task_id=task.id, state=State.RUNNING) from None


def listed(task: Task, file: FileInfo) -> Listed:
    url = words.link(task, file.name) or ""
    return Listed(
        filename=file.name,
        category=category(task, file.name),
        size=file.size_bytes,
        mime_type=media_type(file.name),
        download_url=url,
        preview_url=f"{url}?inline=true",
    )


def category(task: Task, name: str) -> str:
    """What a file is to the song, by how its name ends."""
    if name == words.original(task):
        return ORIGINAL
    stem = PurePosixPath(name).stem
    return next((word for ending, word in CATEGORIES.items() if stem.endswith(ending)), OTHER)


def media_type(name: str) -> str:
    suffix = PurePosixPath(name).suffix.lower()
    return MEDIA_TYPES.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"


ROUTES = (
    Route(
        method="GET",
        path="/api/files/{job_id}",
        handler=files,
        summary="The files of a job",
        answers={200: Listing},
    ),
    Route(
        method="GET",
        path="/api/files/{job_id}/{filename:.+}",
        handler=file,
        summary="One of them",
        query=FileQuery,
        answers={200: "the file", 206: "the part of it that Range asks for"},
    ),
    Route(
        method="DELETE",
        path="/api/cleanup/{job_id}",
        handler=cleanup,
        summary="Take a job and its files away",
        scope="submit",
        answers={200: Cleaned},
    ),
)
