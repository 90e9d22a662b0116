"""Generations themselves: ask for one and wait for it, or be told where to follow it."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web
from msgspec import UNSET, UnsetType

from progresshub.dialects.generations import words
from progresshub.dialects.generations.words import Begun, Generated, NotGenerated
from progresshub.edge.ending import ended
from progresshub.edge.idempotency import idempotency
from progresshub.edge.routes import FORM, JSON, Call, Route, Upload
from progresshub.edge.uploads import receive
from progresshub.edge.wire import reply
from progresshub.jobs.video import KIND, Video
from progresshub.registry.submission import Submission

ASYNC = "respond-async"
PICTURES = "images"


def _video_form() -> type[msgspec.Struct]:
    """The same as a form, in which the pictures are files and go by their names."""
    texts = [field for field in msgspec.structs.fields(Video) if field.name != PICTURES]
    fields: list[Any] = [(field.name, field.type, field.default) for field in texts]
    about = {"__doc__": "What the video is to be; every file is a picture, which the Markdown shows by its name."}
    return msgspec.defstruct(
        "VideoForm", [*fields, (PICTURES, bytes | UnsetType, UNSET)], namespace=about, kw_only=True
    )


VideoForm = _video_form()
WITH_PICTURES = Upload(form=VideoForm)


async def generate(call: Call[None, Video | None]) -> web.Response:
    """The answer comes when the video is there; a client that leaves before finds it all the same."""
    task_id = await (_submit(call, call.body) if call.body is not None else _submit_form(call))
    base_path = call.config.server.base_path
    if prefers_async(call.request):
        task = await call.hub.get(task_id)
        return reply(words.begun(task, base_path), 202, {"Preference-Applied": ASYNC})
    task = await ended(call.hub, task_id)
    if words.made(task) is None:
        raise NotGenerated(reason=words.reason(task).rstrip("."))
    return reply(words.generated(task, base_path))


async def _submit(call: Call[None, Any], asked: Video) -> str:
    submission = Submission(kind=KIND, payload=msgspec.to_builtins(asked), origin=words.ORIGIN)
    (accepted,) = await call.hub.submit([submission], await idempotency(call.request))
    return accepted.task_id


async def _submit_form(call: Call[None, Any]) -> str:
    async with receive(call, WITH_PICTURES) as form:
        texts = msgspec.structs.asdict(form.read(VideoForm))
        submission = Submission(
            kind=KIND,
            payload={**texts, PICTURES: [file.name for file in form.files]},
            origin=words.ORIGIN,
            staged=form.folder if form.files else None,
        )
        (accepted,) = await call.hub.submit([submission], await idempotency(call.request, form.digest))
    return accepted.task_id


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
        upload=WITH_PICTURES,
        takes=(JSON, FORM),
        answers={200: Generated, 202: Begun},
    ),
)
