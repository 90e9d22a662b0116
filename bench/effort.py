"""How much is done: a quick look, or figures to publish."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass


def tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """`scale` multiplies the amounts, `rounds` repeats them; `peers` False measures ours alone."""

    scale: float = 1.0
    rounds: int = 3
    peers: bool = True
    tell: Callable[[str], None] = tell

    def many(self, amount: float, least: int = 1) -> int:
        return max(least, int(amount * self.scale))


QUICK = Effort(scale=0.25, rounds=2)
FULL = Effort(scale=1.0, rounds=5)
