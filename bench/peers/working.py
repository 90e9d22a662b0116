"""The same work for every queue: submits, and tasks that do nothing but say so with one byte on a pipe.

A peer's module gives `submit`, and may give `submit_many` where it has a way for many at once; it starts its own
workers. What comes out is one line of JSON.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

FIFO = os.environ.get("BENCH_FIFO", "")
IN_FLIGHT = 32
PATIENCE_S = 60


def say():
    """What a task does: it is done."""
    fd = os.open(FIFO, os.O_WRONLY)
    os.write(fd, b".")
    os.close(fd)


def measure(submit, worker, many, *, submit_many=None, latencies=40, settle_s=3.0):
    """`worker` is its command line; it is started with BENCH_FIFO in its environment, after the submits."""
    with tempfile.TemporaryDirectory() as folder:
        fifo = f"{folder}/done"
        os.mkfifo(fifo)
        reading = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        keeping = os.open(fifo, os.O_WRONLY)
        os.set_blocking(reading, True)
        figures = {"one_per_s": _rate(submit, many // 4), "flight_per_s": _rate_in_flight(submit, many // 2)}
        environment = {**os.environ, "BENCH_FIFO": fifo}
        with subprocess.Popen(worker, env=environment, stdout=2, start_new_session=True) as process:
            try:
                _take(reading, many // 4 + many // 2)
                time.sleep(settle_s)
                begun_s = time.perf_counter()
                if submit_many:
                    submit_many(many)
                    figures["bulk_per_s"] = many / (time.perf_counter() - begun_s)
                else:
                    for _ in range(many):
                        submit()
                _take(reading, many)
                figures["done_per_s"] = many / (time.perf_counter() - begun_s)
                figures["latency_ms"] = 1000 * statistics.median(_latency(submit, reading) for _ in range(latencies))
            finally:
                os.killpg(process.pid, 9)
        os.close(keeping)
    print(json.dumps(figures), flush=True)


def _rate(submit, many):
    begun_s = time.perf_counter()
    for _ in range(many):
        submit()
    return many / (time.perf_counter() - begun_s)


def _rate_in_flight(submit, many):
    with ThreadPoolExecutor(IN_FLIGHT) as pool:
        begun_s = time.perf_counter()
        list(pool.map(lambda _: submit(), range(many)))
        return many / (time.perf_counter() - begun_s)


def _latency(submit, reading):
    time.sleep(0.02)
    begun_s = time.perf_counter()
    submit()
    _take(reading, 1)
    return time.perf_counter() - begun_s


def _take(reading, many):
    while many > 0:
        data = os.read(reading, min(many, 65536))
        many -= len(data)


def amount():
    return int(sys.argv[1])
