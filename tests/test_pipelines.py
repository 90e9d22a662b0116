"""Pipelines as plans: references and what they stand for, who waits for whom, shares of the whole."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from progresshub import pipelines
from progresshub.model import Step, StepState
from progresshub.pipelines import Broken, Unresolved, needs, resolve, settled, weights
from progresshub.settings import PipelineStep

INPUTS = {"url": "http://x/a", "size": 7, "list": [{"name": "n"}], "none": None}
RESULTS = {"fetch": {"path": "a.mp4", "parts": [1, 2]}, "quiet": None}


def step(name: str, **given: Any) -> PipelineStep:
    return PipelineStep(name=name, type="demo", **given)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("plain", "plain"),
        ("${inputs.url}", "http://x/a"),
        ("${inputs.size}", 7),
        ("size ${inputs.size}!", "size 7!"),
        ("${steps.fetch.result}", RESULTS["fetch"]),
        ("${steps.fetch.result.path}", "a.mp4"),
        ("${steps.fetch.result.parts.1}", 2),
        ("${inputs.list.0.name}", "n"),
        ("have ${steps.fetch.result.parts}", "have [1,2]"),
        ("${steps.quiet.result.path}", None),
        ("$${inputs.url}", "${inputs.url}"),
        ("5 $", "5 $"),
    ],
)
def test_a_text_is_filled_with_what_its_references_stand_for(text: str, value: Any) -> None:
    assert resolve({"a": [text]}, INPUTS, RESULTS) == {"a": [value]}


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(alphabet="ab}{ "), st.lists))
def test_what_refers_to_nothing_stays_as_it_is(value: Any) -> None:
    assert resolve(value, {}, {}) == value


@pytest.mark.parametrize("text", ["${inputs.nothing}", "${steps.fetch.result.nothing}", "${inputs.list.1}"])
def test_a_reference_that_leads_to_nothing_is_told(text: str) -> None:
    with pytest.raises(Unresolved, match=text[2:-1].replace(".", r"\.")):
        resolve(text, INPUTS, RESULTS)


@pytest.mark.parametrize("text", ["${}", "${url}", "${steps.a}", "${steps.a.error}", "${env.HOME}"])
def test_a_reference_that_means_nothing_is_told_with_its_step(text: str) -> None:
    with pytest.raises(Broken, match=r"steps\.a\.payload: "):
        pipelines.check([step("a", payload={"x": text})])


def test_without_needs_steps_go_in_order() -> None:
    assert needs([step("a"), step("b"), step("c", needs=()), step("d")]) == {
        "a": frozenset(),
        "b": {"a"},
        "c": frozenset(),
        "d": {"c"},
    }


def test_a_step_waits_for_those_it_refers_to() -> None:
    steps = [step("a"), step("b", needs=()), step("c", needs=("b",), payload={"x": "${steps.a.result}"})]

    assert needs(steps)["c"] == {"a", "b"}


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        ([], "1 to 200"),
        ([step("a"), step("a")], "steps.a: there are two"),
        ([step("a", needs=("x",))], "steps.a: it needs x, which is not a step"),
        ([step("a", payload={"x": "${steps.x.result}"})], "steps.a: it needs x"),
        ([step("a", needs=("a",))], "in a circle: a -> a"),
        ([step("a", needs=("c",)), step("b"), step("c")], "in a circle: "),
    ],
)
def test_a_plan_that_can_not_be_done_says_why(steps: list[PipelineStep], told: str) -> None:
    with pytest.raises(Broken) as broken:
        pipelines.check(steps)

    assert told in str(broken.value)


def test_a_circle_is_shown_in_the_order_of_needs() -> None:
    with pytest.raises(Broken, match=r"a -> c -> b -> a|c -> b -> a -> c|b -> a -> c -> b"):
        pipelines.check([step("a", needs=("c",)), step("b", needs=("a",)), step("c", needs=("b",))])


def test_declared_weights_hold_until_durations_are_known() -> None:
    steps = [step("a", weight=1), step("b", weight=3)]

    assert weights(steps, {}) == {"a": 1, "b": 3}
    assert weights(steps, {"a": 500.0, "b": 100.0}) == {"a": 500.0, "b": 100.0}


def test_a_step_that_was_never_timed_is_brought_to_scale() -> None:
    steps = [step("a", weight=1), step("new", weight=3)]

    assert weights(steps, {"a": 500.0}) == {"a": 500.0, "new": 1500.0}


@pytest.mark.parametrize(
    ("state", "on_failure", "is_settled"),
    [
        (StepState.COMPLETED, "stop", True),
        (StepState.SKIPPED, "skip", True),
        (StepState.FAILED, "stop", False),
        (StepState.FAILED, "continue", True),
        (StepState.WAITING, "stop", False),
    ],
)
def test_what_has_ended_and_stopped_nothing_is_settled(state: StepState, on_failure: str, is_settled: bool) -> None:
    assert settled(Step(name="a", state=state), on_failure) is is_settled
