"""Ids of tasks: random UUIDs of version 4 (RFC 9562, 5.4).

The random bytes are drawn for many at a time: to ask the kernel for those of each took a third of what a batch
of tasks takes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

DRAWN = 256
_SIZE = 16
_VARIANTS = "89ab"


def ids() -> Iterator[str]:
    """One id after another, without end."""
    while True:
        drawn = os.urandom(DRAWN * _SIZE)
        for start in range(0, len(drawn), _SIZE):
            digits = drawn[start : start + _SIZE].hex()
            variant = _VARIANTS[drawn[start + 8] & 3]
            yield f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"
