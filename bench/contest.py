"""A contest: the same measurement of ours and of each peer, in turn, several times in one run.

Rounds are interleaved, so that a machine which slows down slows down for all, and what is told are
medians over the rounds and the ratio to ours within the run.
"""

from __future__ import annotations

import statistics
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp

OURS = "progresshub"
Figures = Mapping[str, float]
Measure = Callable[[], Awaitable[Figures]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """What a figure means: `better` says which way is good, `digits` how it is written."""

    about: str
    better: str = "more"
    digits: int = 0


@dataclass(slots=True, kw_only=True)
class Table:
    """The medians of one scenario. `notes` say of a contestant what figures can't, or why it has none."""

    name: str
    about: str
    units: Mapping[str, Unit]
    medians: dict[str, dict[str, float]] = field(default_factory=dict)
    spreads: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {
            "scenario": self.name,
            "about": self.about,
            "medians": self.medians,
            "spreads": self.spreads,
            "notes": self.notes,
            "ratios": {name: self.ratios(name) for name in self.medians},
        }

    def ratios(self, name: str) -> dict[str, float]:
        """How many times better ours is than this contestant, figure by figure."""
        ours, theirs = self.medians.get(OURS, {}), self.medians[name]
        ratios = {}
        for figure, unit in self.units.items():
            mine, other = ours.get(figure), theirs.get(figure)
            if mine and other:
                ratios[figure] = mine / other if unit.better == "more" else other / mine
        return ratios

    def lines(self) -> list[str]:
        """As a Markdown table."""
        shown = [figure for figure in self.units if any(figure in row for row in self.medians.values())]
        heads = [self.units[figure].about for figure in shown]
        lines = [f"### {self.about}", "", f"| {' | '.join(['', *heads, 'note'])} |", "|---" * (len(shown) + 2) + "|"]
        for name, row in self.medians.items():
            ratios = self.ratios(name)
            cells = [self._cell(figure, row.get(figure), ratios.get(figure)) for figure in shown]
            lines.append(f"| {' | '.join([name, *cells, self.notes.get(name, '')])} |")
        lines += [
            f"| {name} |{' |' * len(shown)} {why} |" for name, why in self.notes.items() if name not in self.medians
        ]
        return [*lines, ""]

    def _cell(self, figure: str, value: float | None, ratio: float | None) -> str:
        if value is None:
            return ""
        written = f"{value:,.{max(self.units[figure].digits, 2 * (abs(value) < 1))}f}"
        return written if ratio is None or ratio == 1 else f"{written} ({ratio:.2g}×)"


async def contest(table: Table, measures: Mapping[str, Measure], rounds: int, tell: Callable[[str], None]) -> Table:
    """Run every measure in turn, as often as there are rounds; one that fails is out, and the table says why."""
    seen: dict[str, list[Figures]] = {name: [] for name in measures}
    out: set[str] = set()
    for number in range(rounds):
        for name, measure in measures.items():
            if name in out:
                continue
            tell(f"{table.name}: {name}, round {number + 1} of {rounds}")
            try:
                seen[name].append(await measure())
            except (aiohttp.ClientError, LookupError, OSError, RuntimeError, TimeoutError, ValueError) as error:
                out.add(name)
                table.notes[name] = " ".join(f"failed: {error or type(error).__name__}".split())[:200]
                tell(f"{table.name}: {name} {table.notes[name]}")
    for name, figures in seen.items():
        if figures:
            table.spreads[name] = {figure: sorted(row[figure] for row in figures) for figure in figures[0]}
            table.medians[name] = {figure: median(values) for figure, values in table.spreads[name].items()}
    return table


def median(values: Sequence[float]) -> float:
    return statistics.median(values)
