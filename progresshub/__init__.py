"""Live progress for everything that takes a while, in the browser, the terminal and any script.

Importing the package costs next to nothing: children and users' own scripts do it for `report`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from progresshub.jobs.functions import Context, TaskFailed, pipeline, task

__all__ = ["Context", "TaskFailed", "__version__", "pipeline", "task"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name in ("Context", "TaskFailed", "pipeline", "task"):
        from progresshub.jobs import functions  # noqa: PLC0415  (scripts that only report need none of it)

        return getattr(functions, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
