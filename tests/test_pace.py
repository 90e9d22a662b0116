"""The arithmetic of progress."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from progresshub import pace
from progresshub.model import Progress, State, Step, StepState, Task
from progresshub.protocol import Report, StepPlan
from tests import make


def running() -> Task:
    return make.task(state=State.RUNNING, started_ms=0)


def test_what_a_report_does_not_say_stays_as_it_was() -> None:
    before = Progress(percent=40.0, stage="fetch", message="half", metadata={"a": 1}, at_ms=5)

    after = pace.advance(before, Report(percent=41.0), now_ms=10, started_ms=None)

    assert (after.percent, after.stage, after.message, after.metadata, after.at_ms) == (
        41.0,
        "fetch",
        "half",
        {"a": 1},
        10,
    )


def test_a_count_without_a_total_is_no_percentage() -> None:
    after = pace.advance(None, Report(current=512.0), now_ms=1, started_ms=0)

    assert after.percent is None
    assert after.eta_ms is None


def test_a_count_of_a_total_is_a_percentage() -> None:
    assert pace.advance(None, Report(current=3, total=8), now_ms=1, started_ms=0).percent == 37.5


def test_a_total_of_zero_is_no_total() -> None:
    assert pace.advance(None, Report(current=0, total=0), now_ms=1, started_ms=0).percent is None


def test_a_new_stage_counts_afresh() -> None:
    before = pace.advance(None, Report(current=50, total=100, stage="video", message="m"), now_ms=1, started_ms=0)

    after = pace.advance(before, Report(stage="audio", current=1), now_ms=2, started_ms=0)

    assert (after.total, after.message, after.percent) == (None, "", None)


def test_speed_and_time_left_follow_from_counts() -> None:
    before = pace.advance(None, Report(current=0, total=1_000), now_ms=0, started_ms=0)

    after = pace.advance(before, Report(current=100), now_ms=1_000, started_ms=0)

    assert after.speed_bps == 100.0
    assert after.eta_ms == 9_000


def test_time_left_follows_from_percent_alone() -> None:
    assert pace.advance(None, Report(percent=25), now_ms=3_000, started_ms=0).eta_ms == 9_000


def test_a_worker_knows_its_speed_and_time_left_best() -> None:
    after = pace.advance(None, Report(current=1, total=2, speed_bps=7, eta_s=1.5), now_ms=1, started_ms=0)

    assert (after.speed_bps, after.eta_ms) == (7, 1_500)


def test_steps_weigh_in_the_whole() -> None:
    steps = [Step(name="a", weight=3, state=StepState.COMPLETED), Step(name="b", weight=1, percent=50)]

    assert pace.overall(steps) == pytest.approx(87.5)
    assert pace.overall([]) is None
    assert pace.overall([Step(name="a", weight=0)]) is None


def test_a_step_moves_the_whole_and_keeps_its_times() -> None:
    task = pace.apply(running(), Report(steps=(StepPlan(name="a"), StepPlan(name="b", weight=3))), now_ms=1)
    task = pace.apply(task, Report(step="a", percent=50), now_ms=2)
    task = pace.apply(task, Report(step="a", status="done", result={"n": 1}), now_ms=3)

    first, second = task.steps
    assert (first.state, first.percent, first.started_ms, first.finished_ms) == (StepState.COMPLETED, 100.0, 2, 3)
    assert first.result == {"n": 1}
    assert second.state is StepState.WAITING
    assert task.progress is not None
    assert (task.progress.percent, task.progress.stage) == (25.0, "a")


def test_a_step_that_begins_again_begins_at_nothing() -> None:
    failed = Step(name="a", state=StepState.FAILED, percent=40.0, started_ms=1, finished_ms=5, error="no")

    (again,) = pace.apply(make.task(state=State.RUNNING, steps=(failed,)), Report(step="a"), 9).steps

    assert (again.state, again.percent, again.started_ms, again.finished_ms, again.error) == (
        StepState.RUNNING,
        None,
        9,
        None,
        "",
    )


def test_of_an_attempt_that_has_ended_no_step_runs() -> None:
    steps = (Step(name="a", state=StepState.COMPLETED), Step(name="b", state=StepState.RUNNING, percent=30.0))

    ended = pace.interrupted(steps)

    assert [(step.state, step.percent) for step in ended] == [(StepState.COMPLETED, None), (StepState.WAITING, 30.0)]


def test_a_step_that_nobody_planned_joins_at_the_end() -> None:
    task = pace.apply(running(), Report(step="surprise", current=1, total=4), now_ms=1)

    assert [(step.name, step.percent) for step in task.steps] == [("surprise", 25.0)]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 100)), max_size=30))
def test_steps_never_take_the_whole_back(reports: list[tuple[str, float]]) -> None:
    task = running()
    seen = [0.0]

    for name, percent in reports:
        task = pace.apply(task, Report(step=name, percent=percent), now_ms=1)
        assert task.progress is not None
        seen.append(task.progress.percent or 0.0)

    assert seen == sorted(seen)


@pytest.mark.parametrize(
    ("last", "new", "worth"),
    [
        (None, Progress(), True),
        (Progress(percent=1.2), Progress(percent=1.9), False),
        (Progress(percent=1.9), Progress(percent=2.0), True),
        (Progress(stage="a"), Progress(stage="b"), True),
        (Progress(message="a"), Progress(message="b"), True),
        (Progress(at_ms=0), Progress(at_ms=4_999), False),
        (Progress(at_ms=0), Progress(at_ms=5_000), True),
        (Progress(percent=None), Progress(percent=0.0), True),
    ],
)
def test_worth_recording(last: Progress | None, new: Progress, worth: bool) -> None:
    assert pace.worth_recording(last, new) is worth


def test_retries_come_later_each_time_up_to_a_bound() -> None:
    delays = [pace.backoff_ms(n, 1.0, 60.0, 0.0, 0.5) for n in (1, 2, 3, 7, 10_000)]

    assert delays == [1_000, 2_000, 4_000, 60_000, 60_000]


@given(st.integers(1, 50), st.floats(0, 1))
def test_jitter_moves_a_delay_by_its_share_at_most(failures: int, chance: float) -> None:
    exact = pace.backoff_ms(failures, 1.0, 60.0, 0.0, chance)

    assert 0.8 * exact - 1 <= pace.backoff_ms(failures, 1.0, 60.0, 0.2, chance) <= 1.2 * exact + 1


def test_a_unit_that_was_not_announced_stays_as_it_was_reported() -> None:
    first = pace.with_total(Report(current=3.0, unit="bytes"), {"total": 10, "unit": ""})
    then = pace.with_total(Report(current=4.0), {"total": 10, "unit": ""})

    after = pace.advance(pace.advance(None, first, 0, None), then, 1, None)

    assert (after.current, after.total, after.unit) == (4.0, 10, "bytes")
