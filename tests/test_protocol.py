"""What a child or a client says of its progress: understood where it can be, and never harmful."""

from __future__ import annotations

import math
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from progresshub.protocol import (
    MESSAGE_CHARS,
    METADATA_BYTES,
    MOST_DEEP,
    BadReport,
    Report,
    StepPlan,
    TooDeep,
    clean_text,
    decode,
    parse,
    parse_text,
)


def test_every_field_of_a_report_is_understood() -> None:
    said = {
        "percent": 12.5,
        "current": 1,
        "total": 8,
        "unit": "pages",
        "stage": "s",
        "message": "m",
        "speed_bps": 3,
        "eta_s": 4,
        "metadata": {"a": 1},
        "steps": [{"name": "a", "weight": 2}, {"name": "b"}],
        "step": "a",
        "status": "done",
        "result": [1],
        "error": "e",
        "error_type": "t",
        "retry": False,
        "unheard_of": "left aside",
    }

    report = parse(orjson.dumps(said))

    assert report == Report(
        percent=12.5,
        current=1.0,
        total=8.0,
        unit="pages",
        stage="s",
        message="m",
        speed_bps=3.0,
        eta_s=4.0,
        metadata={"a": 1},
        steps=(StepPlan(name="a", weight=2.0), StepPlan(name="b")),
        step="a",
        status="done",
        result=[1],
        error="e",
        error_type="t",
        retry=False,
    )


@pytest.mark.parametrize(
    ("text", "report"),
    [
        ("42%", Report(percent=42.0)),
        ("42.5 %", Report(percent=42.5)),
        ("0%", Report(percent=0.0)),
        ("250%", Report(percent=100.0)),
        ("3/10", Report(current=3.0, total=10.0)),
        ("3 / 10", Report(current=3.0, total=10.0)),
        ("done", Report(status="done")),
        ("failed", Report(status="failed", error="")),
        ("failed: why", Report(status="failed", error="why")),
        ("failed:\n  a\n  b", Report(status="failed", error="a\n  b")),
        ("failed miserably", Report(message="failed miserably")),
        ("and/or 1/2", Report(message="and/or 1/2")),
        ("-5%", Report(message="-5%")),
        ("  hello \n", Report(message="hello")),
        ("9" * 400 + "%", Report()),
    ],
)
def test_a_plain_text_is_understood(text: str, report: Report) -> None:
    assert parse_text(text) == report


@pytest.mark.parametrize("text", ["", "  ", "\n"])
def test_nothing_is_no_report(text: str) -> None:
    with pytest.raises(BadReport):
        parse_text(text)


@pytest.mark.parametrize(
    "line",
    [b"", b"{", b"[]", b"5", b'{"percent": "5"}', b'{"percent": NaN}', b'{"status": "maybe"}', b"\xff", b"[" * 10_000],
)
def test_what_is_no_report_says_so(line: bytes) -> None:
    with pytest.raises(BadReport):
        parse(line)


@given(st.floats(), st.floats(), st.floats())
def test_no_number_leaves_its_bounds(percent: float, current: float, total: float) -> None:
    numbers = {"percent": percent, "current": current, "total": total, "eta_s": current, "speed_bps": total}

    report = parse(orjson.dumps({name: n for name, n in numbers.items() if math.isfinite(n)}))

    assert report.percent is None or 0 <= report.percent <= 100
    assert all(n is None or (n >= 0 and math.isfinite(n)) for n in (report.current, report.total, report.eta_s))


@given(st.text(max_size=60).map(lambda text: text.replace("\ufffd", "")))
def test_no_text_keeps_a_control_character(text: str) -> None:
    cleaned = clean_text(text, 50) or ""

    assert len(cleaned) <= 50
    assert not {c for c in cleaned if c not in "\t\n" and (ord(c) < 32 or 127 <= ord(c) < 160 or c in "\u2028\u2029")}


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("\x1b[31;1mred\x1b[0m", "red"),
        ("\x1b[2K\rbar", "bar"),
        ("a\tb\nc", "a\tb\nc"),
        ("bell\x07 nul\x00", "bell nul"),
        ("\x1b]0;title\x07x", "]0;titlex"),
    ],
)
def test_terminal_sequences_go_as_a_whole(text: str, cleaned: str) -> None:
    assert clean_text(text, 50) == cleaned


def test_a_long_message_is_cut_and_marked() -> None:
    report = parse(orjson.dumps({"message": "x" * (MESSAGE_CHARS + 1)}))

    assert report.message == "x" * (MESSAGE_CHARS - 1) + "…"


def test_metadata_that_is_too_large_is_left_out_and_says_so() -> None:
    report = parse(orjson.dumps({"metadata": {"a": "x" * METADATA_BYTES}}))

    assert report.metadata is not None
    assert list(report.metadata) == ["left_out"]


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


def test_json_may_be_nested_so_deep_and_no_deeper() -> None:
    assert orjson.dumps(decode(nested(MOST_DEEP))) == nested(MOST_DEEP)
    with pytest.raises(TooDeep):
        decode(nested(MOST_DEEP + 2))


@given(st.binary(max_size=200))
def test_whatever_a_child_writes_is_a_report_or_a_bad_one(line: bytes) -> None:
    try:
        report: Any = parse(line)
    except BadReport:
        report = Report()

    assert isinstance(report, Report)
