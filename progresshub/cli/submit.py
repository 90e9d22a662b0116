"""`run`, `get` and `add`: work that is submitted, and watched to its end unless it is left to the server."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from argparse import Namespace
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from progresshub.cli import words
from progresshub.cli.exits import INTERRUPTED, MISUSED, NOT_STARTED, REFUSED, SIGNALLED, TIMED_OUT
from progresshub.cli.follow import Printed, ends
from progresshub.cli.remote import each, say
from progresshub.cli.times import duration
from progresshub.cli.view import Plain, View, bars
from progresshub.client import AsyncClient, ClientError, FileInfo, Task
from progresshub.model import State


async def run(client: AsyncClient, args: Namespace) -> int:
    argv = args.command[1:] if args.command[:1] == ["--"] else args.command
    if not argv:
        say("run what? progresshub run -- COMMAND")
        return MISUSED
    env = dict(_variable(text) for text in args.env)
    payload = {"argv": argv, "cwd": _directory(args.cwd), **({"env": env} if env else {})}
    options = {"max_retries": 0, **_options(args)}
    task_id = await client.submit("command", payload, **options)
    if args.detach:
        return _left(args, [task_id])
    view = Plain(sys.stderr) if args.quiet else bars(sys.stderr)
    output = asyncio.create_task(_print_output(client, task_id, view))
    try:
        async with _cancelled_by_interrupt(client, [task_id], view) as interrupted:
            await ends(client, [task_id], view, output)
    finally:
        output.cancel()
        await asyncio.gather(output, return_exceptions=True)
    return INTERRUPTED if interrupted.is_set() else _exit_code(view.standing.tasks.get(task_id))


async def get(client: AsyncClient, args: Namespace) -> int:
    wanted = {"format": args.format, "quality": args.quality}
    more = {name: value for name, value in wanted.items() if value is not None}
    ids: list[str] = []

    async def submit(url: str) -> None:
        ids.append(await client.submit("download", {"url": url, **more}, **_options(args)))

    refused = await each(args.urls, submit)
    if args.detach or not ids:
        return _left(args, ids) or refused
    view = Plain(sys.stderr) if args.quiet else bars(sys.stderr)
    async with _cancelled_by_interrupt(client, ids, view) as interrupted:
        refused = await ends(client, ids, view) or refused
    if interrupted.is_set():
        return INTERRUPTED
    for task_id in ids:
        if (task := view.standing.tasks.get(task_id)) and task.status is State.COMPLETED:
            for file in await client.files(task_id):
                print(await _brought(client, task, file, args.output))
    _explain(view)
    return refused


async def add(client: AsyncClient, args: Namespace) -> int:
    payload = dict(_field(text) for text in args.fields)
    unique = duration(args.unique) if args.unique else None
    task_id = await client.submit(args.kind, payload, unique=unique, **_options(args))
    if not args.watch:
        return _left(args, [task_id])
    print(task_id, flush=True)
    return await ends(client, [task_id], Plain(sys.stderr) if args.quiet else bars(sys.stderr))


def _options(args: Namespace) -> dict[str, Any]:
    given = {
        "title": args.title,
        "queue": args.queue,
        "priority": args.priority,
        "max_retries": args.retries,
        "timeout": duration(args.timeout) if args.timeout else None,
        "process_at": args.at,
    }
    return {name: value for name, value in given.items() if value is not None}


def _left(args: Namespace, ids: list[str]) -> int:
    print("".join(f"{task_id}\n" for task_id in ids), end="")
    if ids and not args.quiet:
        say(f"the server does it; progresshub watch {' '.join(map(words.short, ids))} shows how far it is")
    return 0


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    return name, value if equals else os.environ.get(name, "")


def _field(text: str) -> tuple[str, Any]:
    """A part of a payload: JSON where it is some, else text; quotes of its own make anything a text."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise ClientError(f"{text!r} is not key=value", "INVALID_FIELD")
    try:
        return key, json.loads(value, parse_constant=str)
    except ValueError:
        return key, value


@asynccontextmanager
async def _cancelled_by_interrupt(client: AsyncClient, ids: list[str], view: View) -> AsyncIterator[asyncio.Event]:
    """Ctrl-C cancels these tasks, so that their ends are seen; once more, and nobody waits for that. The event says
    that there was one."""
    interrupted = asyncio.Event()
    cancelling: list[asyncio.Task[None]] = []
    main = asyncio.current_task()

    def interrupt() -> None:
        if interrupted.is_set() and main is not None:
            main.cancel()
            return
        interrupted.set()
        cancelling.append(asyncio.ensure_future(_cancel(client, ids)))
        view.say("cancelling; Ctrl-C again leaves it to the server")

    with _interrupts(interrupt):
        try:
            yield interrupted
        except asyncio.CancelledError:
            if main is None or not interrupted.is_set():
                raise
            main.uncancel()
        finally:
            for task in cancelling:
                task.cancel()


@contextmanager
def _interrupts(to: Any) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, to)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)


async def _cancel(client: AsyncClient, ids: list[str]) -> None:
    for task_id in ids:
        try:
            await client.cancel(task_id)
        except ClientError:
            continue  # it is over already, or the server is, and then that is told


async def _print_output(client: AsyncClient, task_id: str, view: View) -> None:
    """What the command prints, above the bar where both are on one terminal."""
    printed = Printed()
    one_terminal = sys.stdout.isatty() and not isinstance(view, Plain)
    async with aclosing(client.logs(task_id, follow=True)) as chunks:
        async for chunk in chunks:
            if one_terminal:
                view.print("".join(f"{words.printable(line)}\n" for line in printed.lines(chunk)))
            else:
                printed.feed(chunk)
    if one_terminal:
        view.print("".join(f"{words.printable(line)}\n" for line in printed.rest()))
    else:
        printed.end()


def _exit_code(task: Task | None) -> int:
    if task is None:
        return REFUSED
    if task.status is State.COMPLETED:
        return 0
    error = task.error
    if error is None or task.status is State.CANCELLED:
        return REFUSED
    if error.type == "exit" and isinstance(code := error.details.get("exit_code"), int):
        return code if code >= 0 else SIGNALLED - code
    if error.type in ("timeout", "spawn"):
        say(words.clean(error.message))
    return {"timeout": TIMED_OUT, "spawn": NOT_STARTED}.get(error.type, REFUSED)


async def _brought(client: AsyncClient, task: Task, file: FileInfo, output: str | None) -> str:
    """Where the file is: here when it was to be brought, else where the server has it."""
    if output is None:
        return _place_on_server(task, file) or f"{client.address.url}{file.url}"
    place = _place_here(file, output)
    partial = place.with_name(f".{place.name}.part")
    with partial.open("wb") as content:
        async with aclosing(client.file(task.id, file.name)) as chunks:
            async for chunk in chunks:
                content.write(chunk)
    partial.replace(place)
    return str(place)


def _directory(named: str | None) -> str:
    return str(Path(named or ".").absolute())


def _place_on_server(task: Task, file: FileInfo) -> str:
    """The path, where the server is on this machine; else empty."""
    path = task.result.get("path") if isinstance(task.result, dict) else None
    here = isinstance(path, str) and path.endswith(f"/{file.name}") and Path(path).is_file()
    return str(path) if here else ""


def _place_here(file: FileInfo, output: str) -> Path:
    """Below that directory, whatever the file is called."""
    place = Path(output, *(part for part in PurePosixPath(file.name).parts if part not in ("/", "..")))
    place.parent.mkdir(parents=True, exist_ok=True)
    return place


def _explain(view: View) -> None:
    """Why some failed, where no view has told it."""
    for task in view.standing.tasks.values():
        if type(view) is Plain and task.status is not State.COMPLETED:
            say(words.line(task))
