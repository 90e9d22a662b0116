"""Showing one task to others, over the queues dialect: a badge to put on a page, and a link that expires."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

import msgspec
from aiohttp import web

from progresshub.clock import rfc3339
from progresshub.dialects.queues.badge import badge
from progresshub.dialects.queues.tasks import TASK, OfQueue, task_of
from progresshub.edge.house import PRIVATE, TOKENS
from progresshub.edge.proxies import proxies
from progresshub.edge.routes import Call, Route
from progresshub.edge.wire import duration, duration_ms, reply
from progresshub.errors import Forbidden, InvalidField, Unauthorized

LASTS = "24h"
BADGE_HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "X-Content-Type-Options": "nosniff",
}
REFRESH_S = "2"
LOOK_EVERY_S = 1.0
BOUNDARY = "progresshub"
NEXT = f"--{BOUNDARY}\r\nContent-Type: image/svg+xml\r\n\r\n"
LAST = f"--{BOUNDARY}--\r\n"


class Wish(msgspec.Struct):
    """How long the link shall last, as Go writes durations."""

    lasts: str = LASTS


class Shared(msgspec.Struct):
    """`url` opens the task's page, `badge_url` is its badge; as `share` in the query of any address below the task,
    or as a token, the ticket opens that one. All are for this one task, for reading only, until `expires_at`."""

    url: str
    badge_url: str
    share: str
    expires_at: str


class BadgeQuery(OfQueue):
    """`live` makes a picture that changes by itself wherever it stands, on a connection that stays open;
    `share` is a ticket, for whoever has no token."""

    live: str = ""
    share: str = ""


async def share(call: Call[None, Wish]) -> web.Response:
    task = await task_of(call)
    ticket, until_ms = call.request.app[TOKENS].shares.issue(task.id, _lasts_ms(call))
    base = call.config.server.base_path
    body = Shared(
        url=f"{base}/-/shared/{task.id}/{ticket}",
        badge_url=f"{base}/api/v1/tasks/{task.id}/badge.svg?share={ticket}",
        share=ticket,
        expires_at=rfc3339(until_ms),
    )
    return reply(body, 201, PRIVATE)


def _lasts_ms(call: Call[None, Wish]) -> int:
    most_ms = int(1000 * call.config.limits.share_s)
    if not most_ms:
        raise Forbidden(reason="limits.share_s lets no task be shared")
    try:
        lasts_ms = duration_ms(call.body.lasts)
    except ValueError as error:
        raise InvalidField(field="lasts", reason=str(error)) from None
    if not 1000 <= lasts_ms <= most_ms:
        raise InvalidField(field="lasts", reason=f"from 1s to {duration(most_ms)}, which limits.share_s allows")
    return lasts_ms


async def open_link(call: Call[None, None]) -> web.Response:
    """Where a link leads: to the task's page, with the ticket as a cookie that is sent for this task alone.

    A browser whose link has ended is taken there as well, for the page says so better.
    """
    task_id, ticket = call.path("id"), call.path("ticket")
    tokens, base = call.request.app[TOKENS], call.config.server.base_path
    left_s = tokens.shares.left_s(ticket, task_id)
    if not left_s and "text/html" not in call.request.headers.get("Accept", ""):
        raise Unauthorized("This link has ended, or never was one.")
    page = web.Response(
        status=HTTPStatus.SEE_OTHER, headers={"Location": f"{base}/tasks/{task_id}?shared=true", **PRIVATE}
    )
    if left_s:
        page.set_cookie(
            tokens.share_cookie,
            ticket,
            max_age=left_s,
            path=f"{base}/api/v1/tasks/{task_id}",
            secure=proxies(call.config.server.trusted_proxies).secure(call.request),
            httponly=True,
            samesite="Strict",
        )
    return page


async def badge_svg(call: Call[BadgeQuery, None]) -> web.StreamResponse:
    """A bar that a page may show as a picture; opened by itself or in a frame, it keeps itself up to date."""
    task = await task_of(call)
    if call.query.live.lower() == "true" and not task.final and call.request.method == "GET":
        return await _live_badge(call)
    headers = BADGE_HEADERS if task.final else {**BADGE_HEADERS, "Refresh": REFRESH_S}
    return web.Response(text=badge(task), content_type="image/svg+xml", headers=headers)


async def _live_badge(call: Call[BadgeQuery, None]) -> web.StreamResponse:
    """One picture after another in the same answer, which browsers show in place of each other, to the last one.

    Some show a picture only when the head of the next has come, so that is sent along with it.
    """
    kind = f"multipart/x-mixed-replace; boundary={BOUNDARY}"
    response = web.StreamResponse(headers={**BADGE_HEADERS, "Content-Type": kind})
    await response.prepare(call.request)
    await response.write(NEXT.encode())
    shown = ""
    while not call.hub.bus.closed:
        task = await task_of(call)
        if (picture := badge(task)) != shown:
            await response.write(f"{picture}\r\n{LAST if task.final else NEXT}".encode())
            shown = picture
        if task.final:
            break
        await asyncio.sleep(LOOK_EVERY_S)
    await response.write_eof()
    return response


ID = "{id:[A-Za-z0-9-]{1,64}}"

ROUTES = (
    Route(
        method="POST",
        path=f"{TASK}/share",
        handler=share,
        summary="Make a link that shows this task to whoever has it, until it expires",
        scope="submit",
        body=Wish,
        answers={201: Shared},
    ),
    Route(
        method="GET",
        path=f"/-/shared/{ID}/{{ticket}}",
        handler=open_link,
        summary="Open such a link in a browser",
        scope=None,
        answers={303: "to the page of the task"},
    ),
    Route(
        method="GET",
        path=f"{TASK}/badge.svg",
        handler=badge_svg,
        summary="A task's progress as a picture",
        shared=True,
        query=BadgeQuery,
        answers={200: "image/svg+xml"},
    ),
)
