"""A client's own name for a request, by which a repetition is known as one."""

from __future__ import annotations

from hashlib import blake2b

from aiohttp import web

from progresshub.errors import InvalidRequest
from progresshub.registry.submission import IdempotencyKey

HEADER = "Idempotency-Key"
MOST_CHARS = 255


async def idempotency(request: web.Request, form_digest: bytes | None = None) -> IdempotencyKey | None:
    """What the header says, with a digest of what is asked (of a form its own); None without it."""
    key = request.headers.get(HEADER)
    if key is None:
        return None
    if not 1 <= len(key) <= MOST_CHARS or not key.isprintable():
        raise InvalidRequest(reason=f"an {HEADER} has 1 to {MOST_CHARS} printable characters")
    asked = f"{request.method} {request.path}\n".encode() + (form_digest or await request.read())
    return IdempotencyKey(key, blake2b(asked, digest_size=16).digest())
