"""`queue`: how the queues stand, and their settings."""

from __future__ import annotations

from argparse import Namespace

import msgspec

from progresshub.cli.exits import MISUSED
from progresshub.cli.look import as_json, table
from progresshub.cli.remote import say
from progresshub.client import AsyncClient, Queue

HEADINGS = ("QUEUE", "ACTIVE", "PENDING", "SCHEDULED", "RETRY", "COMPLETED", "ARCHIVED", "SLOTS", "WEIGHT", "STATE")


async def queue(client: AsyncClient, args: Namespace) -> int:
    match args.action:
        case "ls":
            _list(await client.queues(), args)
        case "set" if args.slots is None and args.weight is None:
            say("set --slots or --weight")
            return MISUSED
        case "set":
            _tell(await client.change_queue(args.name, slots=args.slots, weight=args.weight))
        case action:
            _tell(await client.change_queue(args.name, paused=action == "pause"))
    return 0


def _list(queues: list[Queue], args: Namespace) -> None:
    if args.quiet:
        print("".join(f"{one.name}\n" for one in queues), end="")
    elif args.json:
        print(as_json(msgspec.to_builtins(queues)))
    else:
        print(
            "\n".join(
                table([_row(one) for one in queues], ["yellow" if one.paused else "" for one in queues], HEADINGS)
            )
        )


def _row(one: Queue) -> tuple[str, ...]:
    counts = (one.active, one.pending, one.scheduled, one.retry, one.completed, one.archived)
    slots = str(one.slots) if one.slots else "any"
    return one.name, *map(str, counts), slots, str(one.weight), "paused" if one.paused else "open"


def _tell(one: Queue) -> None:
    slots = f"{one.slots} slots" if one.slots else "any number of slots"
    say(f"{one.name} is {'paused' if one.paused else 'open'}, with {slots} and weight {one.weight}")
