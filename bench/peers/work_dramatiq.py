"""Dramatiq, two processes. Redis as it comes: a power cut loses what is newer than its last snapshot."""

import os
import sys

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from working import amount, measure, say

dramatiq.set_broker(RedisBroker(url=os.environ["REDIS_URL"]))


@dramatiq.actor
def nothing():
    say()


if __name__ == "__main__":
    command = [sys.executable, "-m", "dramatiq", "work_dramatiq", "--processes", "2", "--path", "."]
    measure(nothing.send, command, amount())
