"""The OpenAPI document, made from the routes.

The types that read a request describe it here, and every refusal is shown in the words in which its
dialect would refuse: so the document can't say anything else than the program does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any, NamedTuple

import msgspec

from progresshub.edge.examples import example
from progresshub.edge.routes import FORM, JSON, Dialect, Route
from progresshub.errors import (
    Forbidden,
    HubError,
    Internal,
    InvalidRequest,
    TooLarge,
    TooMany,
    Unauthorized,
    Unavailable,
    UnknownTask,
    UnsupportedMedia,
)

Json = dict[str, Any]

SCHEMAS = "#/components/schemas/"
ABOUT = "One registry of tasks, seen through several APIs: what is submitted through one is visible through all."
TOKENS = (
    "`progresshub token add` makes a token; send it as `Authorization: Bearer`. Each scope includes those before it:"
    " read, submit, command, admin. While there is no token, the server is open for reading and submitting."
)
_PARAMETER = re.compile(r"\{(\w+)(?::((?:[^{}]|\{[^{}]*\})+))?\}")
_MEDIA = re.compile(r"([\w.+*-]+/[\w.+*-]+)(?::\s*(.*))?")


class Refusal(NamedTuple):
    """A way to be refused, and the routes that know it."""

    error: HubError
    concerns: Callable[[Route], bool]


REFUSALS = (
    Refusal(InvalidRequest(reason="what is wrong with it"), lambda route: bool(route.query or route.has_body)),
    Refusal(Unauthorized(), lambda route: route.scope is not None),
    Refusal(Forbidden(reason="why"), lambda route: route.scope is not None),
    Refusal(UnknownTask(task_id="0f8fad5b-d9cb-469f-a165-70867728950e"), lambda route: "{" in route.path),
    Refusal(TooLarge(limit_bytes=16_777_216), lambda route: route.has_body),
    Refusal(UnsupportedMedia(content_type="text/html", expected=JSON), lambda route: route.has_body),
    Refusal(TooMany(reason="of what"), lambda route: route.scope is not None),
    Refusal(Unavailable(reason="why"), lambda route: route.method != "GET"),
)


def document(dialects: Sequence[Dialect], version: str, base_path: str = "") -> Json:
    """OpenAPI 3.1 for all of these."""
    writer = _Writer([route for dialect in dialects for route in dialect.routes])
    paths: dict[str, Json] = {}
    for dialect in dialects:
        for route in dialect.routes:
            operations = paths.setdefault(_PARAMETER.sub(r"{\1}", route.path), {})
            operations.setdefault(route.method.lower(), writer.operation(dialect, route))
    return {
        "openapi": "3.1.0",
        "info": {"title": "progresshub", "version": version, "summary": ABOUT},
        "servers": [{"url": base_path or "/"}],
        "tags": [{"name": dialect.name, "description": dialect.summary} for dialect in dialects],
        "paths": paths,
        "components": {
            "schemas": writer.schemas,
            "responses": writer.refusals,
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "description": TOKENS}},
        },
    }


class _Writer:
    """Puts operations into words, and gathers the schemas and refusals that they refer to."""

    def __init__(self, routes: Sequence[Route]) -> None:
        queries = list(dict.fromkeys(route.query for route in routes if route.query is not None))
        others = list(dict.fromkeys(_described(routes)))
        shapes, self.schemas = msgspec.json.schema_components([*queries, *others], ref_template=f"{SCHEMAS}{{name}}")
        self._shapes: dict[Any, Json] = dict(zip([*queries, *others], shapes, strict=True))
        self._queries = {query: self.resolved(self._shapes[query]) for query in queries}
        for query in set(queries) - set(others):
            self.schemas.pop(_name(self._shapes[query]), None)
        self.refusals: dict[str, Json] = {}
        self._ids: set[str] = set()

    def resolved(self, schema: Json) -> Json:
        found: Json = self.schemas[_name(schema)] if "$ref" in schema else schema
        return found

    def operation(self, dialect: Dialect, route: Route) -> Json:
        operation: Json = {
            "tags": [dialect.name],
            "operationId": self._id(dialect, route),
            "summary": route.summary,
            "parameters": [*_path_parameters(route), *self._query_parameters(route), *_header_parameters(route)],
            "responses": {**self._answers(route), **self._refused(dialect, route)},
            "security": [] if route.scope is None else [{"bearer": [route.scope]}],
        }
        if route.query is not None and (about := self._queries[route.query].get("description")):
            operation["description"] = about
        if route.has_body:
            operation["requestBody"] = self._body(route)
        return operation

    def _id(self, dialect: Dialect, route: Route) -> str:
        """Unique, and named for the handler where that is enough."""
        word = getattr(route.handler, "__name__", "").strip("_") or route.method.lower()
        place = re.sub(r"\W+", "_", _PARAMETER.sub(r"\1", route.path)).strip("_")
        short = f"{dialect.name}_{word}"
        chosen = next(name for name in _distinct(short, f"{short}_{place}") if name not in self._ids)
        self._ids.add(chosen)
        return chosen

    def _query_parameters(self, route: Route) -> Iterator[Json]:
        if route.query is None:
            return
        shape = self._queries[route.query]
        for name, schema in shape["properties"].items():
            yield {"name": name, "in": "query", "required": name in shape["required"], "schema": _given(schema)}

    def _body(self, route: Route) -> Json:
        return {"required": True, "content": {media: self._content(route, media) for media in route.takes}}

    def _content(self, route: Route, media: str) -> Json:
        if media == FORM and route.upload is not None:
            return {"schema": _uploaded(self.resolved(self._shapes[route.upload.form]))}
        if media != JSON or route.body in (None, bytes):
            return {"schema": {"type": "string"} if media.startswith(("text/", "application/x-www-form")) else {}}
        schema = self._shapes[route.body]
        return {"schema": schema, "example": example(schema, self.resolved)}

    def _answers(self, route: Route) -> dict[str, Json]:
        return {str(status): self._answer(status, said) for status, said in route.answers.items()}

    def _answer(self, status: int, said: Any) -> Json:
        phrase = HTTPStatus(status).phrase
        if said is None:
            return {"description": phrase}
        if isinstance(said, tuple):
            return {
                "description": phrase,
                "content": {JSON: {"schema": {"anyOf": [self._shapes[one] for one in said]}}},
            }
        if not isinstance(said, str):
            return {"description": phrase, "content": {JSON: {"schema": self._shapes[said]}}}
        match = _MEDIA.fullmatch(said)
        if match is None:
            return {"description": said}
        return {"description": match[2] or phrase, "content": {match[1]: {"schema": {"type": "string"}}}}

    def _refused(self, dialect: Dialect, route: Route) -> dict[str, Json]:
        named: dict[str, Json] = {}
        for refusal in REFUSALS:
            if refusal.concerns(route):
                status, reference = self._refusal(dialect, refusal.error)
                named.setdefault(str(status), reference)
        _, named["default"] = self._refusal(dialect, Internal())
        return {status: reference for status, reference in named.items() if status not in map(str, route.answers)}

    def _refusal(self, dialect: Dialect, error: HubError) -> tuple[int, Json]:
        """The status, and a reference to the response, of that refusal in that dialect."""
        said = dialect.refuse(error)
        name = f"{dialect.name}_{error.code}"
        if name not in self.refusals:
            body = json.loads(bytes(said.body or b"null"))  # type: ignore[arg-type]
            content = {JSON: {"schema": self._error_schema(dialect, body), "example": body}}
            self.refusals[name] = {"description": HTTPStatus(said.status).phrase, "content": content}
        return said.status, {"$ref": f"#/components/responses/{name}"}

    def _error_schema(self, dialect: Dialect, body: Json) -> Json:
        """The shape of a dialect's refusals; one that has several gets a schema for each."""
        shape = _shape_of(body)
        names = _distinct(f"{dialect.name.capitalize()}Error")
        name = next(name for name in names if self.schemas.get(name, shape) == shape)
        self.schemas[name] = shape
        return {"$ref": f"{SCHEMAS}{name}"}


def _described(routes: Iterable[Route]) -> Iterator[Any]:
    for route in routes:
        if route.body not in (None, bytes):
            yield route.body
        if route.upload is not None:
            yield route.upload.form
        for said in route.answers.values():
            if isinstance(said, tuple):
                yield from said
            elif said is not None and not isinstance(said, str):
                yield said


def _name(schema: Json) -> str:
    return str(schema["$ref"]).removeprefix(SCHEMAS)


def _distinct(*names: str) -> Iterator[str]:
    """These names, and then the last of them with a number."""
    yield from names
    number = 2
    while True:
        yield f"{names[-1]}{number}"
        number += 1


def _path_parameters(route: Route) -> Iterator[Json]:
    for name, pattern in _PARAMETER.findall(route.path):
        schema = {"type": "string", "pattern": f"^(?:{pattern})$"} if pattern else {"type": "string"}
        yield {"name": name, "in": "path", "required": True, "schema": schema}


def _header_parameters(route: Route) -> Iterator[Json]:
    if any(isinstance(said, str) and said.startswith("text/event-stream") for said in route.answers.values()):
        about = "The last event that was seen; the stream goes on after it."
        yield {
            "name": "Last-Event-ID",
            "in": "header",
            "required": False,
            "schema": {"type": "string"},
            "description": about,
        }


def _given(schema: Json) -> Json:
    """The schema of a parameter that is there: a query has no null, it leaves out."""
    kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
    rest = {key: value for key, value in schema.items() if key != "anyOf" and not (key == "default" and value is None)}
    return {**kinds[0], **rest} if len(kinds) == 1 else schema


def _uploaded(schema: Json) -> Json:
    """The same for a form, in which bytes come as they are."""
    binary = {"type": "string", "format": "binary"}
    properties = {
        name: binary if part.get("contentEncoding") == "base64" else _given(part)
        for name, part in schema["properties"].items()
    }
    return {**schema, "properties": properties}


def _shape_of(body: Mapping[str, Any]) -> Json:
    properties = {name: {"type": _TYPES.get(type(value), "string")} for name, value in body.items()}
    return {"type": "object", "properties": properties, "required": list(body)}


_TYPES = {bool: "boolean", int: "integer", float: "number", list: "array", dict: "object"}
