"""Secrets that clients put into payloads are for the task alone: whoever looks at it sees that there was one."""

from __future__ import annotations

import re
from typing import Any

HIDDEN = "[hidden]"
_SECRET = re.compile(
    r"pass(word|wd|phrase)|pass$|secret|token|api_?key|access_?key|private_?key|credential|cookie|authorization|signature|^sig$",
    re.IGNORECASE,
)
_USER = re.compile(r"(?<=://)[^/@\s]+@")
_PARAMETER = re.compile(r"([?&;#]([^=&;#\s]+)=)([^&;#\s]+)")


def redact(value: Any) -> Any:
    """The same JSON value with what looks secret hidden, by the names of its fields and in its URLs."""
    if isinstance(value, dict):
        return {name: HIDDEN if _SECRET.search(name) and inner else redact(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [redact(inner) for inner in value]
    return redact_text(value) if isinstance(value, str) else value


def redact_text(text: str) -> str:
    """User names, passwords and signatures taken out of the URLs in a text."""
    if "://" not in text:
        return text
    return _PARAMETER.sub(_hide_parameter, _USER.sub(f"{HIDDEN}@", text))


def _hide_parameter(match: re.Match[str]) -> str:
    return f"{match[1]}{HIDDEN}" if _SECRET.search(match[2]) else match[0]
