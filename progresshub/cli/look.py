"""`ls` and `show`: tasks as they are now."""

from __future__ import annotations

import json
import os
import shutil
import sys
from argparse import Namespace
from typing import Any

import msgspec

from progresshub.cli import words
from progresshub.cli.remote import each
from progresshub.client import AsyncClient, Task

HEADINGS = ("ID", "STATE", "DONE", "TYPE", "QUEUE", "TIME", "TITLE")
CODES = {"cyan": 36, "yellow": 33, "green": 32, "red": 31, "magenta": 35}


async def ls(client: AsyncClient, args: Namespace) -> int:
    tasks = await client.tasks(
        kind=args.kind, queue=args.queue, state=args.state, text=" ".join(args.words), limit=args.limit
    )
    if args.quiet:
        print("".join(f"{task.id}\n" for task in tasks), end="")
    elif args.json:
        print(as_json([shown(task) for task in tasks]))
    elif tasks:
        print("\n".join(table([_row(task) for task in tasks], [_colour(task) for task in tasks])))
    else:
        print("there are no such tasks", file=sys.stderr)
    return 0


async def show(client: AsyncClient, args: Namespace) -> int:
    found: list[Task] = []

    async def look(prefix: str) -> None:
        task = await client.task(await client.find(prefix))
        found.append(task)
        if not args.json:
            files = [file.name for file in await client.files(task.id)]
            print("" if len(found) == 1 else "\n", "\n".join(_described(task, files)), sep="")

    code = await each(args.ids, look)
    if args.json:
        print(as_json([shown(task) for task in found]))
    return code


def shown(task: Task) -> dict[str, Any]:
    """A task as the API tells it, with what that makes one work out."""
    told: dict[str, Any] = msgspec.to_builtins(task)
    return {**told, "status": task.status.value, "percent": task.percent}


def as_json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def table(rows: list[tuple[str, ...]], colours: list[str], headings: tuple[str, ...] = HEADINGS) -> list[str]:
    """Columns as wide as they must be; on a terminal the last is cut to what is left."""
    widths = [max(words.width(row[column]) for row in (headings, *rows)) for column in range(len(headings))]
    if sys.stdout.isatty():
        left = shutil.get_terminal_size().columns - sum(widths[:-1]) - 2 * (len(widths) - 1)
        widths[-1] = max(8, min(widths[-1], left))
    lines = ["  ".join(map(words.fitted, row, widths)).rstrip() for row in (headings, *rows)]
    return [lines[0], *(_painted(text, colour) for text, colour in zip(lines[1:], colours, strict=True))]


def _painted(text: str, colour: str) -> str:
    if not colour or not sys.stdout.isatty() or os.environ.get("NO_COLOR"):
        return text
    return f"\x1b[{CODES[colour]}m{text}\x1b[0m"


def _row(task: Task) -> tuple[str, ...]:
    done = words.percent(task)
    return words.short(task.id), words.state(task), done, task.kind, task.queue, words.lasted(task), words.name(task)


def _colour(task: Task) -> str:
    return words.STALLED if task.stalled and not task.final else words.COLOURS.get(task.status, "")


def _described(task: Task, files: list[str]) -> list[str]:
    progress = task.progress
    facts = {
        "id": task.id,
        "title": words.name(task),
        "type": task.kind,
        "queue": f"{task.queue}, priority {task.priority}",
        "state": " ".join(filter(None, (words.state(task), words.percent(task)))),
        "now": words.doing(task) if not task.final else "",
        "amount": words.amount(progress) if progress else "",
        "speed": words.speed(progress) if progress else "",
        "attempt": f"{task.attempt} of {task.max_retry + 1}" if task.attempt else "",
        "created": task.created_at,
        "due": task.next_process_at or "",
        "started": task.started_at or "",
        "finished": task.finished_at or "",
        "took": words.lasted(task) if task.started_at else "",
        "retry of": task.retry_of,
        "error": f"{task.error.type}: {words.clean(task.error.message)}" if task.error else "",
        "payload": _value(task.payload),
        "result": "" if task.result is None else _value(task.result),
        "files": ", ".join(map(words.clean, files)),
    }
    steps = [
        f"  {words.clean(s.name)}: {s.state} {s.percentage}% {words.clean(s.message)}".rstrip() for s in task.steps
    ]
    return [*(f"{name:<9} {text}" for name, text in facts.items() if text), *(["steps"] if steps else []), *steps]


def _value(value: Any) -> str:
    return words.clean(json.dumps(value, ensure_ascii=False))
