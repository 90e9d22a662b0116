"""The executions dialect: pipelines and single tasks with their overall progress, over REST and WebSocket."""

from progresshub.dialects.executions import runs, watching, words
from progresshub.edge.routes import Dialect

EXECUTIONS = Dialect(
    name="executions",
    summary="Pipelines of steps, or single ones, with their overall progress",
    routes=(*runs.ROUTES, *watching.ROUTES),
    prefixes=("/api/v1/executions",),
    refuse=words.refuse,
)
