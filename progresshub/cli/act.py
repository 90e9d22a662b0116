"""`cancel`, `retry`, `rm` and `report`: what is done to tasks by hand."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

import msgspec

from progresshub.cli import words
from progresshub.cli.exits import MISUSED
from progresshub.cli.remote import each, say
from progresshub.client import AsyncClient
from progresshub.errors import HubError
from progresshub.protocol import parse_text


async def cancel(client: AsyncClient, args: Namespace) -> int:
    async def act(prefix: str) -> None:
        task_id = await client.find(prefix)
        await client.cancel(task_id)
        _done(args, task_id, "is cancelled")

    return await each(args.ids, act)


async def retry(client: AsyncClient, args: Namespace) -> int:
    async def act(prefix: str) -> None:
        task_id = await client.find(prefix)
        again = await client.retry(task_id)
        _done(args, again, f"is {words.short(task_id)} once more")

    return await each(args.ids, act)


async def rm(client: AsyncClient, args: Namespace) -> int:
    async def act(prefix: str) -> None:
        task_id = await client.find(prefix)
        await client.delete(task_id)
        _done(args, task_id, "is forgotten")

    return await each(args.ids, act)


async def report(client: AsyncClient, args: Namespace) -> int:
    if args.said is None and args.message is None and args.stage is None:
        say("say how far it is, or give a message")
        return MISUSED
    try:
        fields = _fields(args)
    except HubError as error:
        say(error.message)
        return MISUSED
    await client.report(await client.find(args.id), fields)
    return 0


def _fields(args: Namespace) -> dict[str, Any]:
    """What was said as a report; the words beside it come first."""
    report = {} if args.said is None else msgspec.to_builtins(parse_text(args.said))
    given = {"message": args.message, "stage": args.stage}
    told = {**report, **{name: text for name, text in given.items() if text is not None}}
    return {name: value for name, value in told.items() if value is not None}


def _done(args: Namespace, task_id: str, what: str) -> None:
    print(task_id)
    if not args.quiet:
        say(f"{words.short(task_id)} {what}")
