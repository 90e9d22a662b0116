"""RQ: a fork for every job. Redis as it comes: a power cut loses what is newer than its last snapshot."""

import os
import sys
from pathlib import Path

from redis import Redis
from rq import Queue
from working import amount, measure, say

if __name__ == "__main__":
    queue = Queue(connection=Redis.from_url(os.environ["REDIS_URL"]))

    def submit_many(many):
        queue.enqueue_many([Queue.prepare_data(say) for _ in range(many)])

    command = [Path(sys.executable).with_name("rq"), "worker", "-q", "--url", os.environ["REDIS_URL"]]
    measure(lambda: queue.enqueue(say), command, amount() // 10, submit_many=submit_many)
