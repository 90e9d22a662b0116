"""Plans: which steps are done, when, and what becomes of the whole, whatever the single steps make of it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from progresshub import pace
from progresshub.errors import InvalidPayload
from progresshub.kinds import Call, Launch, Outcome, Part, Plan, Planning
from progresshub.model import Failure, Step, StepState, Task
from progresshub.processes import plan
from progresshub.processes.job import Job
from progresshub.processes.runner import Runner
from progresshub.protocol import Report
from tests import make
from tests.processes.conftest import MakeRunner, MakeWork
from tests.processes.kit import Work, lives, say, sh
from tests.wait import PATIENCE_S, until

BROKEN = Failure(type="exit", message="exited with 1")


def named(name: str, seen: Mapping[str, Any]) -> Call:
    """A launch that is known by its step's name."""
    return Call(pool="bench", target=name, arguments=dict(seen))


class Bench:
    """Does single launches as a test tells it to, and follows what the plan says of itself."""

    def __init__(self, root: Path, **ends: list[Outcome]) -> None:
        self.work = Work(root)
        self.begun: list[str] = []
        self.at_once = 0
        self.most_at_once = 0
        self.seen: dict[str, dict[str, Any]] = {}
        self.holds: set[str] = set()
        self.task: Task = make.task()
        self.percents: list[float] = []
        self._ends = {name: list(outcomes) for name, outcomes in ends.items()}

    async def run(self, launch: Launch, job: Job) -> Outcome:
        assert isinstance(launch, Call)
        name = launch.target
        self.begun.append(name)
        self.seen[name] = dict(launch.arguments)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            job.on_report(Report(percent=50.0, message=f"halfway through {name}"))
            if name in self.holds:
                await until(lambda: job.stop.requested)
            await asyncio.sleep(0)
            if job.stop.requested:
                return Outcome(status="cancelled")
            ends = self._ends.get(name) or [Outcome(status="done", result={"of": name})]
            return ends.pop(0) if len(ends) > 1 else ends[0]
        finally:
            self.at_once -= 1

    def hear(self, report: Report) -> None:
        self.task = pace.apply(self.task, report, len(self.percents))
        if self.task.progress is not None and self.task.progress.percent is not None:
            self.percents.append(self.task.progress.percent)

    async def outcome(self, parts: list[Part], **given: Any) -> Outcome:
        wanted = Plan(parts=tuple(parts), **{"steps": self.task.steps, **given})
        job = Job(**{name: getattr(self.work.job, name) for name in Job.__slots__} | {"on_report": self.hear})
        async with asyncio.timeout(PATIENCE_S):
            return await plan.perform(self.run, wanted, job)

    @property
    def states(self) -> dict[str, str]:
        return {step.name: step.state.value for step in self.task.steps}


def part(name: str, *needs: str, **given: Any) -> Part:
    return Part(name=name, needs=frozenset(needs), **{"launch": lambda results: named(name, results), **given})


def done(result: Any = None) -> Outcome:
    return Outcome(status="done", result=result)


def failed(*, retry: bool = True) -> Outcome:
    return Outcome(status="failed", failure=BROKEN, retry=retry)


@pytest.fixture(autouse=True)
def _without_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "BACKOFF_S", 0.0)


async def test_steps_are_done_in_the_order_of_their_needs(tmp_path: Path) -> None:
    bench = Bench(tmp_path)

    outcome = await bench.outcome([part("c", "b"), part("b", "a"), part("a")])

    assert bench.begun == ["a", "b", "c"]
    assert outcome == done({"c": {"of": "c"}, "b": {"of": "b"}, "a": {"of": "a"}})
    assert bench.seen["c"]["a"] == {"of": "a"}
    assert set(bench.states.values()) == {"completed"}


async def test_steps_that_need_nothing_of_each_other_run_side_by_side_up_to_the_bound(tmp_path: Path) -> None:
    bench = Bench(tmp_path)

    await bench.outcome([part(name) for name in "abcde"], at_once=3)

    assert bench.most_at_once == 3
    assert sorted(bench.begun) == list("abcde")


async def test_a_step_that_fails_for_good_ends_the_whole_and_what_runs_beside_it(tmp_path: Path) -> None:
    bench = Bench(tmp_path, b=[failed()])
    bench.holds = {"a"}

    outcome = await bench.outcome([part("a"), part("b"), part("c", "b")])

    assert outcome.failure is not None
    assert (outcome.status, outcome.failure.type) == ("failed", "exit")
    assert outcome.failure.message == "step b failed: exited with 1"
    assert outcome.failure.details == {"step": "b"}
    assert bench.begun == ["a", "b"]
    assert bench.states == {"a": "running", "b": "failed", "c": "waiting"}


async def test_a_step_is_tried_again_as_often_as_it_says(tmp_path: Path) -> None:
    bench = Bench(tmp_path, a=[failed(), failed(), done(1)])

    outcome = await bench.outcome([part("a", retries=2)])

    assert outcome == done({"a": 1})
    assert bench.begun == ["a", "a", "a"]


async def test_a_failure_that_can_not_be_helped_is_not_tried_again(tmp_path: Path) -> None:
    bench = Bench(tmp_path, a=[failed(retry=False), done()])

    outcome = await bench.outcome([part("a", retries=5)])

    assert (outcome.status, outcome.retry, bench.begun) == ("failed", False, ["a"])


async def test_what_needs_a_skipped_step_is_skipped_and_the_rest_is_done(tmp_path: Path) -> None:
    bench = Bench(tmp_path, a=[failed()])

    outcome = await bench.outcome([part("a", on_failure="skip"), part("b", "a"), part("c", "b"), part("d")])

    assert outcome == done({"a": None, "b": None, "c": None, "d": {"of": "d"}})
    assert bench.states == {"a": "skipped", "b": "skipped", "c": "skipped", "d": "completed"}
    assert [step.error for step in bench.task.steps][:2] == ["exited with 1", "it needs a, which was skipped"]


async def test_all_goes_on_after_a_step_whose_failure_does_not_matter(tmp_path: Path) -> None:
    bench = Bench(tmp_path, a=[failed()])

    outcome = await bench.outcome([part("a", on_failure="continue"), part("b", "a")])

    assert outcome == done({"a": None, "b": {"of": "b"}})
    assert bench.states == {"a": "failed", "b": "completed"}
    assert bench.seen["b"] == {"a": None}


async def test_what_was_done_before_is_not_done_again(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    before = (
        Step(name="a", state=StepState.COMPLETED, percent=100.0, result={"of": "then"}),
        Step(name="b", state=StepState.FAILED, percent=40.0, error="no"),
        Step(name="gone", state=StepState.COMPLETED),
    )
    bench.task = make.replaced(bench.task, steps=before)

    outcome = await bench.outcome([part("a"), part("b", "a")])

    assert bench.begun == ["b"]
    assert bench.seen["b"] == {"a": {"of": "then"}}
    assert outcome == done({"a": {"of": "then"}, "b": {"of": "b"}})
    assert bench.percents[0] == 50.0


async def test_a_cancel_reaches_every_step_and_begins_no_other(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.holds = {"a", "b"}
    running = asyncio.create_task(bench.outcome([part("a"), part("b"), part("c", "a")]))
    await until(lambda: len(bench.begun) == 2)

    bench.work.stop.request()

    assert (await running).status == "cancelled"
    assert bench.begun == ["a", "b"]


async def test_a_cancel_ends_the_rest_between_two_tries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "BACKOFF_S", 3600.0)
    monkeypatch.setattr(plan, "BACKOFF_MOST_S", 3600.0)
    bench = Bench(tmp_path, a=[failed()])
    running = asyncio.create_task(bench.outcome([part("a", retries=3)]))
    await until(lambda: bench.task.steps and "retry 1 of 3" in bench.task.steps[0].message)

    bench.work.stop.request()

    assert (await running).status == "cancelled"


async def test_the_whole_has_a_time_limit(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.work.timeout_s = 0.01
    bench.holds = {"b"}

    outcome = await bench.outcome([part("a"), part("b", "a"), part("c", "b")])

    assert outcome.failure == Failure(type="timeout", message="it took longer than 0.01 s")
    assert bench.begun == ["a", "b"]


async def test_a_step_whose_launch_is_refused_fails(tmp_path: Path) -> None:
    def refuse(results: Mapping[str, Any]) -> Launch:
        raise InvalidPayload(kind="demo", reason="no")

    outcome = await Bench(tmp_path).outcome([part("a", launch=refuse, retries=3)])

    assert outcome.failure is not None
    assert (outcome.failure.type, outcome.retry) == ("invalid_payload", False)


async def test_the_whole_is_at_the_first_step_that_runs(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.holds = {"a"}
    running = asyncio.create_task(bench.outcome([part("a"), part("b")]))
    await until(lambda: bench.states.get("b") == "completed")

    assert bench.task.progress is not None
    assert bench.task.progress.stage == "a"
    bench.work.stop.request()
    await running


async def test_a_large_result_is_left_out(tmp_path: Path) -> None:
    bench = Bench(tmp_path, a=[done("x" * plan.STEP_RESULT_BYTES)])

    outcome = await bench.outcome([part("a")])

    assert list(outcome.result["a"]) == ["left_out"]


async def test_a_function_can_say_what_is_to_be_done(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    asked = Call(pool="python", target="somebodys:plan")

    async def run(launch: Launch, job: Job) -> Outcome:
        return done(["a", "b"]) if launch == asked else await bench.run(launch, job)

    planning = Planning(call=asked, plan=lambda names: Plan(parts=tuple(part(name) for name in names)))

    outcome = await plan.perform_planned(run, planning, bench.work.job)

    assert outcome == done({"a": {"of": "a"}, "b": {"of": "b"}})


async def test_its_directory_is_there_for_all_and_goes_when_it_is_empty(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    there = []

    def look(results: Mapping[str, Any]) -> Launch:
        there.append(bench.work.directory.is_dir())
        return named("a", results)

    await bench.outcome([part("a", launch=look)])

    assert there == [True]
    assert not bench.work.directory.exists()


@st.composite
def plans(draw: st.DrawFn) -> tuple[list[Part], dict[str, list[Outcome]]]:
    """Any plan of a few steps, in any order of writing, and how each try of each of them ends."""
    names = draw(st.permutations("abcdefg"[: draw(st.integers(1, 7))]))
    order = sorted(names)
    parts, ends = [], {}
    for name in names:
        earlier = order[: order.index(name)]
        needs = draw(st.sets(st.sampled_from(earlier))) if earlier else set()
        on_failure = draw(st.sampled_from(["stop", "skip", "continue"]))
        weight = draw(st.sampled_from([0.0, 1.0, 5.0]))
        parts.append(part(name, *needs, retries=draw(st.integers(0, 2)), on_failure=on_failure, weight=weight))
        ends[name] = draw(st.lists(st.sampled_from([done(name), failed()]), min_size=1, max_size=3))
    return parts, ends


def expected(parts: list[Part], ends: dict[str, list[Outcome]]) -> dict[str, str]:
    """How each step ends if nothing stops the whole: the small model."""
    states: dict[str, str] = {}
    for one in sorted(parts, key=lambda part: part.name):
        tries = [*ends[one.name], *[ends[one.name][-1]] * 3][: one.retries + 1]
        if any(states[need] == "skipped" for need in one.needs):
            states[one.name] = "skipped"
        elif any(outcome.status == "done" for outcome in tries):
            states[one.name] = "completed"
        else:
            states[one.name] = "skipped" if one.on_failure == "skip" else "failed"
    return states


@settings(deadline=None, max_examples=150)
@given(plans(), st.integers(1, 4))
async def test_any_plan_ends_as_the_model_says(made: tuple[list[Part], dict[str, list[Outcome]]], at_once: int) -> None:
    parts, ends = made
    by_name = {one.name: one for one in parts}
    model = expected(parts, ends)
    with TemporaryDirectory() as root:
        bench = Bench(Path(root), **ends)

        outcome = await bench.outcome(parts, at_once=at_once)

    stops = {name for name, state in model.items() if state == "failed" and by_name[name].on_failure == "stop"}
    assert outcome.status == ("failed" if stops else "done")
    ended = {name: state for name, state in bench.states.items() if state not in ("running", "waiting")}
    assert ended.items() <= model.items()
    if not stops:
        assert ended == model
    assert bench.percents == sorted(bench.percents)
    assert bench.most_at_once <= at_once
    tries = Counter(bench.begun)
    assert all(tries[name] <= by_name[name].retries + 1 for name in tries)
    for name in bench.begun:
        assert all(bench.states[need] in ("completed", "failed") for need in by_name[name].needs)


@settings(deadline=None, max_examples=75)
@given(plans())
async def test_a_plan_that_goes_on_does_each_step_to_its_end_once(
    made: tuple[list[Part], dict[str, list[Outcome]]],
) -> None:
    parts, ends = made
    with TemporaryDirectory() as root:
        first = Bench(Path(root), **ends)
        await first.outcome(parts)
        done_then = {name for name, state in first.states.items() if state in ("completed", "skipped")}
        second = Bench(Path(root))
        second.task = make.replaced(second.task, steps=pace.interrupted(first.task.steps))

        outcome = await second.outcome(parts)

    assert outcome.status == "done"
    assert not done_then & set(second.begun)
    assert len(second.begun) == len(set(second.begun))
    assert set(second.states.values()) <= {"completed", "skipped", "failed"}


async def test_what_a_step_leaves_behind_ends_with_it_although_another_runs(
    make_runner: MakeRunner, work: MakeWork
) -> None:
    runner = await make_runner(drain_s=0.2)
    job = work()
    left = say("left", '{"pid":$$}')
    leaves = sh(f"setsid sh -c '{left}; exec sleep 1000' >/dev/null 2>&1 &")
    waits = sh("while [ ! -e go ]; do sleep 0.01; done")
    parts = tuple(part(name, launch=lambda _, does=does: does) for name, does in (("a", leaves), ("b", waits)))
    running = asyncio.create_task(job.run(runner, Plan(parts=parts)))

    pid = ((await job.says("left")).metadata or {})["pid"]
    await until(lambda: any(report.step == "a" and report.status == "done" for report in job.heard))

    assert not lives(pid)
    assert not running.done()
    (job.directory / "go").touch()
    assert (await running).status == "done"


async def test_the_processes_of_a_step_know_which_it_is(runner: Runner, work: MakeWork) -> None:
    job = work()
    tell = sh('echo "$PROGRESSHUB_TASK_ID $PROGRESSHUB_STEP"')
    inner = Plan(parts=(part("in", launch=lambda _: tell),))

    await job.run(runner, Plan(parts=(part("out", launch=lambda _: inner),)))

    assert job.log.decode() == f"{job.task_id} out/in\n"
