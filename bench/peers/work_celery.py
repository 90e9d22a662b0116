"""Celery, prefork with two processes. Redis as it comes: a power cut loses what is newer than its last snapshot."""

import os
import sys

from celery import Celery
from working import amount, measure, say

app = Celery("work_celery", broker=os.environ["REDIS_URL"])
app.conf.task_ignore_result = True


@app.task(name="nothing")
def nothing():
    say()


if __name__ == "__main__":
    command = [sys.executable, "-m", "celery", "-A", "work_celery", "-q", "worker", "-c", "2", "-l", "ERROR"]
    measure(nothing.delay, command, amount() // 4)
