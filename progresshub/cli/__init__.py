"""The command line: `serve` runs the server, most other verbs speak to one over HTTP.

What a command is asked for goes to standard output, what it has to say about that to standard error.
Only what a verb needs is imported, for most should answer at once.
"""

from __future__ import annotations

import importlib
import io
import os
import sys
from argparse import Namespace
from collections.abc import Sequence
from typing import Any

from progresshub.cli.exits import BROKEN_PIPE, INTERRUPTED, REFUSED
from progresshub.cli.parser import PROGRAM, VERBS, parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code, as `progresshub --help` lists them."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or (words[0].startswith("-") and words[0] not in ("-h", "--help", "--version")):
        words.insert(0, "serve")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a title is no reason to end, whatever the terminal can show
    try:
        code = _run(parser().parse_args(words))
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is still to be flushed has nowhere to go
        return BROKEN_PIPE


def _run(args: Namespace) -> int:
    verb = VERBS[args.verb]
    module, _, function = verb.place.partition(":")
    do: Any = getattr(importlib.import_module(f"progresshub.cli.{module}"), function)
    if verb.remote:
        from progresshub.cli import remote  # noqa: PLC0415

        return remote.run(do, args)
    from progresshub.errors import HubError  # noqa: PLC0415

    try:
        return int(do(args))
    except HubError as error:
        print(f"{PROGRAM}: {error.message}", file=sys.stderr)
        return REFUSED
