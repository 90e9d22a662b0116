"""A task's own directory, there for as long as something needs it or is in it."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path


def made(directory: Path) -> bool:
    """Have it there; says whether it was not before."""
    try:
        directory.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        return False
    return True


def remove_if_empty(directory: Path) -> None:
    try:
        directory.rmdir()
    except OSError:
        pass  # there are files in it, which is what it is for


class Removals:
    """Empty directories that are taken away beside the loop.

    A file system that is writing its journal keeps whoever takes a name away waiting, and with every commit of the
    store it is.
    """

    def __init__(self) -> None:
        self._under_way: dict[Path, asyncio.Future[None]] = {}

    def begin(self, directory: Path) -> None:
        loop = asyncio.get_running_loop()
        removing = self._under_way[directory] = loop.run_in_executor(None, remove_if_empty, directory)
        removing.add_done_callback(partial(self._done, directory))

    async def over(self, directory: Path) -> None:
        """Before it is made again."""
        if (removing := self._under_way.get(directory)) is not None:
            await asyncio.wait([removing])

    async def close(self) -> None:
        if self._under_way:
            await asyncio.wait(self._under_way.values())

    def _done(self, directory: Path, removing: asyncio.Future[None]) -> None:
        if self._under_way.get(directory) is removing:
            del self._under_way[directory]
