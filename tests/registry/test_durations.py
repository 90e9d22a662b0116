"""How long steps usually take: learned from those that ran, kept as a small setting."""

from __future__ import annotations

from progresshub.model import Step, StepState, Task
from progresshub.registry.durations import MOST_STEPS, Durations
from tests import make

BEGUN_MS = 10_000


def ended(*steps: Step, name: str = "p") -> Task:
    return make.task(kind="pipeline", payload={"name": name}, started_ms=BEGUN_MS, steps=steps)


def step(name: str, took_ms: int, *, at_ms: int = BEGUN_MS, state: StepState = StepState.COMPLETED) -> Step:
    return Step(name=name, state=state, started_ms=at_ms, finished_ms=at_ms + took_ms)


def test_the_first_duration_is_the_usual_one_and_later_ones_move_it() -> None:
    durations = Durations()

    durations.learn(ended(step("a", 100)))
    assert durations.of("p") == {"a": 100.0}
    durations.learn(ended(step("a", 200)))

    assert durations.of("p") == {"a": 130.0}


def test_only_what_was_done_in_this_attempt_counts() -> None:
    durations = Durations()

    kept = durations.learn(ended(step("then", 5, at_ms=BEGUN_MS - 1), step("failed", 5, state=StepState.FAILED)))

    assert kept is None
    assert durations.of("p") == {}


def test_other_tasks_and_pipelines_without_a_name_teach_nothing() -> None:
    durations = Durations()

    assert durations.learn(make.task(payload={"name": "p"}, started_ms=0, steps=(step("a", 1),))) is None
    assert durations.learn(make.task(kind="pipeline", started_ms=0, steps=(step("a", 1),))) is None


def test_what_is_learned_is_known_to_the_next_server() -> None:
    first, second = Durations(), Durations()
    kept = first.learn(ended(step("a", 100), step("b", 50)))
    assert kept is not None

    second.restore({kept[0]: kept[1], "queue:x": "{}"})

    assert second.of("p") == {"a": 100.0, "b": 50.0}


def test_steps_that_come_under_ever_new_names_are_forgotten_again() -> None:
    durations = Durations()

    for n in range(MOST_STEPS + 5):
        durations.learn(ended(step(f"s{n}", 1)))

    assert len(durations.of("p")) == MOST_STEPS
    assert "s0" not in durations.of("p")
