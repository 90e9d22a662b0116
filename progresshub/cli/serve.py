"""`progresshub serve`: the server in the foreground, until a signal ends it."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from argparse import Namespace

from progresshub.cli import settings
from progresshub.config import Loaded
from progresshub.server import Running, Server

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def run(args: Namespace) -> int:
    loaded = settings.load(args)
    logging.basicConfig(
        level=loaded.config.server.log_level.upper(),
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    try:
        asyncio.run(_serve(loaded))
    except asyncio.CancelledError:
        return 1
    return 0


async def _serve(loaded: Loaded) -> None:
    server = Server(loaded, os.environ)
    loop = asyncio.get_running_loop()
    for number in SIGNALS:
        loop.add_signal_handler(number, server.stop)
    await server.run(_announce)


def _announce(running: Running) -> None:
    print(running, flush=True)
    print(f"open {running.login_url} in a browser", file=sys.stderr, flush=True)
