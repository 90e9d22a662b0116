"""ffmpeg's status line as progress."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from progresshub.protocol import Report
from progresshub.readers.ffmpeg import FfmpegReader

OUTPUT = (
    b"Input #0, mov,mp4, from 'a.mp4':\n  Duration: 00:00:08.00, start: 0.000000, bitrate: 413 kb/s\n"
    b"frame=    1 fps=0.0 q=0.0 size=       0kB time=00:00:00.00 bitrate=N/A speed=   0x    \r"
    b"frame=   54 fps=0.0 q=29.0 size=       0kB time=00:00:02.00 bitrate=   2.9kbits/s speed=0.245x    \r"
    b"frame=   90 fps= 29 q=-1.0 Lsize=     447kB time=00:00:08.04 bitrate=1262.6kbits/s speed=0.921x    \n"
)


def at(current: float, total: float = 8.0) -> Report:
    return Report(current=current, total=total, unit="s")


def test_the_time_written_is_told_of_all_there_is() -> None:
    assert FfmpegReader().feed(OUTPUT) == [at(2.0), at(8.0)]


@given(st.lists(st.integers(1, len(OUTPUT)), max_size=6))
def test_the_pieces_do_not_matter(cuts: list[int]) -> None:
    reader = FfmpegReader()
    ends = [0, *sorted(cuts), len(OUTPUT)]

    told = [report for a, b in pairwise(ends) for report in reader.feed(OUTPUT[a:b])]

    assert told == [at(2.0), at(8.0)]


def test_the_longest_input_counts() -> None:
    reader = FfmpegReader()

    told = reader.feed(
        b"  Duration: 00:01:00.00, x\n  Duration: 01:00:00.00, y\n  Duration: N/A\nx time=00:30:00.00 y\r\n"
    )

    assert told == [at(1800.0, 3600.0)]


def test_without_a_duration_nothing_is_said() -> None:
    assert FfmpegReader().feed(b"size= 1kB time=00:00:02.00 bitrate=1\r\n") == []


@given(st.binary(max_size=400))
def test_whatever_comes_it_does_not_fail(data: bytes) -> None:
    FfmpegReader().feed(b"Duration: " + data + b"\ntime=" + data + b"\n")
