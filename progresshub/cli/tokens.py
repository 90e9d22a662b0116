"""`progresshub token`: who may use the server from elsewhere."""

from __future__ import annotations

import sys
from argparse import Namespace

from progresshub.cli import settings
from progresshub.edge import tokenfile


def run(args: Namespace) -> int:
    data = settings.data_dir(args)
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
