"""A client's own name for a request: whoever sends it again is told again what was told then."""

from __future__ import annotations

from hashlib import blake2b

from aiohttp import web

from progresshub.errors import InvalidRequest
from progresshub.submission import IdempotencyKey


async def idempotency_key(request: web.Request) -> IdempotencyKey | None:
    """The request's key with a digest of what it asks; None when it has none."""
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return None
    if not 1 <= len(key) <= 255 or not key.isprintable():
        raise InvalidRequest(reason="an Idempotency-Key has 1 to 255 printable characters")
    asked = f"{request.method} {request.path}\n".encode() + await request.read()
    return IdempotencyKey(key, blake2b(asked, digest_size=16).digest())
