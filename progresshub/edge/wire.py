"""Values on the wire: JSON in and out, durations, times, ids. Pure functions, no request in sight."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec
import orjson
from aiohttp import web

from progresshub.errors import InvalidRequest
from progresshub.model import EventId
from progresshub.protocol import TooDeep, decode

T = TypeVar("T")

UNITS_MS = {"ns": 1e-6, "us": 1e-3, "µs": 1e-3, "μs": 1e-3, "ms": 1.0, "s": 1e3, "m": 60e3, "h": 3600e3}
LONGEST_MS = 292 * 365 * 86_400_000
_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_ID = re.compile(r"(\d{1,15})(?:-(\d{1,15}))?", re.ASCII)

JSON_TYPE = {"Content-Type": "application/json"}

encode = msgspec.json.Encoder(enc_hook=str).encode


def reply(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(body=encode(value), status=status, headers={**JSON_TYPE, **headers} if headers else JSON_TYPE)


def read(data: bytes, kind: type[T]) -> T:
    """A JSON body as a value of that type, or InvalidRequest that says what is wrong with it."""
    try:
        return msgspec.convert(decode(data), kind)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(reason=f"not JSON: {error}") from None
    except TooDeep as error:
        raise InvalidRequest(reason=str(error)) from None
    except msgspec.ValidationError as error:
        raise InvalidRequest(reason=str(error)) from None


def read_query(query: Mapping[str, str], kind: type[T]) -> T:
    """Query parameters as a value of that type; the first of several with one name counts."""
    try:
        return msgspec.convert(dict(query), kind, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidRequest(reason=str(error), where="query") from None


def duration_ms(text: str) -> int:
    """A duration in Go's syntax (`300ms`, `1h30m`, `1.5h`) in milliseconds; ValueError says what is wrong."""
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f'{text!r} is not a duration such as "300ms", "30s" or "1h30m"')
    total = sum(float(number) * UNITS_MS[unit] for number, unit in parts)
    if total > LONGEST_MS:
        raise ValueError(f"{text!r} is too long")
    return int(total)


def duration(ms: int) -> str:
    """Milliseconds as Go writes them, such as `1h30m0s` or `300ms`."""
    if ms < 1_000:
        return f"{ms}ms"
    minutes, rest_ms = divmod(ms, 60_000)
    hours, minutes = divmod(minutes, 60)
    seconds = f"{rest_ms / 1000:g}s"
    if hours:
        return f"{hours}h{minutes}m{seconds}"
    return f"{minutes}m{seconds}" if minutes else seconds


def time_ms(text: str) -> int:
    """An RFC 3339 time in milliseconds since the epoch; ValueError says what is wrong."""
    if not _TIME.fullmatch(text):
        raise ValueError(f'{text!r} is not an RFC 3339 time such as "2026-01-29T12:00:00Z"')
    try:
        moment = datetime.fromisoformat(text.upper())
        return int(moment.astimezone(UTC).timestamp() * 1000)
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is not a time there is") from None


def event_id(text: str | None) -> EventId | None:
    """`<ms>` or `<ms>-<n>`; None for anything else."""
    match = _ID.fullmatch(text or "")
    return None if match is None else EventId(int(match[1]), int(match[2] or 0))
