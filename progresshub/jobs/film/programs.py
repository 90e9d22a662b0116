"""Runs the programs that make a film's parts; none is waited for without an end, and none outlives its block.

What they say when they fail is kept for the reason, and bounded.
"""

from __future__ import annotations

import io
import os
import select
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from progresshub.jobs.film.failures import Unfit

KEPT_BYTES = 4_096
PIECE_BYTES = 65_536
SILENCE_S = 120.0
END_S = 10.0


class ProgramFailed(Unfit):
    """A program ended with an error, or not at all."""


def run(argv: Sequence[str | Path], text: str = "", *, timeout_s: float) -> None:
    """Give a program a text and wait for its end."""
    try:
        ended = subprocess.run(argv, input=text.encode(), capture_output=True, timeout=timeout_s, check=False)
    except OSError as error:
        raise _not_started(argv, error) from None
    except subprocess.TimeoutExpired:
        raise ProgramFailed(f"{_name(argv)} did not end within {timeout_s:g} s", _name(argv)) from None
    if ended.returncode:
        raise ProgramFailed(_reason(argv, ended.stderr), _name(argv))


def follow(argv: Sequence[str | Path], hear: Callable[[bytes], None]) -> None:
    """Let a program work for as long as it goes on saying something on its standard error."""
    reading, writing = os.pipe()
    with io.FileIO(reading) as said, io.FileIO(writing, "w") as theirs:
        try:
            process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=theirs)
        except OSError as error:
            raise _not_started(argv, error) from None
        theirs.close()
        last = b""
        with process:
            try:
                while piece := _next(argv, said):
                    last = (last + piece)[-KEPT_BYTES:]
                    hear(piece)
                process.wait(END_S)
            finally:
                process.kill()
    if process.returncode:
        raise ProgramFailed(_reason(argv, last), _name(argv))


def _next(argv: Sequence[str | Path], said: io.FileIO) -> bytes:
    if not select.select([said], [], [], SILENCE_S)[0]:
        raise ProgramFailed(f"{_name(argv)} said nothing for {SILENCE_S:g} s", _name(argv))
    return said.read(PIECE_BYTES) or b""


def _reason(argv: Sequence[str | Path], said: bytes) -> str:
    lines = said.decode(errors="replace").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "it did not say why")
    return f"{_name(argv)}: {last}"


def _not_started(argv: Sequence[str | Path], error: OSError) -> Unfit:
    return Unfit(f"{_name(argv)} can't be started: {error.strerror}", "missing")


def _name(argv: Sequence[str | Path]) -> str:
    return Path(argv[0]).name
