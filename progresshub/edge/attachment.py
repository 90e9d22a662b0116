"""A task's file as an answer: to be saved, never shown, whatever is in it."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from aiohttp import web

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def attachment(path: Path) -> web.FileResponse:
    """The file under its own name; a Range gets its part."""
    disposition = f"attachment; filename*=UTF-8''{quote(path.name, safe='')}"
    return web.FileResponse(path, headers={**HEADERS, "Content-Disposition": disposition})
