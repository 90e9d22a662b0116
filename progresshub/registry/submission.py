"""What a client asks for, and how it becomes a task's spec.

Pure: whether the task may be taken is the hub's business.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import orjson

from progresshub.errors import DuplicateTask, StorageFull, UnknownKind
from progresshub.kinds import Kind
from progresshub.model import Spec, Step
from progresshub.protocol import NAME_CHARS, clean_text


class Submission(msgspec.Struct, frozen=True, kw_only=True):
    """What a client asks for. Where it says nothing (None), the kind's defaults hold.

    `due_ms` is when it may start; for `unique_ms` from now nobody else may submit the same; a
    `timeout_ms` of 0 is no bound; `steps` are those of the task that it retries; the directory `staged`
    becomes the task's own.
    """

    kind: str
    payload: dict[str, Any]
    origin: str
    queue: str = "default"
    priority: int = 0
    title: str = ""
    max_retries: int | None = None
    timeout_ms: int | None = None
    due_ms: int | None = None
    unique_ms: int | None = None
    metadata: dict[str, Any] = {}
    retry_of: str = ""
    steps: tuple[Step, ...] = ()
    staged: Path | None = None


class IdempotencyKey(msgspec.Struct, frozen=True):
    """A client's name for one request, and a digest of what it asked."""

    key: str
    digest: bytes


class Prepared(NamedTuple):
    """A submission that may be taken; `due_ms` is set where it has to wait for its time."""

    spec: Spec
    asked: Submission
    due_ms: int | None


def prepare(
    asked: Submission, kinds: Mapping[str, Kind], named: tuple[str, int], now_ms: int, room_bytes: int
) -> Prepared:
    """Check what can be checked of one submission alone; its task is to be `named` by that id and number."""
    kind = kinds.get(asked.kind)
    if kind is None:
        raise UnknownKind(kind=asked.kind)
    if room_bytes < kind.min_free_bytes:
        raise StorageFull
    spec = spec_of(asked, kind, kind.check(asked.payload), named, now_ms)
    later = asked.due_ms is not None and asked.due_ms > now_ms
    return Prepared(spec, asked, asked.due_ms if later else None)


def refuse_doubles(prepared: Iterable[Prepared], holder: Callable[[str], str | None]) -> None:
    """DuplicateTask where one asks for the same as an earlier one, or as the task that `holder` knows by its key."""
    held: dict[str, str] = {}
    for spec, _, _ in prepared:
        if not spec.unique_key:
            continue
        if (known := held.get(spec.unique_key) or holder(spec.unique_key)) is not None:
            raise DuplicateTask(task_id=known)
        held[spec.unique_key] = spec.id


def spec_of(asked: Submission, kind: Kind, payload: dict[str, Any], named: tuple[str, int], now_ms: int) -> Spec:
    """The spec of a new task; `payload` is the asked one as the kind checked it."""
    timeout_ms = asked.timeout_ms
    if timeout_ms is None:
        timeout_ms = kind.timeout_ms if kind.timeout_of is None else kind.timeout_of(payload)
    unique = asked.unique_ms is not None and asked.unique_ms > 0
    return Spec(
        id=named[0],
        seq=named[1],
        kind=kind.name,
        payload=payload,
        origin=asked.origin,
        created_ms=now_ms,
        queue=asked.queue,
        priority=asked.priority,
        title=clean_text(asked.title or kind.title(payload), NAME_CHARS) or "",
        max_retries=kind.max_retries if asked.max_retries is None else asked.max_retries,
        timeout_ms=timeout_ms or None,
        unique_key=unique_key(asked.queue, kind.name, payload) if unique else "",
        unique_until_ms=now_ms + (asked.unique_ms or 0) if unique else 0,
        metadata=asked.metadata,
        retry_of=asked.retry_of,
        names=() if kind.names_of is None else kind.names_of(payload),
    )


def again(spec: Spec, steps: tuple[Step, ...]) -> Submission:
    """The same once more, by hand."""
    return Submission(
        kind=spec.kind,
        payload=spec.payload,
        origin=spec.origin,
        queue=spec.queue,
        priority=spec.priority,
        title=spec.title,
        max_retries=spec.max_retries,
        timeout_ms=spec.timeout_ms or 0,
        metadata=spec.metadata,
        retry_of=spec.id,
        steps=steps,
    )


def unique_key(queue: str, kind: str, payload: Mapping[str, Any]) -> str:
    """The same for the same work in the same queue, however its payload was written down."""
    canonical = orjson.dumps([queue, kind, payload], option=orjson.OPT_SORT_KEYS)
    return blake2b(canonical, digest_size=16).hexdigest()
