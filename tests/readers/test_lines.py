from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from progresshub.readers.lines import SEGMENTS, Lines, Segment

PIECES = st.lists(
    st.sampled_from(
        [b"\r", b"\n", b"\b", b"\x1b", b"[", b"2", b"A", b"K", b"]9;4;1;", b"\x07", b"\\", b"\xe2\x96\x88", b"x", b";"]
    ),
    max_size=60,
).map(b"".join)


def texts(data: bytes) -> list[str]:
    return [segment.text for segment in Lines().feed(data)]


def test_lines_end_with_either_ending():
    assert texts(b"one\ntwo\r\nthree\r\r\n") == ["one", "two", "three"]


def test_a_carriage_return_is_a_redraw_and_not_when_a_newline_follows():
    lines = Lines()

    segments = lines.feed(b"plain\r\nfirst\rsecond\n")

    assert segments == [
        Segment("plain", redrawn=False, replaced=False, complete=True),
        Segment("first", redrawn=False, replaced=True, complete=True),
        Segment("second", redrawn=True, replaced=False, complete=True),
    ]


def test_a_return_at_the_end_of_a_feed_waits_for_what_follows():
    lines = Lines()

    first = lines.feed(b"text\r")
    second = lines.feed(b"\nmore\n")

    assert first == []
    assert [(segment.text, segment.redrawn) for segment in second] == [("text", False), ("more", False)]


def test_backspaces_and_cursor_movements_redraw():
    segments = Lines().feed(b"10%\b\b\b20%\x1b[1A30%\n")

    assert [(segment.text, segment.redrawn) for segment in segments] == [("10%", False), ("20%", True), ("30%", True)]


def test_colours_titles_and_erasures_leave_no_trace():
    assert texts(b"\x1b[1;32mgo\x1b[0m\x1b]0;title\x07od\x1b[K\n") == ["good"]


def test_the_taskbar_progress_of_the_terminal_is_a_segment():
    assert texts(b"a\x1b]9;4;1;42\x1b\\b\x1b]9;4;0;0\x07c\n") == ["a", "42%", "b", "c"]


def test_a_text_without_an_end_shows_as_partial():
    lines = Lines()

    lines.feed(b"done\r 42%\x1b[")

    assert lines.partial == Segment(" 42%", redrawn=True, replaced=False, complete=False)


def test_a_long_line_is_cut():
    lines = Lines(most=10)

    segments = [segment for _ in range(1000) for segment in lines.feed(b"x" * 1000)] + lines.feed(b"\nnext\n")

    assert [segment.text for segment in segments] == ["x" * 10, "next"]


def test_only_the_newest_lines_of_a_flood_are_kept():
    lines = Lines()

    segments = lines.feed(b"".join(b"%d\n" % number for number in range(1000)))

    assert [segment.text for segment in segments] == [str(number) for number in range(1000 - SEGMENTS, 1000)]


def test_what_is_not_worth_it_is_passed_over_and_the_line_goes_on():
    lines = Lines(worth=lambda data: b"%" in data)

    segments = lines.feed(b"one\ntwo\rfo") + lines.feed(b"ur 4") + lines.feed(b"4%\nfive\n")

    assert segments == [Segment("four 44%", redrawn=True, replaced=False, complete=True)]


@given(data=PIECES, cuts=st.lists(st.integers(0, 200), max_size=8))
@example(data=b"a\r\x1b[2A\r\r\nb\n", cuts=[2, 3, 5, 8])
def test_the_pieces_that_bytes_come_in_do_not_matter(data: bytes, cuts: list[int]):
    whole, pieces = Lines(), Lines()
    bounds = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]

    expected = whole.feed(data)
    found = [segment for start, end in pairwise(bounds) for segment in pieces.feed(data[start:end])]

    assert found == expected
    assert pieces.partial == whole.partial
