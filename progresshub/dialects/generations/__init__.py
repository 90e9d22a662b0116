"""The generations dialect: a topic becomes a narrated video, and its progress a stream of short messages."""

from aiohttp import web

from progresshub.dialects.generations import audience, fetching, making, watching, words
from progresshub.edge.routes import Dialect
from progresshub.registry.hub import Hub
from progresshub.settings import Generations

GENERATIONS = Dialect(
    name="generations",
    summary="Narrated videos out of a topic, and their progress",
    routes=(*making.ROUTES, *watching.ROUTES, *fetching.ROUTES),
    prefixes=("/api/generate", "/api/progress", "/api/video", "/api/content", "/api/script"),
    refuse=words.refuse,
)


def furnish(app: web.Application, hub: Hub, settings: Generations) -> None:
    """Give the application what the dialect's handlers need."""
    app[watching.AUDIENCE] = audience.Audience(hub, settings.heartbeat_s)
