"""The kind `demo`: counts slowly. Something to look at that needs nothing installed.

The server's half is `kind`; `run` is what a worker does.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Annotated, Any

from msgspec import Meta, Struct

from progresshub.jobs.functions import Context
from progresshub.jobs.payload import check_by, schema_of
from progresshub.kinds import Call, Kind
from progresshub.model import Task


class Demo(Struct, frozen=True, forbid_unknown_fields=True):
    message: Annotated[str, Meta(max_length=2_000, description="Shown as the task's title")] = ""
    count: Annotated[int, Meta(ge=0, le=10_000, description="Steps; 0 ends at once")] = 5
    delay_ms: Annotated[int, Meta(ge=0, le=600_000, description="How long each step takes")] = 500


def kind() -> Kind:
    return Kind(
        name="demo",
        summary="Counts to a number, reporting each step",
        schema=schema_of(Demo),
        check=check_by("demo", Demo),
        launch=_launch,
        title=_title,
    )


def run(ctx: Context, message: str, count: int, delay_ms: int) -> dict[str, Any]:
    """Take `count` steps of `delay_ms`."""
    ctx.progress(0, stage="init", message="Getting ready")
    for done in range(1, count + 1):
        time.sleep(delay_ms / 1000)
        ctx.progress(int(done / count * 100), stage="processing", message=f"Step {done} of {count}")
    return {"message": message, "count": count}


def _launch(task: Task) -> Call:
    return Call(pool="python", target="progresshub.jobs.demo:run", arguments=task.spec.payload)


def _title(payload: Mapping[str, Any]) -> str:
    return payload["message"] or "Demo"
