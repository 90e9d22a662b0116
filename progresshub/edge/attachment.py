"""A task's file as an answer: to be saved, or played and shown where that can do no harm."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from aiohttp import web

SAVED = "sandbox; default-src 'none'"
PLAYED = "default-src 'none'; media-src 'self'"
"""No sandbox: a browser plays a file in a page that it makes for it, which then could not fetch it."""


def attachment(path: Path, *, inline: bool = False, shared: bool = False) -> web.FileResponse:
    """The file under its own name; a Range gets its part. Pages of other origins may use one that is `shared`.

    Only what no browser can run may be `inline`.
    """
    name = quote(path.name, safe="")
    headers = {
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": PLAYED if inline else SAVED,
        "Content-Disposition": f"{'inline' if inline else 'attachment'}; filename*=UTF-8''{name}",
        "Cross-Origin-Resource-Policy": "cross-origin" if shared else "same-origin",
    }
    return web.FileResponse(path, headers=headers)
