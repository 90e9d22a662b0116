"""The kind `external`: somebody else does the work and tells of it over HTTP.

It has no time limit and outlives the server: silence only marks it as stalled.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from msgspec import Meta, Struct

from progresshub.jobs.payload import check_by, schema_of
from progresshub.kinds import Await, Kind
from progresshub.model import Task


class External(Struct, frozen=True, forbid_unknown_fields=True):
    title: Annotated[str, Meta(max_length=500, description="Names the task for people")] = ""
    total: Annotated[float, Meta(gt=0, description="How much there is to do, if that is known")] | None = None
    unit: Annotated[str, Meta(max_length=50, description="What is counted, such as bytes or pages")] = ""


def kind() -> Kind:
    return Kind(
        name="external",
        summary="Progress of work that is done elsewhere and reported over HTTP",
        schema=schema_of(External),
        check=check_by("external", External),
        launch=_launch,
        title=_title,
        recovery="resume",
        timeout_ms=None,
        max_retries=0,
        external=True,
    )


def _launch(task: Task) -> Await:
    return Await()


def _title(payload: Mapping[str, Any]) -> str:
    return payload["title"] or "External task"
