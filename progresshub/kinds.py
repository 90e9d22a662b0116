"""How a sort of task is done: a kind checks a payload and turns a task into a launch.

A kind is a translation: `launch` is pure, and only the runner starts processes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

from progresshub.model import Failure, Step, Task
from progresshub.protocol import Report

Recovery = Literal["retry", "fail", "resume"]


class Reader(Protocol):
    """Understands one tool's own progress output. Sans-I/O and never raises, whatever is fed to it."""

    def feed(self, data: bytes) -> list[Report]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Spawn:
    """Run a program. `cwd` None means the task's own directory."""

    argv: tuple[str, ...]
    cwd: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    reader: Callable[[], Reader] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """Call a Python function in a warm process.

    `target` is `module:qualified.name`, called as `target(context, **arguments)`; `pool` names the
    fork server whose modules are loaded already; a `fresh` call gets a process of its own and ends
    with it, others share a worker one after another.
    """

    pool: str
    target: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    fresh: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Await:
    """Start nothing: somebody else does the work and reports over HTTP."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One step of a plan: what must have ended before it, and the launch that the results so far make of it."""

    name: str
    needs: frozenset[str]
    launch: Callable[[Mapping[str, Any]], Launch]
    weight: float = 1.0
    retries: int = 0
    timeout_s: float | None = None
    on_failure: Literal["stop", "skip", "continue"] = "stop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Do several jobs as one, each when what it needs has ended. What is among `steps` and ended is not done again."""

    parts: tuple[Part, ...]
    steps: tuple[Step, ...] = ()
    at_once: int = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Planning:
    """Call a function, and do what `plan` makes of its result."""

    call: Call
    plan: Callable[[Any], Plan]


Launch = Spawn | Call | Await | Plan | Planning


class Lane(NamedTuple):
    """Tasks that have something in common, of which at most `slots` run at once."""

    name: str
    slots: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one attempt ended. `failure` is None exactly when it is "done"."""

    status: Literal["done", "failed", "cancelled"]
    result: Any = None
    failure: Failure | None = None
    retry: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A sort of task.

    `schema` is the JSON Schema of the payload; `check` returns the payload with its defaults filled
    in, or raises InvalidPayload; `title` names a task for people. `recovery` says what becomes of a
    task that a server's death cut off. `timeout_ms` (or what `timeout_of` says of a payload; None is
    no bound) and `max_retries` hold where the task says none; `retention_ms` and `backoff_s` are
    those of all kinds where they are None. Nothing is run for an `external` kind: it is active from
    the start and hears of its progress from outside. What `keeps_steps` goes on, in its next attempt
    and when it is retried by hand, after the steps that have ended. `lane_of` says which tasks share a
    bound; silence of `stalled_after_s` shows a task as stalled (None never does, and for an external
    kind the scheduler's setting holds); no task is taken while the disk has less than `min_free_bytes`
    free; `names_of` says what a task is called beside its id.
    """

    name: str
    summary: str
    schema: Mapping[str, Any]
    check: Callable[[Mapping[str, Any]], dict[str, Any]]
    launch: Callable[[Task], Launch]
    title: Callable[[Mapping[str, Any]], str]
    recovery: Recovery = "retry"
    timeout_ms: int | None = 1_800_000
    max_retries: int = 3
    retention_ms: int | None = None
    backoff_s: float | None = None
    external: bool = False
    keeps_steps: bool = False
    timeout_of: Callable[[Mapping[str, Any]], int | None] | None = None
    lane_of: Callable[[Mapping[str, Any]], Lane | None] | None = None
    names_of: Callable[[Mapping[str, Any]], tuple[str, ...]] | None = None
    stalled_after_s: float | None = None
    min_free_bytes: int = 0
    needs_command_scope: Callable[[Mapping[str, Any]], bool] = lambda payload: False


def kept_steps(kinds: Mapping[str, Kind], task: Task) -> tuple[Step, ...]:
    """The steps after which a task goes on when it begins again."""
    kind = kinds.get(task.spec.kind)
    return task.steps if kind is not None and kind.keeps_steps else ()
