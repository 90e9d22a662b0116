"""The downloads dialect: the API of a yt-dlp download service, whose clients find here what they know."""

from aiohttp import web

from progresshub.dialects.downloads import about, progress, sites, stream, tasks
from progresshub.dialects.downloads.refusals import refuse
from progresshub.edge.routes import Dialect
from progresshub.registry.traffic import Traffic
from progresshub.scheduling.inquiries import Inquiries

DOWNLOADS = Dialect(
    name="downloads",
    summary="Downloads, their files, and how fast they come",
    routes=(*tasks.ROUTES, *sites.ROUTES, *progress.ROUTES, *stream.ROUTES, *about.ROUTES),
    prefixes=(
        "/api/download",
        "/api/cancel",
        "/api/task",
        "/api/tasks",
        "/api/info",
        "/api/subtitles",
        "/api/thumbnail",
        "/api/queue",
        "/api/features",
        "/api/progress/tasks",
        "/api/progress/stats",
        "/api/progress/bandwidth",
        "/api/progress/stream",
    ),
    refuse=refuse,
)


def furnish(app: web.Application, inquiries: Inquiries, traffic: Traffic) -> None:
    """Give the application what the dialect's handlers need."""
    app[sites.INQUIRIES] = inquiries
    app[progress.TRAFFIC] = traffic
