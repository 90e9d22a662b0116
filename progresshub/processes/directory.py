"""A task's own directory, there for as long as something needs it or is in it."""

from __future__ import annotations

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
