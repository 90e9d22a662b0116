"""Server-sent events as bytes, however they are cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from progresshub.client import sse
from progresshub.client.sse import Event, Parser, TooLong

STREAM = (
    b'\xef\xbb\xbfretry: 1500\n\n: hello\n\nid: 1-0\nevent: progress\ndata: {"a": 1}\n\ndata: x\ndata:y\n\nid: 2-0\n\n'
)


def test_events_are_told_with_the_last_id_there_was():
    parser = Parser()

    events = parser.feed(STREAM)

    assert events == [Event("1-0", "progress", b'{"a": 1}'), Event("1-0", "message", b"x\ny")]
    assert (parser.last_id, parser.retry_ms) == ("2-0", 1500)


@pytest.mark.parametrize("line_break", [b"\n", b"\r\n", b"\r"])
@settings(deadline=None)
@given(cuts=st.lists(st.integers(min_value=0, max_value=len(STREAM)), max_size=12))
def test_it_does_not_matter_where_the_bytes_are_cut_and_how_lines_end(line_break: bytes, cuts: list[int]):
    stream = STREAM.replace(b"\n", line_break)
    edges = [0, *sorted(cuts), len(stream)]
    parser = Parser()

    events = [event for a, b in pairwise(edges) for event in parser.feed(stream[a:b])]

    assert events == Parser().feed(STREAM)
    assert parser.last_id == "2-0"


def test_what_is_cut_off_is_not_told_and_what_was_known_stays():
    parser = Parser("7-0")

    events = parser.feed(b"event: done\ndata: 1\n")

    assert events == []
    assert parser.last_id == "7-0"


@pytest.mark.parametrize(
    "stream", [b"id: a\0b\ndata: 1\n\n", b"retry: soon\ndata: 1\n\n", b"weather: fine\ndata: 1\n\n", b"\n\ndata: 1\n\n"]
)
def test_what_makes_no_sense_is_passed_over(stream: bytes):
    parser = Parser()

    events = parser.feed(stream)

    assert events == [Event("", "message", b"1")]
    assert parser.retry_ms is None


def test_an_event_without_end_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sse, "MOST_BYTES", 100)
    parser = Parser()
    parser.feed(b"data: " + b"x" * 60 + b"\n\n" + b"data: " + b"x" * 60)

    with pytest.raises(TooLong):
        parser.feed(b"x" * 60)
