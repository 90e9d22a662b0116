"""A real pseudo-terminal with a program in it, and the screen that a person would see.

What the program writes is read as it comes; a test waits for the screen to show something, never for time.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import pty
import struct
import sys
import termios
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import pyte

from tests.wait import PATIENCE_S

READ_BYTES = 65_536
BENDING = ("PROGRESSHUB_", "COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TERM", "VTE_", "WT_", "KONSOLE_", "ConEmu")


class Terminal:
    """`written` is all that the program wrote; `lines` is what stands on the screen now."""

    def __init__(self, master: int, columns: int, rows: int) -> None:
        self.written = b""
        self.process: asyncio.subprocess.Process | None = None
        self._master = master
        self._screen = pyte.HistoryScreen(columns, rows, history=1_000)
        self._stream = pyte.ByteStream(self._screen)
        self._news = asyncio.Event()

    @property
    def lines(self) -> list[str]:
        return [line.rstrip() for line in self._screen.display]

    @property
    def text(self) -> str:
        return "\n".join(self.lines).rstrip()

    def hides_cursor(self) -> bool:
        return bool(self._screen.cursor.hidden)

    def colours(self, containing: str) -> set[str]:
        """The foreground colours of the line that contains this."""
        (row,) = [number for number, line in enumerate(self._screen.display) if containing in line]
        return {str(cell.fg) for cell in self._screen.buffer[row].values() if cell.data.strip()}

    def read(self) -> None:
        try:
            data = os.read(self._master, READ_BYTES)
        except OSError:  # EIO: nobody has the other end any more
            data = b""
        if not data:
            asyncio.get_running_loop().remove_reader(self._master)
        self.written += data
        self._stream.feed(data)
        self._news.set()

    def type(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def resize(self, columns: int, rows: int) -> None:
        self._screen.resize(rows, columns)
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    async def until(self, true: Callable[[], object]) -> None:
        """Let it write until that is true; TimeoutError with the screen when it does not come to be."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not true():
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"the screen stays\n{self.text}") from None

    async def shows(self, *texts: str) -> None:
        await self.until(lambda: all(text in self.text for text in texts))

    async def ended(self) -> int:
        """The program's exit code, after all that it wrote."""
        assert self.process is not None
        async with asyncio.timeout(PATIENCE_S):
            return await self.process.wait()


@asynccontextmanager
async def terminal(
    *words: str, environment: Mapping[str, str], columns: int = 100, rows: int = 24, redirected: bool = False
) -> AsyncIterator[Terminal]:
    """`python -m progresshub` with these words, killed at the end if it still runs; with `redirected`, its standard
    output goes to a pipe instead."""
    master, slave = pty.openpty()
    seen = Terminal(master, columns, rows)
    seen.resize(columns, rows)
    asyncio.get_running_loop().add_reader(master, seen.read)
    try:
        seen.process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "progresshub",
            *words,
            stdin=slave,
            stdout=asyncio.subprocess.PIPE if redirected else slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # so that Ctrl-C reaches it
            env={**inherited(), "TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8", **environment},
        )
        os.close(slave)
        yield seen
    finally:
        asyncio.get_running_loop().remove_reader(master)
        if seen.process is not None and seen.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                seen.process.kill()
            await seen.process.wait()
        os.close(master)


def inherited() -> dict[str, str]:
    """Our environment without what would change what is seen."""
    bending = (
        "PROGRESSHUB_",
        "COLUMNS",
        "LINES",
        "NO_COLOR",
        "FORCE_COLOR",
        "TERM",
        "VTE_",
        "WT_",
        "KONSOLE_",
        "ConEmu",
    )
    return {name: value for name, value in os.environ.items() if not name.startswith(bending)}
