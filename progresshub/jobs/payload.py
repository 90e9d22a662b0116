"""A kind's payload as a type: the JSON Schema and the check come from one struct and can't disagree."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec

from progresshub.errors import InvalidPayload

P = TypeVar("P", bound=msgspec.Struct)

UPLOADED = msgspec.Meta(extra_json_schema={"format": "upload"})
"""Marks what names files that come with the task, so that a form asks for the files themselves."""

_MISSING = re.compile(r"Object missing required field `([^`]*)`(.*)")
_UNKNOWN = re.compile(r"Object contains unknown field `([^`]*)`(.*)")
_PATH = re.compile(r"(.*) - at `(?:key in )?\$\.?([^`]*)`")


def schema_of(payload: type[msgspec.Struct]) -> dict[str, Any]:
    """The JSON Schema of the object itself at the top, and what it refers to below."""
    (reference,), components = msgspec.json.schema_components([payload], ref_template="#/$defs/{name}")
    top: dict[str, Any] = components.pop(reference["$ref"].rpartition("/")[2])
    return {**top, "$defs": components} if components else top


def read(kind: str, payload: type[P], given: Mapping[str, Any]) -> P:
    """`given` as the type, or InvalidPayload in words."""
    try:
        return msgspec.convert(given, payload)
    except msgspec.ValidationError as error:
        raise InvalidPayload(kind=kind, reason=in_words(str(error))) from None


def check_by(kind: str, payload: type[msgspec.Struct]) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """A kind's `check` where the type says all there is to say."""

    def check(given: Mapping[str, Any]) -> dict[str, Any]:
        filled: dict[str, Any] = msgspec.to_builtins(read(kind, payload, given))
        return filled

    return check


def in_words(mismatch: str) -> str:
    """What msgspec says about a value that does not fit, with the field first."""
    where = ""
    if found := _PATH.fullmatch(mismatch):
        mismatch, where = found[1], found[2]
    if found := _MISSING.fullmatch(mismatch):
        return f"{_field(where, found[1])} is missing"
    if found := _UNKNOWN.fullmatch(mismatch):
        return f"there is no field {_field(where, found[1])}"
    said = (mismatch[:1].lower() + mismatch[1:]).replace("`", "")
    return f"{where}: {said}" if where else said


def _field(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name
