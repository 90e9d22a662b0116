"""Texts and figures for a terminal, the line that sums all up, and where it is painted. No terminal needed."""

from __future__ import annotations

import io
from typing import Any

import pytest

from progresshub.cli import words
from progresshub.cli.painter import Painter
from progresshub.cli.standing import Standing
from progresshub.cli.taskbar import Taskbar
from progresshub.cli.times import seconds
from progresshub.client import ClientError, Progress, Task


def a_task(state: str = "active", **given: Any) -> Task:
    return Task(**{"id": "abcdef0123", "queue": "default", "kind": "demo", "state": state, **given})


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("plain", "plain"),
        ("a\x1b[31mb\x1b[0m", "ab"),
        ("a\x1b]0;title\x07b", "ab"),
        ("a\x1b]8;;http://x\x1b\\b", "ab"),
        ("a\x1bcb\x1b", "ab"),
        ("a\r\n\tb\u2028c", "a b c"),
        ("\u202eabc\u2066\u200f", "abc"),
        ("\x00\x07\x7f\x9b", ""),
        ("عنوان 日本", "عنوان 日本"),
    ],
)
def test_nothing_that_steers_a_terminal_is_left(text: str, cleaned: str):
    assert words.clean(text) == cleaned


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("plain", "plain"),
        ("10%\r20%\r30%", "30%"),
        ("30%\r", "30%"),
        ("a\tb", "a       b"),
        ("\x1b[31mred", "\x1b[31mred\x1b[0m"),
        ("\x1b[2J\x1b]0;x\x07\x1b[1;32mok\x1b[0m", "\x1b[1;32mok\x1b[0m\x1b[0m"),
    ],
)
def test_a_programs_output_keeps_its_colours_alone(line: str, shown: str):
    assert words.printable(line) == shown


@pytest.mark.parametrize("text", ["", "abc", "日本語のタイトル", "عنوان عربي طويل", "é́́e"])
@pytest.mark.parametrize("room", [0, 1, 2, 5, 8, 30])
def test_a_text_is_as_wide_as_it_is_to_be(text: str, room: int):
    assert words.width(words.fitted(text, room)) == room


@pytest.mark.parametrize(
    ("figure", "told"),
    [
        (words.span(0.4), "0s"),
        (words.span(65), "1m05s"),
        (words.span(3_599.7), "1h00m"),
        (words.span(90_000), "1d01h"),
        (words.size(999), "999 B"),
        (words.size(1_234), "1.2 kB"),
        (words.size(123_456_789), "123 MB"),
        (words.size(5e15), "5000.0 TB"),
        (words.amount(Progress(current=3, total=10, unit="pages")), "3/10 pages"),
        (words.amount(Progress(current=5e6, total=1e7, unit="bytes")), "5.0 MB / 10.0 MB"),
        (words.amount(Progress(current=5e6)), "5.0 MB"),
        (words.amount(Progress()), ""),
        (words.speed(Progress(speed_bps=2e6)), "2.0 MB/s"),
        (words.speed(Progress(speed_bps=2.5, unit="pages")), "2.5 pages/s"),
        (words.percent(a_task()), ""),
        (words.percent(a_task(progress=Progress(indeterminate=True))), ""),
        (words.state(a_task(stalled=True)), "stalled"),
        (words.state(a_task("archived", progress=Progress(stage="cancelled"))), "cancelled"),
        (words.state(a_task("retry")), "retrying"),
        (
            words.doing(a_task(attempt=2, max_retry=3, progress=Progress(stage="a", message="b"))),
            "attempt 2 of 4: a: b",
        ),
    ],
)
def test_figures_are_short(figure: str, told: str):
    assert figure == told


@pytest.mark.parametrize(
    ("text", "length_s"), [("90", 90), ("1.5s", 1.5), ("1h30m", 5_400), ("2d", 172_800), ("5ms", 0.005)]
)
def test_times_are_read(text: str, length_s: float):
    assert seconds(text) == pytest.approx(length_s)


@pytest.mark.parametrize("text", ["", "soon", "5 s", "s", "-5s", "1h-5m"])
def test_what_is_no_time_is_refused(text: str):
    with pytest.raises(ClientError):
        seconds(text)


def standing(*tasks: Task) -> Standing:
    shown = Standing()
    for number, task in enumerate(tasks):
        shown.tasks[str(number)] = task
    return shown


DONE = a_task("completed", progress=Progress(percentage=100))
HALF = a_task(progress=Progress(percentage=50, eta_seconds=20))
UNKNOWN = a_task(progress=Progress(indeterminate=True))
FAILED = a_task("archived", progress=Progress(percentage=10, stage="failed"))


@pytest.mark.parametrize(
    ("tasks", "percent", "left_s"),
    [
        ((), None, None),
        ((UNKNOWN,), None, None),
        ((UNKNOWN, DONE), None, None),
        ((HALF,), 50, 20),
        ((HALF, DONE), 75, 20),
        ((HALF, UNKNOWN), 25, None),
        ((DONE, FAILED), 100, None),
    ],
)
def test_all_together_is_told_only_as_far_as_it_is_known(
    tasks: tuple[Task, ...], percent: float | None, left_s: float | None
):
    shown = standing(*tasks)

    assert (shown.percent(), shown.left_s()) == (percent, left_s)
    assert shown.failed == (FAILED in tasks)


def test_of_all_that_ever_came_the_first_that_ended_are_only_counted():
    shown = Standing()
    shown.most = 2
    tasks = [a_task("completed", id="a"), a_task(id="b"), a_task("completed", id="c"), a_task(id="d"), a_task(id="e")]

    for task in tasks:
        shown.saw(task)

    assert list(shown.tasks) == ["b", "d", "e"]
    assert shown.counts() == "3 running, 2 completed"


def test_a_taskbar_is_told_each_thing_once():
    file = io.StringIO()
    taskbar = Taskbar(file, {"WT_SESSION": "1"})

    for shown in (standing(UNKNOWN), standing(HALF), standing(HALF), standing(HALF, FAILED)):
        taskbar.show(shown)
    taskbar.clear()
    taskbar.clear()

    assert file.getvalue() == "".join(f"\x1b]9;4;{told}\x07" for told in ("3;0", "1;50", "2;75", "0;0"))


def test_what_was_painted_is_taken_back_though_the_terminal_is_narrower_now():
    file = io.StringIO()
    columns = 80
    painter = Painter(file, lambda: columns)
    painter.paint([("x" * 70, 70), ("y", 1)])
    before = file.tell()

    columns = 30
    painter.paint([("z", 1)])
    painter.close()

    assert file.getvalue()[before:].startswith("\r\x1b[4A")  # three rows of x, one of y
    assert file.getvalue().endswith("\x1b[?25h")
