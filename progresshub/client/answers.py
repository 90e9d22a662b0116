"""What the server answers, as values. A field that is not known yet is left out, so newer servers are understood.

Percentages are 0 to 100, and None is "not known", never zero; times are RFC 3339.
"""

from __future__ import annotations

from typing import Any

import msgspec

from progresshub.model import FINAL, State

_STATES = {"active": State.RUNNING, "retry": State.RETRYING}


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a task is; `speed_bps` is in bytes, or units of `unit`, a second."""

    percentage: int = 0
    stage: str = ""
    message: str = ""
    timestamp_ms: int = 0
    indeterminate: bool = False
    current: float | None = None
    total: float | None = None
    unit: str = ""
    speed_bps: float | None = None
    eta_seconds: float | None = None
    metadata: dict[str, Any] = {}

    @property
    def percent(self) -> float | None:
        return None if self.indeterminate else float(self.percentage)


class Step(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    state: str
    weight: float = 1.0
    percentage: int = 0
    message: str = ""
    started_at: str | None = None
    finished_at: str | None = None
    result: Any = None
    error: str = ""


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """`type` is a stable word."""

    type: str
    message: str
    details: dict[str, Any] = {}


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """A task as it was when the server told of it. `state` is the server's word; `status` tells failed and cancelled
    apart. `deleted` is set on the last sight of one that was deleted while it was watched."""

    id: str
    queue: str
    kind: str = msgspec.field(name="type")
    state: str
    last_err: str = ""
    max_retry: int = 0
    retried: int = 0
    next_process_at: str | None = None
    title: str = ""
    priority: int = 0
    timeout: str = ""
    attempt: int = 0
    crashes: int = 0
    cancelling: bool = False
    stalled: bool = False
    origin: str = ""
    retry_of: str = ""
    created_at: str = ""
    started_at: str | None = None
    finished_at: str | None = None
    progress: Progress | None = None
    stream_id: str = ""
    steps: tuple[Step, ...] = ()
    payload: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    result: Any = None
    error: Failure | None = None
    deleted: bool = False

    @property
    def status(self) -> State:
        if self.state == "archived":
            return State.CANCELLED if self.progress and self.progress.stage == State.CANCELLED else State.FAILED
        return _STATES.get(self.state) or State(self.state)

    @property
    def final(self) -> bool:
        return self.status in FINAL

    @property
    def percent(self) -> float | None:
        return None if self.progress is None else self.progress.percent


class Queue(msgspec.Struct, frozen=True, kw_only=True):
    """How many of its tasks are in each state, and how it is set; `slots` 0 is no bound of its own."""

    name: str = msgspec.field(name="queue")
    pending: int = 0
    active: int = 0
    scheduled: int = 0
    retry: int = 0
    archived: int = 0
    completed: int = 0
    paused: bool = False
    slots: int = 0
    weight: int = 1


class FileInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A file of a task; `url` is a path on the server."""

    name: str
    size: int
    modified_at: str = ""
    url: str


class Downloader(msgspec.Struct, frozen=True, kw_only=True):
    version: str
    age_days: int | None = None


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """`uptime` is in seconds."""

    status: str
    version: str = ""
    uptime: float = 0.0
    services: dict[str, str] = {}
    downloader: Downloader | None = None


class Page(msgspec.Struct, frozen=True):
    tasks: tuple[Task, ...]
    next_cursor: str = ""


class FileList(msgspec.Struct, frozen=True):
    files: tuple[FileInfo, ...]


class Created(msgspec.Struct, frozen=True):
    task_id: str


class Happening(msgspec.Struct, frozen=True):
    """One event of the stream of all events."""

    type: str
    task: Task


class Session(msgspec.Struct, frozen=True):
    scopes: tuple[str, ...]


class Said(msgspec.Struct, frozen=True):
    message: str = ""
