"""Examples of request bodies, made from their schemas: what must be there, in words that work when they are tried."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Json = dict[str, Any]

WORDS: Json = {
    "type": "demo",
    "payload": {"message": "hello", "count": 5},
    "queue": "default",
    "paused": True,
    "percent": 42,
    "message": "nearly half",
    "url": "https://example.com/video",
    "topic": "The history of tea",
    "target_id": "demo",
    "inputs": {"message": "hello"},
    "token": "ph_...",
}
"""Values for fields of these names, where the schema does not say which there may be."""

DEEPEST = 6


def example(schema: Json, resolved: Callable[[Json], Json], depth: int = 0) -> Any:
    """A value that fits the schema; of an object that needs nothing, the fields we have words for."""
    schema = resolved(schema)
    if "enum" in schema:
        return schema["enum"][0]
    if "anyOf" in schema:
        return example(schema["anyOf"][0], resolved, depth + 1)
    kind = schema.get("type")
    if kind == "array":
        return [example(schema["items"], resolved, depth + 1)] if "items" in schema and depth < DEEPEST else []
    if kind == "object":
        return _object(schema, resolved, depth)
    return {"string": "text", "integer": schema.get("minimum", 1), "number": schema.get("minimum", 1.0)}.get(
        str(kind), True if kind == "boolean" else None
    )


def _object(schema: Json, resolved: Callable[[Json], Json], depth: int) -> Json:
    properties: dict[str, Json] = schema.get("properties", {})
    wanted = schema.get("required") or [name for name in properties if name in WORDS]
    return {name: _field(name, properties[name], resolved, depth) for name in wanted}


def _field(name: str, schema: Json, resolved: Callable[[Json], Json], depth: int) -> Any:
    return WORDS[name] if name in WORDS and "enum" not in resolved(schema) else example(schema, resolved, depth + 1)
