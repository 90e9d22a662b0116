"""The queues dialect: a task queue's API, and the native one, for what no other dialect has."""

from progresshub.dialects.queues import control, extras, kinds, progress, sharing, tasks, watching, words
from progresshub.edge.routes import Dialect

QUEUES = Dialect(
    name="queues",
    summary="Tasks, their progress, and the queues they wait in",
    routes=(
        *tasks.ROUTES,
        *progress.ROUTES,
        *watching.ROUTES,
        *control.ROUTES,
        *extras.ROUTES,
        *kinds.ROUTES,
        *sharing.ROUTES,
    ),
    prefixes=(
        *(f"/api/v1/{word}" for word in ("tasks", "progress", "queues", "events", "types")),
        *("/health", "/ready", "/live"),
    ),
    refuse=words.refuse,
)
