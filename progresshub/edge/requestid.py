"""The name that a request goes by in logs: its client's own, or one made for it."""

from __future__ import annotations

import re
from random import getrandbits

from aiohttp import web

REQUEST_ID = "X-Request-ID"
_SANE = re.compile(r"[\w.:-]{1,128}", re.ASCII)


def request_id(request: web.BaseRequest) -> str:
    """What the client says, if it is one short word."""
    asked = request.headers.get(REQUEST_ID)
    return asked if asked and _SANE.fullmatch(asked) else f"{getrandbits(128):032x}"
