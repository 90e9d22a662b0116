"""arq with its default settings. Redis as it comes: a power cut loses what is newer than its last snapshot."""

import asyncio
import os
import sys
import threading

from arq import create_pool
from arq.connections import RedisSettings
from working import amount, measure, say


async def nothing(ctx):
    say()


class WorkerSettings:
    functions = (nothing,)
    redis_settings = RedisSettings.from_dsn(os.environ["REDIS_URL"])


if __name__ == "__main__":
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()

    def wait(coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result()

    pool = wait(create_pool(WorkerSettings.redis_settings))
    command = [sys.executable, "-m", "arq", "work_arq.WorkerSettings"]
    measure(lambda: wait(pool.enqueue_job("nothing")), command, amount() // 4, latencies=10)
