"""Generations themselves: ask for one and wait for it, or be told where to follow it."""

from __future__ import annotations

import msgspec
from aiohttp import web

from progresshub.dialects.generations import words
from progresshub.dialects.generations.words import Begun, Generated, NotGenerated
from progresshub.edge.ending import ended
from progresshub.edge.idempotency import idempotency
from progresshub.edge.routes import Call, Route
from progresshub.edge.wire import reply
from progresshub.jobs.video import KIND, Video
from progresshub.registry.submission import Submission

ASYNC = "respond-async"


async def generate(call: Call[None, Video]) -> web.Response:
    """The answer comes when the video is there; a client that leaves before finds it all the same."""
    submission = Submission(kind=KIND, payload=msgspec.to_builtins(call.body), origin=words.ORIGIN)
    (accepted,) = await call.hub.submit([submission], await idempotency(call.request))
    base_path = call.config.server.base_path
    if prefers_async(call.request):
        task = await call.hub.get(accepted.task_id)
        return reply(words.begun(task, base_path), 202, {"Preference-Applied": ASYNC})
    task = await ended(call.hub, accepted.task_id)
    if words.made(task) is None:
        raise NotGenerated(reason=words.reason(task))
    return reply(words.generated(task, base_path))


def prefers_async(request: web.Request) -> bool:
    """Whether a `Prefer` header says so (RFC 7240); its parameters are of no interest."""
    preferences = ",".join(request.headers.getall("Prefer", ())).split(",")
    return any(preference.partition(";")[0].strip().lower() == ASYNC for preference in preferences)


ROUTES = (
    Route(
        method="POST",
        path="/api/generate",
        handler=generate,
        summary="Make a narrated video; the answer waits for it unless Prefer says respond-async",
        scope="submit",
        body=Video,
        answers={200: Generated, 202: Begun},
    ),
)
