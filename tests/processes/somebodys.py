"""Functions such as users write, and such as they should not; imported by the fork server of tests."""

from __future__ import annotations

import asyncio
import ctypes
import fcntl
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from progresshub import Context, report, task

warmed: list[int] = []


def warm_up() -> None:
    warmed.append(os.getpid())


@task
def add(first: int, second: int = 2) -> int:
    """Add two numbers."""
    return first + second


@task
async def later(ctx: Context) -> str:
    await asyncio.sleep(0)
    ctx.progress(50, message="async")
    return "later"


@task
def whoami(ctx: Context) -> dict[str, Any]:
    return {
        "pid": os.getpid(),
        "session": os.getsid(0),
        "task": os.environ["PROGRESSHUB_TASK_ID"],
        "attempt": ctx.attempt,
        "secret": os.environ.get("SOMEBODYS_SECRET"),
        "cwd": str(Path.cwd()),
        "warmed": len(warmed),
        "stdin": sys.stdin.read(),
    }


@task
def keep(ctx: Context) -> str:
    (ctx.directory / "kept").write_text("kept")
    os.chdir(ctx.directory)
    return str(ctx.directory)


@task
def speak(ctx: Context) -> None:
    print("printed")
    ctx.progress(10, message="one")
    report.report(20, message="two")
    os.write(1, b"written\n")


@task
def plans(ctx: Context, step: str) -> None:
    ctx.steps([step])


@task
def size(text: str) -> int:
    return len(text)


@task
def echo(value: Any) -> Any:
    return value


@task
def deep(depth: int) -> Any:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


@task
def fails() -> None:
    raise ValueError("no such song")


@task
def strange() -> Any:
    return object()


@task
def leaves(code: int) -> None:
    os._exit(code)


@task
def crashes() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


@task
def waits(ctx: Context) -> None:
    try:
        ctx.progress(message="waiting", metadata={"pid": os.getpid()})
        signal.pause()
    finally:
        print("tidied up")


@task
def waits_in_asyncio(ctx: Context) -> Any:
    async def wait() -> None:
        try:
            ctx.progress(message="waiting")
            await asyncio.Event().wait()
        finally:
            print("tidied up")

    return wait()


@task
def stubborn(ctx: Context) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    ctx.progress(message="waiting", metadata={"pid": os.getpid()})
    while True:
        signal.pause()


@task
def leaves_a_child(ctx: Context, how: str) -> int:
    if how == "program":
        quiet = subprocess.DEVNULL
        return subprocess.Popen(["sleep", "1000"], start_new_session=True, stdout=quiet, stderr=quiet).pid
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.setsid()
        pid = os.fork()
        if pid == 0:
            os.close(1)
            os.close(2)
            while True:
                signal.pause()
        os.write(writing, str(pid).encode())
        os._exit(0)
    os.wait()
    return int(os.read(reading, 20))


@task
def waits_at(ctx: Context, gate: str) -> int:
    """Wait until nobody has the gate locked for himself."""
    ctx.progress(message="waiting")
    with Path(gate).open() as file:
        fcntl.flock(file, fcntl.LOCK_SH)
    return os.getpid()


@task
def leaves_a_thread() -> int:
    threading.Thread(target=threading.Event().wait, daemon=True).start()
    return os.getpid()


@task
def closes_its_output() -> int:
    sys.stdout.close()
    return os.getpid()


@task
def limits() -> dict[str, Any]:
    adjustment = Path("/proc/self/oom_score_adj").read_text()
    return {"subreaper": _is_subreaper(), "oom": int(adjustment)}


def _is_subreaper() -> bool:
    answer = ctypes.c_int()
    ctypes.CDLL(None).prctl(37, ctypes.byref(answer), 0, 0, 0)
    return bool(answer.value)
