"""What a topic is called in addresses: the id of what is made of it, and the other forms that clients use.

Pure text. The id is published, so the same topic has the same one for ever.
"""

from __future__ import annotations

ID_CHARS = 29
ALIAS_CHARS = 30
RESERVED = frozenset({"", ".", "..", "tasks", "stats", "bandwidth", "stream"})
"""What can't stand alone in an address, or has another meaning there."""
SUFFIX = "_video"

_REMOVED = dict.fromkeys(map(ord, ":\"'?!"))
_REPLACED = _REMOVED | dict.fromkeys(map(ord, " /\\"), "_")
_IN_BROWSERS = _REMOVED | {ord(" "): "_", ord("/"): None, ord("\\"): None}


def generation_id(topic: str) -> str:
    """The id that is published."""
    shown = topic.translate(_REPLACED)[:ID_CHARS]
    return shown + SUFFIX if shown in RESERVED else shown


def names(topic: str) -> tuple[str, ...]:
    """The published id first, then what else leads to the same: the long form, and what browsers make of a topic."""
    forms = (generation_id(topic), topic.translate(_REPLACED)[:ALIAS_CHARS], _in_a_browser(topic))
    return tuple(dict.fromkeys(form for form in forms if form))


def _in_a_browser(topic: str) -> str:
    """Its strings count UTF-16 units, and of a character cut in two an address keeps a replacement."""
    units = topic.encode("utf-16-le", "surrogatepass")[: 2 * ALIAS_CHARS]
    return units.decode("utf-16-le", "replace").translate(_IN_BROWSERS)
