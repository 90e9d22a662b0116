"""Which progress is recorded: what tells the story, and never more than there may be."""

from __future__ import annotations

import pytest

from progresshub.model import EventType, State, Task
from progresshub.registry.recorder import Recorder, Verdict
from tests import make

TASK = make.task(state=State.RUNNING)


def at(percent: float | None, at_ms: int = 0, **more: str) -> Task:
    return make.replaced(TASK, progress=make.progress(percent, at_ms=at_ms, **more))


@pytest.mark.parametrize(
    ("then", "verdict"),
    [
        (at(10.9, 4_999), Verdict.LEAVE),
        (at(11.0), Verdict.KEEP),
        (at(10.0, 5_000), Verdict.KEEP),
        (at(10.0, message="m"), Verdict.KEEP),
        (at(10.0, stage="s"), Verdict.KEEP),
        (at(None), Verdict.KEEP),
        (TASK, Verdict.LEAVE),
    ],
)
def test_each_point_each_word_and_one_in_five_seconds_is_kept(then: Task, verdict: Verdict) -> None:
    recorder = Recorder(100)
    recorder.judge(at(10.0), EventType.PROGRESSED)

    assert recorder.judge(then, EventType.PROGRESSED) is verdict


def test_a_change_of_stage_is_always_kept() -> None:
    recorder = Recorder(100)

    assert [recorder.judge(at(1.0), EventType.STAGED) for _ in range(3)] == [Verdict.KEEP] * 3


@pytest.mark.parametrize("most", [1, 2, 3, 10, 101])
def test_there_is_never_more_than_there_may_be_however_what_is_there_is_split(most: int) -> None:
    recorder = Recorder(most)
    stored = waiting = 0

    for n in range(1_000):
        verdict = recorder.judge(at(1.0, message=str(n)), EventType.PROGRESSED)
        if verdict is Verdict.THIN_AND_KEEP:
            stored, waiting = -(-stored // 2), -(-waiting // 2)
        waiting += 1
        if n % 7 == 0:
            stored, waiting = stored + waiting, 0
        assert stored + waiting <= max(most, 3)


def test_a_task_that_is_forgotten_begins_anew() -> None:
    recorder = Recorder(100)
    recorder.judge(at(10.0), EventType.PROGRESSED)

    recorder.forget(TASK)

    assert recorder.judge(at(10.0), EventType.PROGRESSED) is Verdict.KEEP
