"""The arithmetic of progress: overall percent, speed, time left, what is worth keeping.

Pure functions over values. None means "not known" and stays None: nothing here invents a number.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeVar

from msgspec.structs import replace

from progresshub.model import Progress, Step, StepState, Task
from progresshub.protocol import Report, StepPlan

T = TypeVar("T")

SPEED_MEMORY_S = 3.0
RECORD_EVERY_MS = 5_000
MOST_STEPS = 1_000
LONGEST_LEFT_MS = 365 * 86_400_000
STEP_ENDS = {"done": StepState.COMPLETED, "failed": StepState.FAILED, "skipped": StepState.SKIPPED}


def overall(steps: Iterable[Step]) -> float | None:
    """Weighted mean of the steps' percentages; a step that ended counts as whole, whatever it reported.

    None without steps, or when all weights are zero.
    """
    done = whole = 0.0
    for step in steps:
        whole += step.weight
        done += step.weight * step_percent(step) / 100
    return 100 * done / whole if whole > 0 else None


def step_percent(step: Step) -> float:
    if step.state in (StepState.COMPLETED, StepState.SKIPPED):
        return 100.0
    return step.percent or 0.0


def advance(before: Progress | None, report: Report, now_ms: int, started_ms: int | None) -> Progress:
    """The progress after a report: what it says replaces what was known, the rest stays.

    A new stage starts counting afresh: the counts, speed and message of the one before are gone.
    """
    old = before or Progress()
    if report.stage is not None and report.stage != old.stage:
        old = Progress(percent=old.percent, metadata=old.metadata)
    current = _either(report.current, old.current)
    total = _either(report.total, old.total)
    progress = Progress(
        percent=_percent(report, old, current, total),
        current=current,
        total=total,
        unit=_either(report.unit, old.unit) or "",
        stage=_either(report.stage, old.stage) or "",
        message=_either(report.message, old.message) or "",
        speed_bps=report.speed_bps if report.speed_bps is not None else _speed(before, old, current, now_ms),
        metadata=_either(report.metadata, old.metadata) or {},
        at_ms=now_ms,
    )
    left_ms = _bounded_ms(1000 * report.eta_s) if report.eta_s is not None else _left_ms(progress, started_ms)
    return replace(progress, eta_ms=left_ms)


def apply(task: Task, report: Report, now_ms: int) -> Task:
    """A running task after a report.

    What is reported of a step moves the step, and the task's percentage follows from all of them; it
    does not go back within an attempt.
    """
    steps = task.steps if report.steps is None else _planned(task.steps, report.steps)
    if report.step is not None:
        steps = _stepped(steps, report, now_ms)
        before = task.progress.percent if task.progress else None
        percent = max(filter(None, (overall(steps), before)), default=0.0)
        report = replace(report, percent=percent, current=None, total=None, stage=report.stage or report.step)
    return replace(task, steps=steps, progress=advance(task.progress, report, now_ms, task.started_ms))


def with_total(report: Report, announced: Mapping[str, Any]) -> Report:
    """A report that counts, completed by the `total` and `unit` that were announced."""
    if report.current is None or report.total is not None:
        return report
    return replace(report, total=announced.get("total"), unit=report.unit or announced.get("unit") or None)


def verdict(report: Report) -> Literal["done", "failed"] | None:
    """The last word on the whole task, if the report is that."""
    return report.status if report.step is None and report.status in ("done", "failed") else None


def without_verdict(report: Report) -> Report:
    """What a report says beside its last word on the whole task."""
    if report.step is not None:
        return report
    return replace(report, status=None, result=None, error=None, error_type=None, retry=True)


def interrupted(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """The steps of an attempt that has ended early: none of them runs any more."""
    if not steps:
        return steps
    return tuple(replace(s, state=StepState.WAITING) if s.state is StepState.RUNNING else s for s in steps)


def staged(before: Task, after: Task) -> bool:
    """Whether a report did more than move a number: a new stage, or a step that began or ended."""
    old = before.progress.stage if before.progress else ""
    new = after.progress.stage if after.progress else ""
    return old != new or [step.state for step in before.steps] != [step.state for step in after.steps]


def _planned(steps: tuple[Step, ...], plan: tuple[StepPlan, ...]) -> tuple[Step, ...]:
    """The plan as steps; those that are known already keep what they have done."""
    known = {step.name: step for step in steps}
    return tuple(replace(known.get(p.name, Step(name=p.name)), weight=max(0.0, p.weight)) for p in plan[:MOST_STEPS])


def _stepped(steps: tuple[Step, ...], report: Report, now_ms: int) -> tuple[Step, ...]:
    """The steps after a report on one of them; one that was not planned joins at the end."""
    at = next((n for n, step in enumerate(steps) if step.name == report.step), len(steps))
    if at == MOST_STEPS:
        return steps
    step = steps[at] if at < len(steps) else Step(name=report.step or "")
    state = STEP_ENDS.get(report.status or "", StepState.RUNNING)
    ended = state is not StepState.RUNNING
    begins = state is StepState.RUNNING and step.state is not StepState.RUNNING
    percent = report.percent
    if percent is None and report.current is not None and report.total:
        percent = min(100.0, 100 * report.current / report.total)
    step = replace(
        step,
        state=state,
        percent=100.0 if state is StepState.COMPLETED else _either(percent, None if begins else step.percent),
        message=_either(report.message, step.message) or "",
        started_ms=now_ms if begins or step.started_ms is None else step.started_ms,
        finished_ms=now_ms if ended else None,
        result=report.result if ended else step.result,
        error=report.error or "",
    )
    return (*steps[:at], step, *steps[at + 1 :])


def smoothed(speed: float | None, amount: float, elapsed_s: float) -> float:
    """Exponentially weighted mean speed that is right for uneven intervals.

    weight = 1 - exp(-dt / tau); R. Eckner, "Algorithms for Unevenly Spaced Time Series" (2017).
    """
    latest = amount / elapsed_s
    if speed is None:
        return latest
    return speed + (1 - math.exp(-elapsed_s / SPEED_MEMORY_S)) * (latest - speed)


def worth_recording(last: Progress | None, new: Progress) -> bool:
    """Each change of stage or message, each whole point, and otherwise one in five seconds."""
    if last is None or last.stage != new.stage or last.message != new.message:
        return True
    return points(last) != points(new) or new.at_ms - last.at_ms >= RECORD_EVERY_MS


def points(progress: Progress) -> int | None:
    """Whole percent, rounded down."""
    return None if progress.percent is None else int(progress.percent)


def backoff_ms(failures: int, base_s: float, most_s: float, jitter: float, chance: float) -> int:
    """Delay before the attempt after the n-th failure: base doubled each time, up to `most_s`.

    `chance` in 0..1 moves it by up to ± `jitter` of itself, so that failures do not come back in step.
    """
    delay_s = min(most_s, base_s * 2.0 ** min(failures - 1, 60))
    return int(1000 * delay_s * (1 + jitter * (2 * chance - 1)))


def _either(new: T | None, old: T | None) -> T | None:
    return old if new is None else new


def _percent(report: Report, old: Progress, current: float | None, total: float | None) -> float | None:
    if report.percent is not None:
        return report.percent
    if report.current is not None or report.total is not None:
        return min(100.0, 100 * (current or 0.0) / total) if total else None
    return old.percent


def _speed(before: Progress | None, old: Progress, current: float | None, now_ms: int) -> float | None:
    if before is None or old.current is None or current is None or now_ms <= before.at_ms or current < old.current:
        return old.speed_bps
    return smoothed(old.speed_bps, current - old.current, (now_ms - before.at_ms) / 1000)


def _left_ms(progress: Progress, started_ms: int | None) -> int | None:
    """Time left: by speed where amounts are known, else as if the percentage went on growing evenly."""
    if progress.current is not None:
        if not progress.total or not progress.speed_bps:
            return None
        return _bounded_ms(1000 * max(0.0, progress.total - progress.current) / progress.speed_bps)
    if not progress.percent or progress.percent < 0.01 or started_ms is None:
        return None
    return int((progress.at_ms - started_ms) * (100 - progress.percent) / progress.percent)


def _bounded_ms(left_ms: float) -> int | None:
    """A time left that means something: what is further off than that is not known."""
    return int(left_ms) if left_ms <= LONGEST_LEFT_MS else None
