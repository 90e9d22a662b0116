"""Uploads: forms whose files go to disk as they come, beside the tasks' own, until a task takes them over.

However much is sent, little of it is in memory, and whatever is refused, cut off or not taken over
leaves nothing behind. An upload may take the usual time of a request, and beyond that as long as it
is not too slow.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Self, TypeVar

import msgspec
from aiohttp import web

from progresshub.edge.idempotency import HEADER as IDEMPOTENCY_KEY
from progresshub.edge.multipart import Multipart, Part, PartEnd
from progresshub.edge.routes import Call, Upload
from progresshub.errors import InvalidRequest, StorageFull, TooLarge, TooMany, TooSlow
from progresshub.files import Files, refusing_when_full
from progresshub.registry.hub import Hub
from progresshub.settings import Config

BESIDES_BYTES = 1_048_576
"""What a form may hold beside its files: fields, headers, boundaries."""
MOST_PARTS = 256
BLOCK_BYTES = 1_048_576
HEAD_BYTES = 512

T = TypeVar("T")


class Received(NamedTuple):
    """A file that has come: the field it was in, its name, and its first bytes."""

    field: str
    name: str
    size_bytes: int
    head: bytes


@dataclass(frozen=True, slots=True)
class Form:
    """What has come, its files on disk. `folder` is for `Submission.staged`; `digest` tells one form from another
    where the request has an Idempotency-Key."""

    folder: Path
    fields: dict[str, str]
    files: tuple[Received, ...]
    digest: bytes | None

    def read(self, kind: type[T]) -> T:
        """The fields as a value of that type; those that it does not know are left out."""
        try:
            return msgspec.convert(self.fields, kind, strict=False)
        except msgspec.ValidationError as error:
            raise InvalidRequest(reason=str(error)) from None


class Uploads:
    """Those that are under way in one server."""

    def __init__(self, files: Files, config: Config) -> None:
        self._files = files
        self._config = config
        self._under_way = 0

    @asynccontextmanager
    async def receive(self, request: web.Request, asked: Upload) -> AsyncIterator[Form]:
        most = self._config.uploads.at_once
        if self._under_way >= most:
            raise TooMany(reason=f"{most} uploads are under way")
        folder = self._files.stage()
        self._under_way += 1
        try:
            limits = _Limits(
                files_bytes=asked.most_bytes(self._config),
                files=asked.most_files(self._config),
                spared_bytes=self._config.store.min_free_bytes,
                check=asked.check,
            )
            digest = blake2b(digest_size=16) if IDEMPOTENCY_KEY in request.headers else None
            yield await self._read(request, _Intake(folder, limits, self._files.free_bytes, digest))
        finally:
            self._under_way -= 1
            await to_its_end(partial(self._files.unstage, folder))

    async def _read(self, request: web.Request, intake: _Intake) -> Form:
        form = Multipart(request.headers.get("Content-Type", ""))
        most_bytes = intake.limits.files_bytes + BESIDES_BYTES
        loop = asyncio.get_running_loop()
        allowed_s = self._config.server.request_timeout_s
        begun_s, came_bytes = loop.time(), 0
        intake.expect(request.content_length or 0)
        try:
            async with asyncio.timeout(allowed_s) as patience, intake:
                while data := await request.content.readany():
                    came_bytes += len(data)
                    if came_bytes > most_bytes:
                        raise TooLarge(limit_bytes=most_bytes)
                    patience.reschedule(begun_s + allowed_s + came_bytes / self._config.uploads.slowest_bps)
                    for piece in form.feed(data):
                        await intake.take(piece)
        except TimeoutError:
            raise TooSlow(limit_s=round(loop.time() - begun_s)) from None
        if not form.ended:
            raise InvalidRequest(reason="the form ends in the middle")
        return intake.form()


UPLOADS = web.AppKey("uploads", Uploads)


@asynccontextmanager
async def receive(call: Call[Any, Any], asked: Upload) -> AsyncIterator[Form]:
    """The form that a request brings, for as long as the block lasts; what no task has taken over is gone after it."""
    async with call.request.app[UPLOADS].receive(call.request, asked) as form:
        yield form


async def sweep(hub: Hub) -> None:
    """Take away what an earlier server had received and its death kept from becoming a task."""
    for task_id in hub.files.strays():
        if await hub.store.load(task_id) is None:
            hub.files.remove([task_id])
    hub.files.unstage_all()


class _Limits(NamedTuple):
    files_bytes: int
    files: int
    spared_bytes: int
    check: Callable[[str, bytes], object]


class _Intake:
    """Puts the pieces of a form where they belong. As a context manager it closes the file that is being written."""

    def __init__(self, folder: Path, limits: _Limits, free_bytes: Callable[[], int], digest: blake2b | None) -> None:
        self._folder = folder
        self.limits = limits
        self._free_bytes = free_bytes
        self._digest = digest
        self._fields: dict[str, str] = {}
        self._files: list[Received] = []
        self._part: Part | None = None
        self._parts = self._files_bytes = self._besides_bytes = 0
        self._block: list[bytes] = []
        self._block_bytes = 0
        self._writing: _Writing | None = None

    def form(self) -> Form:
        digest = None if self._digest is None else self._digest.digest()
        return Form(self._folder, self._fields, tuple(self._files), digest)

    def expect(self, size_bytes: int) -> None:
        """Refuse at once what the disk can't hold."""
        if self._free_bytes() < size_bytes + self.limits.spared_bytes:
            raise StorageFull

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._writing is not None:
            self._writing.file.close()

    async def take(self, piece: Part | bytes | PartEnd) -> None:
        match piece:
            case Part():
                self._begin(piece)
            case PartEnd():
                await self._end()
            case _ if self._writing is None:
                self._add_to_field(piece)
            case _:
                await self._add_to_file(self._writing, piece)

    def _begin(self, part: Part) -> None:
        self._parts += 1
        if self._parts > MOST_PARTS:
            raise TooLarge(f"A form has at most {MOST_PARTS} parts.", limit_parts=MOST_PARTS)
        self._taste(repr(part).encode(errors="replace"))
        self._part = part
        if part.file_name:
            self._open(part.name, part.file_name)

    def _open(self, field: str, name: str) -> None:
        if len(self._files) >= self.limits.files:
            raise InvalidRequest(reason=f"it brings more than {self.limits.files} files")
        check_name(name)
        if any(file.name == name for file in self._files):
            raise InvalidRequest(reason=f"it brings two files with the name {name}")
        with refusing_when_full():
            self._writing = _Writing(field, name, (self._folder / name).open("xb", buffering=0), self._digest)

    def _add_to_field(self, data: bytes) -> None:
        if self._part is not None and self._part.file_name is not None:
            raise InvalidRequest(reason=f"the file of the field {self._part.name} has no name")
        self._besides_bytes += len(data)
        if self._besides_bytes > BESIDES_BYTES:
            raise TooLarge(limit_bytes=BESIDES_BYTES)
        self._taste(data)
        self._block.append(data)

    async def _add_to_file(self, writing: _Writing, data: bytes) -> None:
        self._files_bytes += len(data)
        if self._files_bytes > self.limits.files_bytes:
            raise TooLarge(limit_bytes=self.limits.files_bytes)
        writing.size_bytes += len(data)
        if len(writing.head) < HEAD_BYTES:
            writing.head += data[: HEAD_BYTES - len(writing.head)]
            if len(writing.head) == HEAD_BYTES:
                self.limits.check(writing.name, writing.head)
        self._block.append(data)
        self._block_bytes += len(data)
        if self._block_bytes >= BLOCK_BYTES:
            await self._write(writing, last=False)

    async def _write(self, writing: _Writing, *, last: bool) -> None:
        block, self._block, self._block_bytes = self._block, [], 0
        with refusing_when_full():
            await to_its_end(partial(writing.write, block, last=last))
        self.expect(0)

    async def _end(self) -> None:
        part, self._part = self._part, None
        if self._writing is not None:
            await self._keep(self._writing)
        elif part is not None and part.file_name is None:
            self._fields.setdefault(part.name, self._text(part.name))
        self._block.clear()

    async def _keep(self, writing: _Writing) -> None:
        if writing.size_bytes == 0:
            raise InvalidRequest(reason=f"the file {writing.name} is empty")
        if writing.size_bytes < HEAD_BYTES:
            self.limits.check(writing.name, writing.head)
        await self._write(writing, last=True)
        self._writing = None
        self._files.append(Received(writing.field, writing.name, writing.size_bytes, writing.head))

    def _taste(self, data: bytes) -> None:
        if self._digest is not None:
            self._digest.update(data)

    def _text(self, field: str) -> str:
        try:
            return b"".join(self._block).decode()
        except UnicodeDecodeError:
            raise InvalidRequest(reason=f"the field {field} is not UTF-8") from None


@dataclass(slots=True)
class _Writing:
    """A file that is coming."""

    field: str
    name: str
    file: BinaryIO
    digest: blake2b | None
    size_bytes: int = 0
    head: bytes = b""

    def write(self, block: list[bytes], *, last: bool) -> None:
        for piece in block:
            if self.digest is not None:
                self.digest.update(piece)
            rest = memoryview(piece)
            while rest:
                rest = rest[self.file.write(rest) :]
        if last:
            os.fsync(self.file.fileno())
            self.file.close()


def check_name(name: str) -> None:
    """Refuse a file name that leads elsewhere, hides the file, or is not fit to be shown."""
    if "/" in name or "\\" in name or name.startswith(".") or not name.isprintable():
        raise InvalidRequest(reason=f"{name[:100]!r} is not the plain name of a file")


async def to_its_end(work: Callable[[], None]) -> None:
    """Do it in a thread, and wait for it even when nobody wants it any more."""
    running = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        running.exception()
        raise
