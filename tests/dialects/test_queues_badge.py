"""A badge says how a task stands, in well-formed SVG, whatever the task is called."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from progresshub.dialects.queues.badge import BAR_PX, badge, said
from progresshub.model import FIRST, Progress, Spec, State, Task

SVG = "{http://www.w3.org/2000/svg}"


def a_task(title: str = "Film", **given: Any) -> Task:
    spec = Spec(id="x", seq=1, kind="download", payload={}, origin="queues", created_ms=0, title=title)
    return Task(spec=spec, **{"state": State.RUNNING, "changed": FIRST, **given})


def fill(task: Task) -> tuple[str, float]:
    """The class and the width of the bar in the track."""
    picture = ET.fromstring(badge(task))
    bar = picture.findall(f"{SVG}svg/{SVG}rect")[1]
    return bar.attrib["class"], float(bar.attrib["width"])


@pytest.mark.parametrize(
    ("task", "words"),
    [
        (a_task(progress=Progress(percent=42.9)), "42 %"),
        (a_task(progress=Progress(percent=100.0)), "99 %"),
        (a_task(progress=Progress(percent=5, speed_bps=3_210_000.0)), "5 % · 3.21 MB/s"),
        (a_task(progress=Progress(percent=5, speed_bps=9e5), stalled=True), "5 % · stalled"),
        (a_task(progress=Progress(stage="merging")), "merging"),
        (a_task(), "running"),
        (a_task(cancelling=True), "cancelling"),
        (a_task(state=State.PENDING), "waiting"),
        (a_task(state=State.COMPLETED), "done"),
        (a_task(state=State.FAILED), "failed"),
    ],
)
def test_it_says_how_the_task_stands(task, words):
    assert said(task) == words
    assert ET.fromstring(badge(task)).attrib["aria-label"] == f"Film: {words}"


@pytest.mark.parametrize(
    ("task", "bar"),
    [
        (a_task(progress=Progress(percent=50.0)), ("moving", BAR_PX / 2)),
        (a_task(progress=Progress(percent=25.0), stalled=True), ("stalled", BAR_PX / 4)),
        (a_task(state=State.COMPLETED), ("done", BAR_PX)),
        (a_task(state=State.FAILED, progress=Progress(percent=25.0)), ("failed", BAR_PX / 4)),
        (a_task(state=State.PENDING), ("rest", 0)),
    ],
)
def test_its_bar_is_as_long_as_the_task_is_far(task, bar):
    assert fill(task) == bar


def test_an_unknown_total_is_no_length():
    kind, _ = fill(a_task())

    assert kind == "moving unknown"


def test_an_address_in_a_title_keeps_its_password():
    assert "hunter2" not in badge(a_task("http://me:hunter2@example.org/film"))


@settings(max_examples=150, deadline=None)
@given(st.text(st.characters(codec="utf-8") | st.sampled_from("\x00\x1b\u202e\u2066<>&\"'\ufffe\uffff"), max_size=60))
def test_no_title_breaks_it(title):
    picture = ET.fromstring(badge(a_task(title, progress=Progress(stage=title))))

    assert {element.tag.removeprefix(SVG) for element in picture.iter()} == {"svg", "title", "style", "rect", "text"}
    assert "\u202e" not in picture.attrib["aria-label"]
