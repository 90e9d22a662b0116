"""The report channel line by line: whatever is written to it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from progresshub.processes.lines import KEEP, LINE_BYTES, MANY_LINES, ReportLines, newest
from progresshub.protocol import Report


def test_lines_become_reports_wherever_they_are_cut() -> None:
    lines = ReportLines()

    heard = [report for part in (b'{"perc', b'ent":1}\n{"message"', b':"a"}\n') for report in lines.feed(part)]

    assert heard == [Report(percent=1), Report(message="a")]


def test_what_is_no_report_is_counted_and_forgotten() -> None:
    lines = ReportLines()
    bad = (b"word", b"[1]", b'{"percent":"x"}', b"\x00\xff", b'{"percent":NaN}', b"[" * 20_000, b'{"eta_s":1e999}')

    heard = lines.feed(b"\n".join(bad) + b'\n\n{"percent":5}\n')

    assert heard == [Report(percent=5)]
    assert lines.bad == len(bad)


def test_a_line_that_is_too_long_is_skipped_to_its_end() -> None:
    lines = ReportLines()

    heard = lines.feed(b'{"message":"')
    for _ in range(LINE_BYTES // 65_536 + 5):
        heard += lines.feed(b"x" * 65_536)
        assert sum(map(len, lines._parts)) <= LINE_BYTES
    heard += lines.feed(b'"}\n{"percent":5}\n')

    assert heard == [Report(percent=5)]
    assert lines.bad == 1


def test_of_mere_progress_that_came_together_the_newest_is_heard() -> None:
    lines = b"".join(b'{"percent":%d}\n' % percent for percent in range(100))

    assert ReportLines().feed(lines) == [Report(percent=99)]


def test_of_metadata_that_came_together_the_newest_is_heard_and_the_others_are_not_even_read() -> None:
    broken = b'{"percent":1.2.3,"metadata":{"frame":1}}\n'
    whole = b"".join(b'{"percent":1.%d,"metadata":{"frame":%d}}\n' % (n, n) for n in range(MANY_LINES))
    lines = ReportLines()

    heard = lines.feed(broken + whole)

    assert heard == [Report(percent=1 + (MANY_LINES - 1) / 100, metadata={"frame": MANY_LINES - 1})]
    assert lines.bad == 0


def test_messages_and_steps_are_all_heard_in_a_flood() -> None:
    lines = b"".join(b'{"message":"file %d"}\n{"step":"s%d","status":"done"}\n' % (n, n) for n in range(MANY_LINES))

    heard = ReportLines().feed(lines)

    assert len(heard) == 2 * MANY_LINES


def test_a_word_hidden_behind_an_escape_is_heard_in_a_flood() -> None:
    lines = b"".join(b'{"\\u006dessage":"%d"}\n' % n for n in range(MANY_LINES))

    assert [report.message for report in ReportLines().feed(lines)] == [str(n) for n in range(MANY_LINES)]


def test_a_report_gives_way_only_to_one_that_says_as_much() -> None:
    counted, percent = Report(current=1, total=2), Report(percent=60)

    assert newest([counted, percent]) == [counted, percent]
    assert newest([percent, Report(percent=70, eta_s=3)]) == [Report(percent=70, eta_s=3)]
    assert newest([Report(percent=1, stage="a"), Report(percent=2, stage="b")])[0].stage == "a"


def test_a_closing_mark_is_no_report() -> None:
    lines = ReportLines()

    heard = lines.feed(b'{"status":"done"}\n!keep\n')

    assert heard == [Report(status="done")]
    assert (lines.mark, lines.bad) == (KEEP, 0)


@given(st.lists(st.binary(max_size=200), max_size=20))
def test_nothing_that_is_written_raises(parts: list[bytes]) -> None:
    lines = ReportLines()

    for part in parts:
        lines.feed(part)
