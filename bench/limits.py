"""What nobody can be faster than on this machine: SQLite's own commits, and starting a program that does nothing."""

from __future__ import annotations

import sqlite3
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

FOR_S = 1.0
AT_ONCE = 8
BODY = b"x" * 300


def commits() -> dict[str, float]:
    """Rows a second that are on disk: one, 32 and 10,000 to a commit."""
    with TemporaryDirectory(prefix="bench-sqlite-") as folder:
        db = sqlite3.connect(Path(folder, "limit.db"), isolation_level=None)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("CREATE TABLE tasks (seq INTEGER PRIMARY KEY, body BLOB NOT NULL)")
        figures = {
            name: rows * _rate(lambda rows=rows: _commit(db, rows))
            for name, rows in (("one_per_s", 1), ("flight_per_s", 32), ("bulk_per_s", 10_000))
        }
        db.close()
        return figures


def _commit(db: sqlite3.Connection, rows: int) -> None:
    db.execute("BEGIN")
    db.executemany("INSERT INTO tasks (body) VALUES (?)", [(BODY,)] * rows)
    db.execute("COMMIT")


def programs() -> dict[str, float]:
    """`/bin/true` started and reaped, some of them at once; and one alone."""
    alone = _rate(lambda: subprocess.run(["/bin/true"], check=True))
    return {"done_per_s": AT_ONCE * _rate(_start_some), "latency_ms": 1000 / alone}


def _start_some() -> None:
    started = [subprocess.Popen(["/bin/true"]) for _ in range(AT_ONCE)]
    for process in started:
        process.wait()


def _rate(act: Callable[[], object]) -> float:
    times, begun_s = 0, time.perf_counter()
    while time.perf_counter() - begun_s < FOR_S:
        act()
        times += 1
    return times / (time.perf_counter() - begun_s)
