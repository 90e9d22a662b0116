"""A verb that speaks to a server: the client it is given, and what is said when that goes wrong."""

from __future__ import annotations

import asyncio
import signal
import sys
from argparse import Namespace
from collections.abc import Awaitable, Callable

from progresshub import __version__
from progresshub.cli.exits import NO_SERVER, REFUSED, TERMINATED, TIMED_OUT
from progresshub.cli.parser import PROGRAM
from progresshub.client import AsyncClient, ClientError, Unreachable

Do = Callable[[AsyncClient, Namespace], Awaitable[int]]


def run(do: Do, args: Namespace) -> int:
    try:
        return asyncio.run(_with_client(do, args))
    except asyncio.CancelledError:
        return TERMINATED
    except Unreachable as error:
        say(error.message)
        return NO_SERVER
    except ClientError as error:
        say(error.message)
        return REFUSED
    except TimeoutError:
        say("it took too long")
        return TIMED_OUT


def say(text: str) -> None:
    """What is not asked for but good to know."""
    print(f"{PROGRAM}: {text}", file=sys.stderr)


async def _with_client(do: Do, args: Namespace) -> int:
    if main := asyncio.current_task():  # asked to end, it still tidies the terminal up
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, main.cancel)
    async with AsyncClient(args.url, data=args.data_dir or None) as client:
        version = client.address.version
        if version and version != __version__:
            say(f"the server is version {version} and this is {__version__}; restart it, or use its own program")
        return await do(client, args)


async def each(ids: list[str], act: Callable[[str], Awaitable[None]]) -> int:
    """Do it to each in turn; one that is refused is told of and keeps nobody from the rest."""
    code = 0
    for task_id in ids:
        try:
            await act(task_id)
        except Unreachable:
            raise
        except ClientError as error:
            say(error.message)
            code = REFUSED
    return code
