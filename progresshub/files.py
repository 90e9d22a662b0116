"""Where a task's files are, and the only way to them.

`<data>/files/<task id>/` is the task's own directory, made when something is put there;
`<data>/logs/<first two characters>/<task id>.log` is its output. What somebody hands in is staged in
`<data>/staged/<its number>/` until a task takes it over. No link is followed and no name leads outside.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple
from uuid import uuid4

from progresshub.errors import StorageFull, UnknownFile

CONTENTS = "contents"
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class FileInfo(NamedTuple):
    """A file of a task; `name` is relative to the task's directory, parts divided by `/`."""

    name: str
    size_bytes: int
    modified_ms: int


class Files:
    """The files of all tasks below one data directory."""

    def __init__(self, data: Path) -> None:
        self._files = data / "files"
        self._logs = data / "logs"
        self._staged = data / "staged"

    def directory(self, task_id: str) -> Path:
        return self._files / task_id

    def log(self, task_id: str) -> Path:
        return self._logs / task_id[:2] / f"{task_id}.log"

    def list(self, task_id: str) -> list[FileInfo]:
        """Every regular file, by name; what is hidden or a link is not one of them."""
        top = self.directory(task_id)
        found = []
        for folder, folders, names in os.walk(top):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(names):
                path = Path(folder, name)
                info = path.lstat()
                if stat.S_ISREG(info.st_mode) and not name.startswith("."):
                    found.append(FileInfo(path.relative_to(top).as_posix(), info.st_size, info.st_mtime_ns // 10**6))
        return found

    def find(self, task_id: str, name: str) -> Path:
        """The path of one of the files that `list` names; anything else is unknown."""
        if any(file.name == name for file in self.list(task_id)):
            return self.directory(task_id) / name
        raise UnknownFile(task_id=task_id, name=name)

    def open_log(self, task_id: str) -> BinaryIO | None:
        """A task's output so far; None when it has printed nothing."""
        try:
            return os.fdopen(os.open(self.log(task_id), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb")
        except FileNotFoundError:
            return None

    def stage(self) -> Path:
        """An empty directory for what may become a new task's files; `unstage` ends it."""
        folder = self._staged / uuid4().hex / CONTENTS
        with refusing_when_full():
            folder.mkdir(mode=0o700, parents=True)
        return folder

    def unstage(self, folder: Path) -> None:
        """Forget a staged directory; what a task has taken over from it stays, even after a power cut."""
        if not folder.exists():
            _sync(self._files)
        shutil.rmtree(folder.parent, ignore_errors=True)

    def strays(self) -> tuple[str, ...]:
        """The ids of tasks that took over what was staged, and may not have come to be before the server died."""
        return tuple(path.name for path in self._staged.glob("*/*") if path.name != CONTENTS)

    def unstage_all(self) -> None:
        """Forget what was handed in to an earlier server and taken over by nobody."""
        shutil.rmtree(self._staged, ignore_errors=True)

    def settle(self, task_id: str, *, staged: Path | None = None, retry_of: str = "") -> None:
        """Give a new task what was staged for it, or what the task that it retries has made."""
        if staged is not None:
            with refusing_when_full():
                self._files.mkdir(mode=0o700, exist_ok=True)
                (staged.parent / task_id).touch()
                staged.rename(self.directory(task_id))
        if retry_of:
            self.inherit(retry_of, task_id)

    def unsettle(self, task_id: str, retry_of: str) -> None:
        """Undo that, for a task that did not come to be."""
        if retry_of:
            self.inherit(task_id, retry_of)
        else:
            self.clear(task_id)

    def inherit(self, task_id: str, heir: str) -> None:
        """Hand what a task has made so far to the task that tries again."""
        try:
            self.directory(task_id).rename(self.directory(heir))
        except FileNotFoundError:
            return

    def free_bytes(self) -> int:
        """The room there is for more."""
        try:
            room = os.statvfs(self._files)
        except FileNotFoundError:
            room = os.statvfs(self._files.parent)
        return room.f_bavail * room.f_frsize

    def sizes(self) -> dict[str, int]:
        """The bytes in each task's directory, hidden files and all."""
        try:
            folders = [entry for entry in os.scandir(self._files) if entry.is_dir(follow_symlinks=False)]
        except FileNotFoundError:
            return {}
        return {folder.name: _size(Path(folder)) for folder in folders}

    def clear(self, task_id: str) -> None:
        """Give up a task's files, but not its log."""
        shutil.rmtree(self.directory(task_id), ignore_errors=True)

    def remove(self, task_ids: Iterable[str]) -> None:
        for task_id in task_ids:
            shutil.rmtree(self.directory(task_id), ignore_errors=True)
            self.log(task_id).unlink(missing_ok=True)


@contextmanager
def refusing_when_full() -> Iterator[None]:
    """Say in our words that a disk takes no more."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise StorageFull from None
        raise


def _sync(folder: Path) -> None:
    """Have the names in a directory on the disk."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _size(top: Path) -> int:
    total = 0
    for folder, _, names in os.walk(top):
        for name in names:
            try:
                total += Path(folder, name).lstat().st_size
            except FileNotFoundError:
                continue  # it was moved while we looked
    return total
