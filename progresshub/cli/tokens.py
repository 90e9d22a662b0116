"""`progresshub token`: who may use the server from elsewhere."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from progresshub.edge import tokenfile

SCOPES = ("read", "submit", "command", "admin")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("add", "ls", "rm"))
    parser.add_argument("name", nargs="?", help="what the token is called")
    parser.add_argument(
        "--scope", action="append", choices=SCOPES, help="what it may do; may be repeated (read and submit)"
    )


def run(args: argparse.Namespace, data: Path) -> int:
    if args.action == "ls":
        for name, kept in tokenfile.listed(data).items():
            print(f"{name}\t{' '.join(kept.scopes)}")
        return 0
    if not args.name:
        print(f"progresshub: token {args.action} needs a name", file=sys.stderr)
        return 2
    if args.action == "rm":
        tokenfile.revoke(data, args.name)
        return 0
    print(tokenfile.create(data, args.name, tuple(args.scope or ("read", "submit"))))
    print("this is shown once; keep it safe", file=sys.stderr)
    return 0
