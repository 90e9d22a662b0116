"""A task as one line of the dashboard's list: what is shown of it, and nothing else. Pure functions."""

from __future__ import annotations

import msgspec

from progresshub.edge.redact import redact_text
from progresshub.model import Progress, Step, StepState, Task

MOST_PARTS = 24
"""Steps beyond so many are counted, not drawn."""
SHOWN_CHARS = 200


class Part(msgspec.Struct, omit_defaults=True):
    """A step as it is drawn. `percent` is null while it is not known."""

    name: str
    state: str
    weight: float = 1.0
    percent: float | None = None


class Row(msgspec.Struct, omit_defaults=True):
    """A line of the list. Times are milliseconds since the epoch; what is left out is not known.

    `changed` is the id of the last event, by which a newer row is told from an older one;
    `attempts` is how many there may be. `done` of `steps` have ended.
    """

    id: str
    seq: int
    kind: str
    queue: str
    state: str
    changed: str
    created_ms: int
    attempts: int
    title: str = ""
    attempt: int = 0
    percent: float | None = None
    current: float | None = None
    total: float | None = None
    unit: str = ""
    stage: str = ""
    message: str = ""
    speed_bps: float | None = None
    ends_ms: int | None = None
    at_ms: int | None = None
    due_ms: int | None = None
    started_ms: int | None = None
    finished_ms: int | None = None
    stalled: bool = False
    cancelling: bool = False
    error: str = ""
    steps: int = 0
    done: int = 0
    parts: list[Part] = []


class Gone(msgspec.Struct):
    """A task that has been deleted."""

    id: str


def row(task: Task) -> Row:
    spec, progress = task.spec, task.progress or Progress()
    left_ms = None if task.final else progress.eta_ms
    return Row(
        id=spec.id,
        seq=spec.seq,
        kind=spec.kind,
        queue=spec.queue,
        state=task.state.value,
        changed=str(task.changed),
        created_ms=spec.created_ms,
        attempts=max(spec.max_retries + 1 + task.crashes, task.attempt),
        title=_shown(spec.title),
        attempt=task.attempt,
        percent=None if progress.percent is None else round(progress.percent, 2),
        current=progress.current,
        total=progress.total,
        unit=progress.unit[:SHOWN_CHARS],
        stage=_shown(progress.stage),
        message=_shown(progress.message),
        speed_bps=None if task.final else progress.speed_bps,
        ends_ms=None if left_ms is None else progress.at_ms + left_ms,
        at_ms=progress.at_ms or None,
        due_ms=task.due_ms,
        started_ms=task.started_ms,
        finished_ms=task.finished_ms,
        stalled=task.stalled,
        cancelling=task.cancelling,
        error=_shown(task.error.message) if task.error else "",
        steps=len(task.steps),
        done=sum(step.finished_ms is not None for step in task.steps),
        parts=[_part(step) for step in task.steps] if 1 < len(task.steps) <= MOST_PARTS else [],
    )


def _part(step: Step) -> Part:
    percent = 100.0 if step.state is StepState.COMPLETED else step.percent
    return Part(step.name[:SHOWN_CHARS], step.state.value, step.weight, percent)


def _shown(text: str) -> str:
    return redact_text(text[: 4 * SHOWN_CHARS])[:SHOWN_CHARS]
