"""The bench: `python -m bench [--quick | --full] [--only SCENARIO] [--publish] [--json FILE]`.

Ours and everybody else's in turn, each scenario on this machine in one run: a table of medians with
how many times better ours is, and the same as JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench import environment, machine
from bench.contest import Table
from bench.effort import FULL, QUICK, Effort, tell
from bench.publish import publish
from bench.scenarios import fanout, growth, polling, start, work

SCENARIOS: dict[str, Callable[[Effort], Awaitable[list[Table]]]] = {
    "fanout": fanout.run,
    "polling": polling.run,
    "work": work.run,
    "start": start.run,
    "growth": growth.run,
}

BUSY = 0.5


def main() -> None:
    given = _arguments()
    effort = FULL if given.full else QUICK
    effort = replace(effort, rounds=given.rounds or effort.rounds, peers=not given.alone)
    for missing in environment.prepare():
        tell(f"MISSING: {missing}")
    load_average = os.getloadavg()[0]
    tell(f"environment ready; load average {load_average:.1f}")
    if load_average > BUSY:
        tell("the machine is busy: trust the ratios and the CPU figures, nothing else")
    tables: list[Table] = []
    try:
        asyncio.run(_run(given.only or list(SCENARIOS), effort, tables))
    finally:
        document = _document(tables, effort, load_average)
        given.json.write_text(json.dumps(document, indent=1) + "\n")
        tell(f"figures in {given.json}")
    if given.publish:
        publish(tables, document)


async def _run(names: list[str], effort: Effort, tables: list[Table]) -> None:
    """Each scenario's tables are shown as soon as they are there."""
    for name in names:
        new = await SCENARIOS[name](effort)
        print("\n".join(line for table in new for line in table.lines()), flush=True)
        tables += new


def _document(tables: list[Table], effort: Effort, load_average: float) -> dict[str, Any]:
    return {
        "at_s": int(time.time()),
        "machine": machine.description(),
        "load_average": load_average,
        "rounds": effort.rounds,
        "scale": effort.scale,
        "scenarios": [table.as_json() for table in tables],
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a quarter of it, twice: minutes (the default)")
    parser.add_argument("--full", action="store_true", help="all of it, five times")
    parser.add_argument("--rounds", type=int, help="other than those say")
    parser.add_argument("--only", action="append", choices=SCENARIOS, help="this scenario; may be repeated")
    parser.add_argument("--alone", action="store_true", help="without the peers")
    parser.add_argument("--publish", action="store_true", help="put the figures into bench/README.md")
    parser.add_argument("--json", type=Path, default=environment.HOME / "figures.json", help="where the figures go")
    return parser.parse_args()


if __name__ == "__main__":
    main()
