"""Puts the figures of a run into `bench/README.md`, between its two marks."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bench import goals
from bench.contest import Table

README = Path(__file__).parent / "README.md"
BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"


def publish(tables: Iterable[Table], document: Mapping[str, Any]) -> None:
    tables = list(tables)
    before, _, rest = README.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    told = [BEGIN, *_head(document), *goals.lines(tables), *(line for table in tables for line in table.lines()), END]
    README.write_text(before + "\n".join(told) + after)


def _head(document: Mapping[str, Any]) -> list[str]:
    machine = document["machine"]
    day = time.strftime("%Y-%m-%d", time.gmtime(document["at_s"]))
    made_on = (
        f"Made on {day}: {machine['cores']} cores of {machine['processor']}, {machine['memory_mb']:,} MB,"
        f" Linux {machine['kernel']}, Python {machine['python']}; {document['rounds']} rounds, scale"
        f" {document['scale']:g}, load average at the start {document['load_average']:.1f}."
    )
    return ["", made_on, ""]
