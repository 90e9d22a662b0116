"""SAQ, on Redis (not safe against a power cut) or PostgreSQL (safe), by the address it is given."""

import asyncio
import os
import sys
import threading
from pathlib import Path

from saq import Queue
from working import amount, measure, say

queue = Queue.from_url(os.environ["QUEUE_URL"])


async def nothing(ctx):
    say()


settings = {"queue": queue, "functions": [nothing], "concurrency": 10}

if __name__ == "__main__":
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()

    def wait(coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result()

    wait(queue.connect())
    command = [Path(sys.executable).with_name("saq"), "work_saq.settings", "--quiet"]
    measure(lambda: wait(queue.enqueue("nothing")), command, amount() // 4)
