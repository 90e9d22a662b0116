"""Huey on SQLite with fsync: every submit is on disk. Four worker threads, as its documentation starts with."""

import os
import sys

from huey import SqliteHuey
from working import amount, measure, say

huey = SqliteHuey(filename=f"{os.environ['BENCH_FOLDER']}/huey.db", fsync=True, results=False)


@huey.task()
def nothing():
    say()


if __name__ == "__main__":
    from work_huey import nothing as submit  # by the name that the consumer knows it by

    command = [sys.executable, "-m", "huey.bin.huey_consumer", "work_huey.huey", "-w", "4", "-q"]
    measure(submit, command, amount())
