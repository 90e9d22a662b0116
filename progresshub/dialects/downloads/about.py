"""What the downloads dialect says of the server: how busy it is, and what it can do."""

from __future__ import annotations

import shutil

import msgspec
from aiohttp import web

from progresshub.clock import naive
from progresshub.dialects.downloads import words
from progresshub.dialects.downloads.figures import figures
from progresshub.edge.routes import Call, Route
from progresshub.edge.wire import reply


class QueueStats(msgspec.Struct):
    active_downloads: int
    pending_tasks: int
    max_concurrent: int
    available_slots: int
    timestamp: str


class Features(msgspec.Struct, kw_only=True):
    """What may be used here. What changes files needs ffmpeg."""

    progress_tracking: bool
    websocket: bool
    mp3_metadata: bool
    thumbnail_embed: bool
    video_info: bool = True
    download: bool = True
    batch_download: bool = True
    status: bool = True
    file_download: bool = True
    cancel: bool = True
    delete: bool = True
    list_tasks: bool = True
    subtitles: bool = True
    thumbnail: bool = True
    queue_stats: bool = True
    custom_format: bool = True
    quality_selection: bool = True
    metrics: bool = True


async def queue_stats(call: Call[None, None]) -> web.Response:
    found = figures(call.hub)
    active = found[words.DOWNLOADING].tasks + found[words.PROCESSING].tasks
    slots = call.config.scheduler.slots
    body = QueueStats(
        active_downloads=active,
        pending_tasks=found[words.PENDING].tasks,
        max_concurrent=slots,
        available_slots=max(0, slots - active),
        timestamp=naive(call.hub.clock.now_ms()),
    )
    return reply(body)


async def features(call: Call[None, None]) -> web.Response:
    tracking = call.config.features.progress_tracking
    ffmpeg = shutil.which("ffmpeg") is not None
    body = Features(progress_tracking=tracking, websocket=tracking, mp3_metadata=ffmpeg, thumbnail_embed=ffmpeg)
    return reply(body)


ROUTES = (
    Route(
        method="GET",
        path="/api/queue/stats",
        handler=queue_stats,
        summary="How busy the server is",
        answers={200: QueueStats},
    ),
    Route(
        method="GET",
        path="/api/features",
        handler=features,
        summary="What may be used here",
        answers={200: Features},
    ),
)
