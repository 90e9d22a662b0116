"""`progresshub config`: every setting, what it is and where that came from."""

from __future__ import annotations

import json
import tomllib
from argparse import Namespace

from progresshub import config
from progresshub.cli import settings


def run(args: Namespace) -> int:
    if args.default:
        print(config.template(), end="")
        return 0
    explained = config.explain(settings.load(args))
    print(_as_json(explained) if args.json else explained, end="\n" if args.json else "")
    return 0


def _as_json(explained: str) -> str:
    """The same as an object."""
    found = {}
    for line in explained.splitlines():
        assignment, _, source = line.rpartition("  # ")
        name, _, value = assignment.partition(" = ")
        found[name] = {"value": tomllib.loads(f"value = {value}")["value"], "source": source}
    return json.dumps(found, indent=2, ensure_ascii=False)
