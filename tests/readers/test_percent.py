from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from progresshub.protocol import Report
from progresshub.readers.percent import PercentReader

SAMPLES = Path(__file__).parents[1] / "samples"
NOTHING = None
MIB = 1024.0**2

LAST_SAID = {
    "aria2c.pipe.out": Report(percent=84),
    "cargo_osc.pty": Report(percent=0),
    "cmake_make.pipe.out": Report(percent=100),
    "cmake_make.pty": Report(percent=100),
    "curl_hash.pipe.err": Report(percent=100),
    "curl_meter.pipe.err": NOTHING,
    "dd_slow.pty": NOTHING,
    "ffmpeg_default.pipe.err": NOTHING,
    "git_noflag.pty": Report(percent=100),
    "git_pipe.pipe.err": Report(percent=100),
    "ninja.pipe.out": Report(current=12, total=12),
    "ninja.pty": Report(current=12, total=12),
    "pip_on.pipe.out": Report(current=3_200_000, total=3_200_000, unit="bytes"),
    "pip_on.pty": Report(current=3_200_000, total=3_200_000, unit="bytes"),
    "pip_raw.pipe.out": Report(current=3_186_201, total=3_186_201),
    "rsync_p2.pipe.out": Report(percent=100),
    "sevenz.pipe.out": Report(percent=92),
    "sevenz.pty": Report(percent=98),
    "tqdm.pipe.err": Report(percent=100),
    "tqdm.pty": Report(percent=100),
    "wget.pipe.err": Report(current=8_000_000, total=8_000_000),
    "wget.pty": Report(current=8_000_000, total=8_000_000),
    "wget_force.pipe.err": Report(current=8_000_000, total=8_000_000),
    "xz.pipe.err": NOTHING,
    "xz.pty": Report(percent=100),
    "ytdlp.pipe.out": Report(percent=100),
    "ytdlp.pty": Report(percent=100),
    "ytdlp_nolen.pipe.out": Report(percent=100),
    "ytdlp_tmpl.pipe.out": Report(percent=100),
    "ytdlp_tmpl.pty": Report(percent=100),
    "zstd.pipe.err": Report(current=188 * MIB, total=191 * MIB, unit="bytes"),
    "zstd_stdin.pipe.err": NOTHING,
}

NOT_PROGRESS = [
    "100% natural ingredients",
    "[INFO] 42% of users agree",
    "building 42% faster code",
    "completely 100% sure",
    "increased to 42% this year, from 12%",
    "Sales rose 5%, then 7%, then 9%.",
    "change: -5%",
    "and/or 1/2 a cup",
    "see a/1/2 and b/3/10",
    "on 3/10/2026 at 10/12",
    "version 3/10",
    "chapter 3/10",
    "GET /x/3/10 HTTP/1.1",
    "GET http://x/a%20b?c=5%20d",
    "printf('%5d%%', 10)",
    "cpu 35%, mem 40%",
    "TOTAL 100 3 97%",
    "Compression ratio: 26%",
    "big.bin : 26.25%   (   114 MiB =>   30.0 MiB, big.bin.zst)",
    "11/20 07:51:18 NOTICE 1/1",
    "3 of 2 and 0 of 1",
    "150% done",
]


def read(*pieces: bytes) -> list[Report]:
    reader = PercentReader()
    return [report for piece in pieces for report in reader.feed(piece)]


def slices(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def test_every_sample_is_expected_to_say_something_or_nothing():
    assert {path.name for path in SAMPLES.iterdir()} - {"README.md"} == LAST_SAID.keys()


@pytest.mark.parametrize(("name", "expected"), LAST_SAID.items())
@pytest.mark.parametrize("size", [1, 7, 4096])
def test_the_last_that_a_real_tool_said_is_the_last_report(name: str, expected: Report | None, size: int):
    data = (SAMPLES / name).read_bytes()

    reports = read(*slices(data, size))

    assert (reports[-1] if reports else None) == expected


def test_every_step_of_a_download_is_passed_on():
    reports = read((SAMPLES / "ytdlp.pipe.out").read_bytes())

    assert [report.percent for report in reports] == [
        0.0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.3, 6.5, 13.1, 26.2, 52.4, 95.6, 100.0,
    ]  # fmt: skip


@pytest.mark.parametrize("line", NOT_PROGRESS)
def test_prose_and_logs_say_nothing_however_often(line: str):
    assert read(*[f"{line}\n".encode()] * 5) == []


def test_measurements_that_happen_to_grow_are_not_progress():
    logs = [f"epoch done, accuracy {percent}%\n".encode() for percent in (80, 85, 90, 95)]
    disks = [
        f"/dev/sd{disk} 100G {percent}% /{disk}\n".encode() for disk, percent in zip("abcd", (1, 2, 3, 4), strict=True)
    ]

    assert read(*logs) == []
    assert read(*disks) == []


def test_the_last_percentage_of_a_redraw_shows_at_once():
    reader = PercentReader()

    assert reader.feed(b"\r#### 42.5%") == [Report(percent=42.5)]
    assert reader.feed(b"   ") == []
    assert reader.feed(b"\r") == []


def test_a_number_in_two_pieces_is_one():
    assert read(b"\r 4", b"2", b"%") == [Report(percent=42)]
    assert read(b"[3/1", b"2] link\n") == [Report(current=3, total=12)]


def test_a_growing_number_in_an_unchanging_text_becomes_progress():
    lines = [b"frames so far %d%%\n" % percent for percent in (10, 20, 30, 40)]

    assert [report.percent for report in read(*lines)] == [30, 40]


def test_counted_things_become_progress_with_the_second():
    lines = [b"Step %d/5 : RUN something\n" % step for step in (1, 2, 3)]

    assert [report.current for report in read(*lines)] == [2, 3]


def test_a_tool_that_starts_again_is_passed_on_as_it_is():
    assert [report.percent for report in read(b"\r90%\r100%\r\n\r0%\r10%")] == [90, 100, 0, 10]


def test_the_same_figure_is_said_once():
    assert read(b"\r10%\r10%\r10%\n") == [Report(percent=10)]


def test_sizes_of_different_units_are_bytes():
    assert read(b"\r512 KiB / 2 MiB") == []
    assert read(b"\r512 KiB / 2 MiB\r") == []
    assert read(b"\r512 KiB / 2 MiB\r\r ") == [Report(current=524_288, total=2_097_152, unit="bytes")]


@pytest.mark.parametrize(
    "line", [b"[ 42%] Building", b"[=====>     ] 42%", b"42%|####      |", "██▌ 42%".encode(), b"Progress: 42%",
             b"42% complete", b"downloading 42%", b"x 42% at 3.2MiB/s", b"[download]  42% of 7MiB"]
)  # fmt: skip
def test_a_line_that_shows_progress_counts_at_once(line: bytes):
    assert read(line + b"\n") == [Report(percent=42)]


FRAGMENTS = st.sampled_from(
    [b"42", b"7", b"%", b" ", b"/", b" of ", b"10", b"[", b"]", b"\r", b"\n", b"\b", b"\x1b[K", b"\x1b[1A", b"\x1b[",
     b"\x1b]9;4;1;5\x07", b"Step ", b"cpu ", b"progress: ", b"MiB", b" MiB", b"===", b"ETA", b".",
     b"\xe2\x96\x88", b"\xff"]
)  # fmt: skip


@given(
    data=st.one_of(st.binary(max_size=300), st.lists(FRAGMENTS, max_size=60).map(b"".join)),
    cuts=st.lists(st.integers(0, 300), max_size=10),
)
@example(data=b"progress: 5%20 \n", cuts=[12])
@example(data=b"[1/12] \n", cuts=[4])
def test_the_pieces_that_output_comes_in_do_not_matter(data: bytes, cuts: list[int]):
    bounds = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    pieces = [data[start:end] for start, end in pairwise(bounds)]

    reports = read(*pieces)

    assert reports == read(data)
    for report in reports:
        assert report.percent is None or 0 <= report.percent <= 100
        assert report.current is None or (report.total is not None and 0 <= report.current <= report.total)
