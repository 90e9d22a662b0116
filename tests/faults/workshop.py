"""Work that keeps a ledger of its own: a registered function for servers under fire, and a shell script like it.

Each begin and end is one line: the word, the task, the process and when that process started, which
tells it from a later one of the same number. An attempt that finds an earlier one of its task still
alive says `overlap`.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from progresshub import Context, task
from progresshub.processes import proc

SCRIPT = """
ledger=$1 sleep_s=$2
read -r stat < /proc/$$/stat
set -- ${stat##*) }
note() { echo "$1 $PROGRESSHUB_TASK_ID $$ $started" >> "$ledger"; }
started=${20}
note begin
if [ "$sleep_s" = long ]; then
    trap 'note int' INT
    trap 'note term' TERM
    setsid sleep 600 &
    while :; do sleep 600 & wait $!; done
fi
sleep "$sleep_s"
note end
"""
"""`long` ends for nobody and leaves a child in a session of its own."""


@task
def work(ctx: Context, ledger: str, sleep_s: float, gate: str = "") -> int:
    """Sleeps, until a file is there if one is named, and writes down when."""
    own = proc.stat(os.getpid())
    assert own is not None
    _write(ledger, "begin", ctx.task_id, own)
    if any(_lives(pid, started) for pid, started in _begun(ledger, ctx.task_id) if pid != own.pid):
        _write(ledger, "overlap", ctx.task_id, own)
    time.sleep(sleep_s)
    while gate and not Path(gate).exists():
        time.sleep(0.005)
    _write(ledger, "end", ctx.task_id, own)
    return ctx.attempt


def _write(ledger: str, word: str, task_id: str, own: proc.Stat) -> None:
    with Path(ledger).open("ab", buffering=0) as file:
        file.write(f"{word} {task_id} {own.pid} {own.started}\n".encode())


def _begun(ledger: str, task_id: str) -> list[tuple[int, int]]:
    lines = (line.split() for line in Path(ledger).read_text().splitlines())
    return [(int(pid), int(started)) for word, one, pid, started in lines if word == "begin" and one == task_id]


def _lives(pid: int, started: int) -> bool:
    stat = proc.stat(pid)
    return stat is not None and stat.started == started and not stat.dead
