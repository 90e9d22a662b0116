"""A task's file as an answer: to be saved, or played and shown where that can do no harm."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from aiohttp import web

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'; media-src 'self'",
}


def attachment(path: Path, *, inline: bool = False, shared: bool = False) -> web.FileResponse:
    """The file under its own name; a Range gets its part. Pages of other origins may use one that is `shared`."""
    name = quote(path.name, safe="")
    headers = {
        **HEADERS,
        "Content-Disposition": f"{'inline' if inline else 'attachment'}; filename*=UTF-8''{name}",
        "Cross-Origin-Resource-Policy": "cross-origin" if shared else "same-origin",
    }
    return web.FileResponse(path, headers=headers)
