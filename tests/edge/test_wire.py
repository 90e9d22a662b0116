"""Values on the wire: durations, times and ids are what they say they are, and nothing else is."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from progresshub.edge.wire import duration, duration_ms, event_id, read, read_query, time_ms
from progresshub.errors import InvalidRequest
from progresshub.model import EventId


class Asked(msgspec.Struct):
    limit: int = 5
    name: str | None = None


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("300ms", 300),
        ("30s", 30_000),
        ("1h30m", 5_400_000),
        ("1.5h", 5_400_000),
        (".5s", 500),
        ("1.s", 1_000),
        ("1h1m1s1ms", 3_661_001),
        ("2000us", 2),
        ("2000µs", 2),
        ("2000μs", 2),
        ("1500000ns", 1),
        ("0s", 0),
    ],
)
def test_a_duration_is_read_as_go_reads_it(text: str, ms: int) -> None:
    assert duration_ms(text) == ms


@pytest.mark.parametrize(
    "text", ["", "30", "s", "1 s", " 1s", "1s ", "-1s", "1d", "1hm", "1e3s", "1,5s", "٣s", "9e99h"]
)
def test_what_is_no_duration_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        duration_ms(text)


def test_a_duration_beyond_all_measure_is_refused() -> None:
    with pytest.raises(ValueError, match="too long"):
        duration_ms("9" * 400 + "h")


@given(st.integers(1, 10**12))
def test_a_duration_that_is_written_is_read_back(ms: int) -> None:
    assert duration_ms(duration(ms)) == pytest.approx(ms, abs=1)


@pytest.mark.parametrize(
    ("ms", "text"),
    [(300, "300ms"), (1_000, "1s"), (1_500, "1.5s"), (90_000, "1m30s"), (1_800_000, "30m0s"), (5_400_000, "1h30m0s")],
)
def test_a_duration_is_written_as_go_writes_it(ms: int, text: str) -> None:
    assert duration(ms) == text


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("1970-01-01T00:00:01Z", 1_000),
        ("1970-01-01t00:00:01z", 1_000),
        ("1970-01-01T02:00:01.5+02:00", 1_500),
        ("1969-12-31T23:59:59Z", -1_000),
        ("1970-01-01T00:00:00.123456789Z", 123),
    ],
)
def test_a_time_is_read(text: str, ms: int) -> None:
    assert time_ms(text) == ms


@pytest.mark.parametrize(
    "text",
    [
        *("", "now", "1970-01-01", "1970-01-01T00:00:01", "1970-01-01 00:00:01Z", "1970-13-01T00:00:01Z"),
        *("1970-01-01T25:00:00Z", "1970-01-01T00:00:00+25:00", "9999-12-31T23:59:59-10:00", "٣970-01-01T00:00:01Z"),
    ],
)
def test_what_is_no_time_is_named(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not (an RFC 3339 time|a time there is)"):
        time_ms(text)


@pytest.mark.parametrize(
    ("text", "id_"),
    [
        ("0", EventId(0, 0)),
        ("5-7", EventId(5, 7)),
        ("1737884800000-0", EventId(1_737_884_800_000, 0)),
        *((text, None) for text in (None, "", "-", "$", "x", "1-", "-1", "1-2-3", "1.5", " 1", "1\n", "٣", "9" * 16)),
    ],
)
def test_an_id_is_read_or_is_none(text: str | None, id_: EventId | None) -> None:
    assert event_id(text) == id_


@given(st.integers(0, 10**14), st.integers(0, 10**6))
def test_an_id_that_is_written_is_read_back(ms: int, n: int) -> None:
    assert event_id(str(EventId(ms, n))) == EventId(ms, n)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"NaN", "not JSON"),
        (b'{"limit": 1e999}', "not JSON"),
        (b'{"name": "\\ud800"}', "not JSON"),
        (b"\xff", "not JSON"),
        (b"[]", "Expected `object`"),
        (b'{"limit": "5"}', "Expected `int`"),
        (b'{"x": ' + b"[" * 300 + b"]" * 300 + b"}", "nested more than"),
        (b"[" * 5_000 + b"]" * 5_000, "not JSON"),
    ],
)
def test_a_body_that_can_not_be_read_says_why(body: bytes, reason: str) -> None:
    with pytest.raises(InvalidRequest, match=reason):
        read(body, Asked)


def test_a_body_is_read_however_wide_it_is() -> None:
    assert read(b'{"limit": 3, "more": [' + b"[]," * 10_000 + b"[]]}", Asked) == Asked(limit=3)


@pytest.mark.parametrize(
    ("query", "asked"),
    [({}, Asked()), ({"limit": "7", "name": "null", "more": "x"}, Asked(limit=7, name="null"))],
)
def test_a_query_is_read_as_the_type_says(query: dict[str, str], asked: Asked) -> None:
    assert read_query(query, Asked) == asked


@pytest.mark.parametrize("query", [{"limit": "x"}, {"limit": ""}, {"limit": "1.5"}])
def test_a_query_that_can_not_be_read_says_why(query: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match="limit"):
        read_query(query, Asked)
