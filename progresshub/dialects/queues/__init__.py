"""The queues dialect: a task queue's API, and the native one, for what no other dialect has."""

from progresshub.dialects.queues import control, extras, progress, tasks, words
from progresshub.edge.routes import Dialect

QUEUES = Dialect(
    name="queues",
    summary="Tasks, their progress, and the queues they wait in",
    routes=(*tasks.ROUTES, *progress.ROUTES, *control.ROUTES, *extras.ROUTES),
    prefixes=("/api/v1/tasks", "/api/v1/progress", "/api/v1/queues", "/api/v1/events", "/health", "/ready", "/live"),
    refuse=words.refuse,
)
