"""The command line: `serve` runs the server, everything else speaks to one or looks at its settings.

What a command is asked for goes to standard output, what it has to say about that to standard error.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from progresshub import __version__, config
from progresshub.cli import tokens
from progresshub.errors import HubError

VERBS = ("serve", "config", "demo", "token", "update-ytdlp")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code: 0 done, 1 refused, 2 not understood."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] not in (*VERBS, "-h", "--help", "--version"):
        words.insert(0, "serve")
    args = _parser().parse_args(words)
    try:
        return _run(args)
    except HubError as error:
        print(f"progresshub: {error.message}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _run(args: argparse.Namespace) -> int:
    """Do what the verb says; only what it needs is imported, for most verbs should answer at once."""
    if args.verb == "config" and args.default:
        print(config.template(), end="")
        return 0
    loaded = config.load(args.config, os.environ, _flags(args))
    match args.verb:
        case "config":
            print(config.explain(loaded), end="")
            return 0
        case "demo":
            from progresshub.cli import demo  # noqa: PLC0415

            return demo.run(config.data_dir(loaded.config, os.environ))
        case "update-ytdlp":
            return _update(config.data_dir(loaded.config, os.environ))
        case "token":
            return tokens.run(args, config.data_dir(loaded.config, os.environ))
        case _:
            from progresshub.cli import serve  # noqa: PLC0415

            return serve.run(loaded)


def _update(data: Path) -> int:
    from progresshub import release  # noqa: PLC0415

    updated = release.update(data)
    chosen = release.chosen(data)
    print(updated.version)
    used = "used" if chosen == updated else f"not used, for {chosen.version if chosen else 'none'} is installed"
    print(f"it lies in {updated.path} and is {used} within half a minute", file=sys.stderr)
    return 0


def _flags(args: argparse.Namespace) -> list[str]:
    short = [f"{name}={value}" for name in ("host", "port", "data_dir") if (value := getattr(args, name)) is not None]
    return [*short, *args.set]


def _parser() -> argparse.ArgumentParser:
    settings = argparse.ArgumentParser(add_help=False)
    settings.add_argument("--config", type=Path, metavar="FILE", help="read settings from this TOML file")
    settings.add_argument("--host", help="address to listen on (127.0.0.1)")
    settings.add_argument("--port", help="port to listen on (8080); 0 takes a free one")
    settings.add_argument("--data-dir", metavar="DIR", help="where everything is kept")
    settings.add_argument("--set", action="append", default=[], metavar="SECTION.NAME=VALUE", help="any other setting")

    parser = argparse.ArgumentParser(
        prog="progresshub", description="Live progress for everything that takes a while. Without a verb: serve."
    )
    parser.add_argument("--version", action="version", version=f"progresshub {__version__}")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    verbs.add_parser("serve", parents=[settings], help="run the server")
    shown = verbs.add_parser("config", parents=[settings], help="print every setting and where its value came from")
    shown.add_argument("--default", action="store_true", help="print a config.toml with every setting at its default")
    verbs.add_parser("demo", parents=[settings], help="submit one task of every kind and watch them")
    verbs.add_parser("update-ytdlp", parents=[settings], help="get the newest yt-dlp, for downloads")
    tokens.add_arguments(verbs.add_parser("token", parents=[settings], help="make, list and revoke access tokens"))
    return parser
