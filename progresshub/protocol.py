"""What a worker says about its progress: a JSON line, or a word of plain text, becomes a Report.

Sans-I/O. Whatever a child writes, the result is a report with sane values or `BadReport`:
numbers that are not finite are dropped, percentages clamped, texts cleaned and cut.
"""

from __future__ import annotations

import math
import re
from typing import Any, Literal

import msgspec
import orjson

from progresshub.errors import HubError

MESSAGE_CHARS = 2_000
NAME_CHARS = 200
METADATA_BYTES = 16_384
RESULT_BYTES = 1_048_576
MOST_DEEP = 254


class BadReport(HubError):
    """This is not a progress report: {reason}."""

    code = "bad_report"


class TooDeep(ValueError):
    """JSON that nobody could walk through without running out of stack."""


class StepPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A step that is going to be done, and its share of the whole."""

    name: str
    weight: float = 1.0


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One report; every field is optional, and None says nothing about it.

    percent     0 to 100, of the step when `step` is given, else of the task
    current, total, unit    done so far and in all; percent follows from them
    stage, message          short words for people
    speed_bps, eta_s        bytes (or units) a second, seconds left
    metadata                passed on as it is
    steps       declares the steps to come; `step` names the one this report speaks of
    status      "done" or "failed" ends the step, or without `step` the task
    result      any JSON, kept with what ended
    error, error_type, retry    why it failed, a stable word for it, and whether trying again may help
    """

    percent: float | None = None
    current: float | None = None
    total: float | None = None
    unit: str | None = None
    stage: str | None = None
    message: str | None = None
    speed_bps: float | None = None
    eta_s: float | None = None
    metadata: dict[str, Any] | None = None
    steps: tuple[StepPlan, ...] | None = None
    step: str | None = None
    status: Literal["done", "failed", "skipped"] | None = None
    result: Any = None
    error: str | None = None
    error_type: str | None = None
    retry: bool = True


_CONTROL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
_PERCENT = re.compile(r"(\d+(?:\.\d+)?)\s*%")
_RATIO = re.compile(r"(\d+(?:\.\d+)?)\s*/\s*(\d+(?:\.\d+)?)")
_FAILED = re.compile(r"failed(?::\s*(.*))?", re.DOTALL)


def parse(line: bytes) -> Report:
    """Read one line that a child wrote to its report descriptor, or a JSON body of a POST."""
    try:
        value = decode(line)
    except (orjson.JSONDecodeError, TooDeep) as error:
        raise BadReport(reason=str(error)) from None
    return from_json(value)


def decode(data: bytes) -> Any:
    """JSON as a value that is safe to walk through: none of it is nested deeper than MOST_DEEP."""
    value = orjson.loads(data)
    if data.count(b"[") + data.count(b"{") > MOST_DEEP:
        try:
            orjson.dumps(value)  # goes as deep as that, and much faster than we could count
        except orjson.JSONEncodeError:
            raise TooDeep(f"it is nested more than {MOST_DEEP} deep") from None
    return value


def from_json(value: Any) -> Report:
    """A decoded JSON object as a clean report."""
    if not isinstance(value, dict):
        raise BadReport(reason="a report is a JSON object")
    try:
        report = msgspec.convert(value, Report)
    except msgspec.ValidationError as error:
        raise BadReport(reason=str(error)) from None
    return clean(report)


def parse_text(text: str) -> Report:
    """`42%`, `3/10`, `done`, `failed: why`; any other short text is a message."""
    text = text.strip()
    if match := _PERCENT.fullmatch(text):
        return clean(Report(percent=float(match[1])))
    if match := _RATIO.fullmatch(text):
        return clean(Report(current=float(match[1]), total=float(match[2])))
    if text == "done":
        return Report(status="done")
    if match := _FAILED.fullmatch(text):
        return clean(Report(status="failed", error=match[1] or ""))
    if not text:
        raise BadReport(reason="it is empty")
    return clean(Report(message=text))


def clean(report: Report) -> Report:
    """The same report with every value within its bounds."""
    percent = _finite(report.percent)
    return msgspec.structs.replace(
        report,
        percent=None if percent is None else min(100.0, max(0.0, percent)),
        current=_not_negative(report.current),
        total=_not_negative(report.total),
        speed_bps=_not_negative(report.speed_bps),
        eta_s=_not_negative(report.eta_s),
        unit=clean_text(report.unit, NAME_CHARS),
        stage=clean_text(report.stage, NAME_CHARS),
        step=clean_text(report.step, NAME_CHARS),
        message=clean_text(report.message, MESSAGE_CHARS),
        error=clean_text(report.error, MESSAGE_CHARS),
        metadata=bounded(report.metadata, METADATA_BYTES),
        result=bounded(report.result, RESULT_BYTES),
    )


def clean_text(text: str | None, most: int) -> str | None:
    """Without control sequences, and cut with an ellipsis past `most` characters."""
    if text is None:
        return None
    text = _CONTROL.sub("", text)
    return text if len(text) <= most else text[: most - 1] + "…"


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _not_negative(value: float | None) -> float | None:
    value = _finite(value)
    return value if value is not None and value >= 0 else None


def bounded(value: Any, most_bytes: int) -> Any:
    """A value too large to keep is replaced by a note that says so."""
    if value is None:
        return None
    size = len(orjson.dumps(value))
    return value if size <= most_bytes else {"left_out": f"{size} bytes, more than the {most_bytes} that are kept"}
