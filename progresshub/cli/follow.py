"""`watch`, `wait` and `logs`: what goes on, until it is over. Leaving them leaves the tasks alone."""

from __future__ import annotations

import asyncio
import codecs
import json
import sys
from argparse import Namespace
from collections.abc import Awaitable
from contextlib import aclosing

from progresshub.cli import words
from progresshub.cli.exits import REFUSED, TIMED_OUT
from progresshub.cli.look import as_json, shown
from progresshub.cli.remote import say
from progresshub.cli.times import seconds
from progresshub.cli.view import Json, Plain, View, bars
from progresshub.client import AsyncClient
from progresshub.client.following import LIVE
from progresshub.client.refusals import ClientError

MOST_KEPT = 1_000
"""Of all tasks that come in the course of time."""


async def watch(client: AsyncClient, args: Namespace) -> int:
    ids = [await client.find(prefix) for prefix in args.ids]
    if not ids and not args.all:
        ids = [task.id for state in LIVE for task in await client.tasks(state=state, limit=500)]
        if not ids:
            say("nothing is going on")
            return 0
    view = Json(sys.stdout) if args.json else bars(sys.stdout)
    if args.all:
        view.standing.most = MOST_KEPT
    try:
        return await ends(client, ids, view)
    except asyncio.CancelledError:
        say("no longer watched; the tasks go on")
        raise


async def ends(client: AsyncClient, ids: list[str], view: View, output: Awaitable[None] | None = None) -> int:
    """Show these tasks until they have ended, with all their `output` before that; returns 0 when all of them were
    completed."""
    async with view, aclosing(client.watch(*ids, on_link=view.link)) as news:
        async for task in news:
            if task.final and output is not None:
                await output
            view.show(task)
    return 0 if view.standing.completed and len(view.standing.tasks) == len(set(ids)) else REFUSED


async def wait(client: AsyncClient, args: Namespace) -> int:
    timeout_s = seconds(args.timeout) if args.timeout else None
    ids = [await client.find(prefix) for prefix in args.ids]
    view = Plain(sys.stdout)
    try:
        async with asyncio.timeout(timeout_s):
            code = await ends(client, ids, view)
    except TimeoutError:
        say(f"not over after {args.timeout}")
        code = TIMED_OUT
    tasks = [view.standing.tasks[task_id] for task_id in ids if task_id in view.standing.tasks]
    if args.json:
        print(as_json([shown(task) for task in tasks]))
    else:
        print("".join(f"{task.id if args.quiet else words.line(task)}\n" for task in tasks), end="")
    return code


async def logs(client: AsyncClient, args: Namespace) -> int:
    task_id = await client.find(args.id)
    if args.tail is not None and args.tail < 0:
        raise ClientError("--tail is a number of lines", "INVALID")
    printed = Printed(as_json_lines=args.json)
    async with aclosing(client.logs(task_id, follow=args.follow, tail=args.tail)) as chunks:
        async for chunk in chunks:
            printed.feed(chunk)
    printed.end()
    return 0


class Printed:
    """A task's output on its way to ours: as it is to files and pipes, without what moves the cursor to a terminal."""

    def __init__(self, *, as_json_lines: bool = False) -> None:
        self._json = as_json_lines
        self._raw = not as_json_lines and not sys.stdout.isatty()
        self._decode = codecs.getincrementaldecoder("utf-8")(errors="replace").decode
        self._rest = ""

    def feed(self, chunk: bytes) -> None:
        if self._raw:
            sys.stdout.buffer.write(chunk)
            sys.stdout.buffer.flush()
        else:
            self._write(self.lines(chunk))

    def lines(self, chunk: bytes) -> list[str]:
        """The lines that are complete with this."""
        *lines, self._rest = (self._rest + self._decode(chunk)).split("\n")
        return lines

    def rest(self) -> list[str]:
        """What was printed last and not ended."""
        rest, self._rest = self._rest + self._decode(b"", True), ""
        return [rest] if rest else []

    def end(self) -> None:
        if not self._raw:
            self._write(self.rest())

    def _write(self, lines: list[str]) -> None:
        for line in lines:
            sys.stdout.write(
                (json.dumps({"line": line}, ensure_ascii=False) if self._json else words.printable(line)) + "\n"
            )
        sys.stdout.flush()
