"""Durations as they are typed: `90s`, `1h30m`, or a bare number of seconds."""

from __future__ import annotations

import re

from progresshub.client.refusals import ClientError

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")


def seconds(text: str) -> float:
    """ClientError when it is none."""
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    if not re.fullmatch(f"(?:{_PART.pattern})+", text):
        raise ClientError(f"{text!r} is not a time such as 90s or 1h30m", "INVALID_TIME")
    return sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text))


def duration(text: str) -> str:
    """The same in the server's words."""
    return f"{seconds(text):.3f}s"
