"""What the downloads dialect makes of a task, of an event and of a course: pure translations."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from progresshub.dialects.downloads import chart, words
from progresshub.dialects.downloads.chart import Sample
from progresshub.model import EventType, Failure, Progress, State, Task
from tests import make

FIRST_MS = 1_765_101_600_000  # 2025-12-07T10:00:00Z


def download(state: State = State.RUNNING, **given: Any) -> Task:
    defaults: dict[str, Any] = {
        "kind": "download",
        "origin": "downloads",
        "payload": {"url": "https://example.com/video.mp4", "format": "mp4"},
        "title": "example.com/video.mp4",
        "created_ms": FIRST_MS,
    }
    return make.task(1, state, **{**defaults, **given})


def halfway(**given: Any) -> Progress:
    """The figures that this API's own example shows."""
    known: dict[str, Any] = {
        "percent": 45.5,
        "current": 452_000_000,
        "total": 995_000_000,
        "unit": "bytes",
        "stage": "downloading",
        "speed_bps": 2_500_000.0,
        "eta_ms": 217_200,
        "metadata": {"title": "Sample Video", "filename": "video.mp4"},
    }
    return Progress(**{**known, **given})


def test_the_example_of_a_running_download_comes_out_as_it_is_known():
    task = download(progress=halfway(), started_ms=FIRST_MS + 15_000)

    body = words.detail(task)

    assert (body.url, body.title, body.status) == ("https://example.com/video.mp4", "Sample Video", "downloading")
    assert (body.progress, body.current_bytes, body.total_bytes) == (45.5, 452_000_000, 995_000_000)
    assert (body.speed_bps, body.eta_seconds, body.filename) == (2_500_000.0, 217.2, "video.mp4")
    assert (body.file_size, body.error_message, body.completed_at) == (None, None, None)
    assert (body.created_at, body.started_at) == ("2025-12-07T10:00:00", "2025-12-07T10:00:15")
    assert words.summary(task).time_remaining == "3m 37s"


@pytest.mark.parametrize(
    ("state", "stage", "word"),
    [
        (State.SCHEDULED, "", "pending"),
        (State.PENDING, "", "pending"),
        (State.RETRYING, "downloading", "pending"),
        (State.RUNNING, "extracting", "downloading"),
        (State.RUNNING, "downloading", "downloading"),
        (State.RUNNING, "merging", "processing"),
        (State.RUNNING, "processing", "processing"),
        (State.COMPLETED, "processing", "completed"),
        (State.FAILED, "downloading", "failed"),
        (State.CANCELLED, "merging", "cancelled"),
    ],
)
def test_a_status_is_that_of_the_state_and_while_it_runs_of_the_stage(state, stage, word):
    assert words.status(download(state, progress=halfway(stage=stage))) == word


def test_unknown_numbers_are_zero_and_said_to_be_unknown():
    body = words.detail(download(progress=Progress(current=5, unit="bytes", stage="downloading")))

    assert (body.progress, body.speed_bps, body.current_bytes) == (0.0, 0.0, 5)
    assert (body.total_bytes, body.eta_seconds, body.indeterminate) == (None, None, True)


@pytest.mark.parametrize(
    ("percent", "shown"), [(0.04, 0.0), (32.3, 32.3), (45.59, 45.5), (99.96, 99.9), (100.0, 99.9), (None, 0.0)]
)
def test_progress_is_rounded_down_and_whole_only_when_completed(percent, shown):
    assert words.percent(download(progress=halfway(percent=percent))) == shown
    assert words.percent(download(State.COMPLETED, progress=halfway(percent=percent))) == 100.0


def test_what_waits_for_its_next_attempt_has_not_begun():
    assert words.percent(download(State.RETRYING, progress=halfway())) == 0.0
    assert words.percent(download(State.FAILED, progress=halfway())) == 45.5


@pytest.mark.parametrize("unknown", [{"total": None, "eta_ms": None}, {"speed_bps": None}, {"speed_bps": 0.0}])
def test_time_left_needs_both_a_total_and_a_speed(unknown):
    task = download(progress=halfway(**unknown))

    assert words.summary(task).eta_seconds is None
    assert words.summary(task).time_remaining is None


def test_nothing_is_moved_by_what_is_stalled_or_has_ended():
    assert words.speed_bps(download(progress=halfway(), stalled=True)) == 0.0
    assert words.speed_bps(download(State.FAILED, progress=halfway())) == 0.0


def test_what_is_no_bytes_is_not_called_so():
    task = make.task(state=State.RUNNING, progress=Progress(percent=30.0, current=3, total=10, unit="pages"))

    body = words.detail(task)

    assert (body.progress, body.current_bytes, body.total_bytes, body.speed_bps) == (30.0, 0, None, 0.0)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, None),
        (0.4, "0s"),
        (45, "45s"),
        (217.2, "3m 37s"),
        (60, "1m 0s"),
        (3723, "1h 2m 3s"),
        (90_000, "25h 0m 0s"),
    ],
)
def test_time_left_reads_as_people_say_it(seconds, text):
    assert words.time_remaining(seconds) == text


@pytest.mark.parametrize(
    ("bps", "text"),
    [
        (0.0, "0 B/s"),
        (999.0, "999 B/s"),
        (999.9, "1.00 KB/s"),
        (2_500_000.0, "2.50 MB/s"),
        (45_000_000.0, "45.00 MB/s"),
        (999_999_000.0, "1.00 GB/s"),
        (1_000_000_000.0, "1.00 GB/s"),
        (5e15, "5000.00 TB/s"),
    ],
)
def test_speeds_read_in_decimal_units(bps, text):
    assert words.speed_text(bps) == text


def test_a_failure_is_told_without_what_is_secret():
    why = Failure(type="http_403", message="https://me:pw@example.com/?token=abc is forbidden")

    task = download(State.FAILED, error=why, payload={"url": "https://me:pw@example.com/a?sig=1"})

    assert "pw" not in (words.detail(task).error_message or "")
    assert words.detail(task).url == "https://[hidden]@example.com/a?sig=[hidden]"
    assert words.detail(download(State.RETRYING, error=why)).error_message is None


def test_what_is_processed_is_all_there_though_its_stage_counts_none():
    task = download(progress=Progress(percent=97.0, stage="merging", metadata={"done_bytes": 995}))

    body = words.detail(task)

    assert (body.status, body.progress, body.current_bytes, body.total_bytes) == ("processing", 97.0, 995, 995)


@pytest.mark.parametrize("nonsense", ["995", -1, 1.5, True, None, [1]])
def test_metadata_that_says_no_number_is_no_count(nonsense):
    task = download(progress=Progress(percent=97.0, metadata={"done_bytes": nonsense}))

    assert words.detail(task).current_bytes == 0


def test_a_completed_download_has_all_its_bytes_though_its_last_stage_counted_none():
    result = {"path": "a/video.mp4", "filename": "video.mp4", "size_bytes": 995, "thumbnail": "https://x/t.jpg"}
    task = download(State.COMPLETED, result=result, progress=Progress(percent=100.0, stage="merging"))

    body = words.detail(task)

    assert (body.current_bytes, body.total_bytes, body.file_size) == (995, 995, 995)
    assert words.status_body(task).thumbnail_url == "https://x/t.jpg"
    assert words.happened(make.event(task, EventType.COMPLETED, FIRST_MS)).details == {
        "file_path": f"files/{task.id}/a/video.mp4",
        "file_size": 995,
    }


@pytest.mark.parametrize(
    ("kind", "stage", "word"),
    [
        (EventType.SUBMITTED, "", "task_created"),
        (EventType.SCHEDULED, "", "task_created"),
        (EventType.STARTED, "", "download_started"),
        (EventType.PROGRESSED, "downloading", "progress_update"),
        (EventType.STAGED, "downloading", "progress_update"),
        (EventType.STAGED, "merging", "post_processing"),
        (EventType.RETRYING, "", "task_retrying"),
    ],
)
def test_events_have_their_names(kind, stage, word):
    happened = words.happened(make.event(download(progress=halfway(stage=stage)), kind, FIRST_MS))

    assert (happened.event, happened.timestamp) == (word, "2025-12-07T10:00:00")


def test_an_update_tells_numbers_even_where_nothing_is_known():
    known = words.happened(make.event(download(progress=halfway()), EventType.PROGRESSED, 1)).details
    unknown = words.happened(make.event(download(progress=Progress()), EventType.PROGRESSED, 1)).details

    assert known == {
        "progress": 45.5,
        "speed_bps": 2_500_000.0,
        "current_bytes": 452_000_000,
        "total_bytes": 995_000_000,
    }
    assert unknown == {
        "progress": 0.0,
        "speed_bps": 0.0,
        "current_bytes": 0,
        "total_bytes": None,
        "indeterminate": True,
    }


def test_every_event_and_state_has_a_word():
    silent = {EventType.DUE, EventType.CANCELLING, EventType.RECOVERED, EventType.DELETED}

    assert words.EVENT.keys() == set(EventType) - silent
    assert words.STATUS.keys() == set(State)
    assert set(words.STATUSES) == {"pending", "downloading", "processing", "completed", "failed", "cancelled"}


def test_a_course_is_averaged_between_its_points():
    steady = [Sample(n * 100, n / 10, n * 1_000, 0.0) for n in range(1_000)]

    points = chart.thinned(steady, 10)

    assert len(points) == 10
    assert [point.speed_bps for point in points[1:]] == [10_000.0] * 9
    assert chart.average(points) == 10_000.0


def test_a_count_that_begins_anew_is_no_negative_speed():
    course = [
        Sample(0, 0, 0, 5.0),
        Sample(1_000, 50, 500, 5.0),
        Sample(2_000, 0, 100, 7.0),
        Sample(3_000, 5, None, 0.0),
    ]

    points = chart.thinned(course, 100)

    assert [point.speed_bps for point in points] == [5.0, 500.0, 7.0, 0.0]
    assert [point.done_bytes for point in points] == [0, 500, 100, 100]


@given(st.lists(st.tuples(st.integers(0, 10**6), st.none() | st.integers(0, 10**9)), max_size=200), st.integers(2, 100))
def test_a_course_never_has_more_points_than_asked_for(recorded, most):
    course = [Sample(at_ms, 0.0, done, 1.0) for at_ms, done in sorted(recorded, key=lambda one: one[0])]

    points = chart.thinned(course, most)

    assert len(points) <= most
    assert bool(points) == bool(course)
    assert all(point.speed_bps >= 0 for point in points)
    assert [point.at_ms for point in points] == sorted(point.at_ms for point in points)
