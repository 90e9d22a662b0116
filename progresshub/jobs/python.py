"""Kinds made of registered Python functions, as the worker that imported them describes them.

The server never imports users' modules: all it knows of a function is its description.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping
from typing import Any

import fastjsonschema

from progresshub.errors import InvalidPayload
from progresshub.jobs.pipeline import KIND as PIPELINE
from progresshub.jobs.pipeline import Function
from progresshub.kinds import Call, Kind
from progresshub.model import Task


def kinds_from(descriptions: list[dict[str, Any]]) -> list[Kind]:
    """One kind for each description of a task that `functions.describe` gives."""
    return [_kind(description) for description in descriptions if not description["makes_steps"]]


def pipelines_from(descriptions: list[dict[str, Any]]) -> dict[str, Function]:
    """The functions among them that make the steps of a pipeline."""
    return {
        description["name"]: Function(target=_target(description), check=_checker(PIPELINE, description["schema"]))
        for description in descriptions
        if description["makes_steps"]
    }


def _kind(description: Mapping[str, Any]) -> Kind:
    name: str = description["name"]
    target = _target(description)

    def launch(task: Task) -> Call:
        return Call(pool="python", target=target, arguments=task.spec.payload)

    return Kind(
        name=name,
        summary=description["summary"],
        schema=description["schema"],
        check=_checker(name, description["schema"]),
        launch=launch,
        title=_titler(name, description.get("title", "")),
        recovery=description["recovery"],
        timeout_ms=description["timeout_ms"],
        max_retries=description["max_retries"],
    )


def _target(description: Mapping[str, Any]) -> str:
    return f"{description['module']}:{description['qualname']}"


def _checker(kind: str, schema: Mapping[str, Any]) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    validate = fastjsonschema.compile(dict(schema), use_default=False)

    def check(given: Mapping[str, Any]) -> dict[str, Any]:
        try:
            validate(dict(given))
        except fastjsonschema.JsonSchemaValueException as error:
            raise InvalidPayload(kind=kind, reason=_in_words(error)) from None
        return dict(given)

    return check


def _in_words(error: fastjsonschema.JsonSchemaValueException) -> str:
    """What does not fit, with the field first; the validator itself calls the payload `data`."""
    where = ".".join(error.path[1:])
    if error.rule == "required":
        missing = [name for name in error.rule_definition if name not in error.value]
        return f"{'.'.join([*error.path[1:], missing[0]])} is missing"
    if error.rule == "additionalProperties" and isinstance(error.value, dict):
        unknown = sorted(error.value.keys() - error.definition.get("properties", {}).keys())
        return f"there is no field {'.'.join([*error.path[1:], unknown[0]])}"
    said = error.message.removeprefix(error.name or "").strip()
    return f"{where}: {said}" if where else said


def _titler(name: str, template: str) -> Callable[[Mapping[str, Any]], str]:
    def title(payload: Mapping[str, Any]) -> str:
        return _Filled(payload).vformat(template, (), {}) if template else name

    return title


class _Filled(string.Formatter):
    """Puts arguments in by their names alone: a template reaches nothing within them."""

    def __init__(self, payload: Mapping[str, Any]) -> None:
        self._payload = payload

    def get_field(self, field_name: str, args: Any, kwargs: Any) -> tuple[Any, str]:
        return str(self._payload.get(field_name, "")), field_name

    def format_field(self, value: Any, format_spec: str) -> str:
        return str(value)
