"""The kind `pipeline`: several tasks done as one, step by step, each of any other kind.

Its steps are written in the settings, made by a registered function, or given with the task. All that
can be known is checked when it is submitted, the rest when a step begins.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace

from progresshub import pipelines
from progresshub.errors import HubError, InvalidConfig, InvalidPayload, Unavailable, UnknownPipeline
from progresshub.jobs.payload import in_words, read, schema_of
from progresshub.kinds import Call, Kind, Launch, Part, Plan, Planning
from progresshub.model import Task
from progresshub.pipelines import Broken, Unresolved
from progresshub.settings import Pipeline, PipelineStep

KIND = "pipeline"
MOST_DEEP = 8
AT_ONCE = 4
TITLE_CHARS = 80

Usual = Callable[[str], Mapping[str, float]]


class Named(Struct, frozen=True, forbid_unknown_fields=True):
    """A pipeline of the settings, or a registered function that makes one."""

    name: Annotated[str, Meta(max_length=200, description="Which pipeline")]
    inputs: Annotated[dict[str, Any], Meta(description="What ${inputs.x} stands for")] = {}


class Inline(Struct, frozen=True, forbid_unknown_fields=True):
    """A pipeline given with the task."""

    steps: Annotated[list[PipelineStep], Meta(min_length=1, max_length=pipelines.MOST_STEPS, description="The steps")]
    inputs: Annotated[dict[str, Any], Meta(description="What ${inputs.x} stands for")] = {}
    at_once: Annotated[int, Meta(ge=1, le=64, description="Steps that run side by side")] = AT_ONCE


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A registered function that makes a pipeline's steps from its inputs."""

    target: str
    check: Callable[[Mapping[str, Any]], dict[str, Any]]


def kind(
    named: Mapping[str, Pipeline], functions: Mapping[str, Function], kinds: Mapping[str, Kind], usual_ms: Usual
) -> Kind:
    """`kinds` are looked up when they are needed; `usual_ms` tells how long a pipeline's steps usually take."""
    made = _Pipelines(named, functions, kinds, usual_ms)
    return Kind(
        name=KIND,
        summary="Does several tasks as one: " + (", ".join(sorted({*named, *functions})) or "none is named"),
        schema={"oneOf": [*(_offer(name, one) for name, one in sorted(named.items())), *_schemas(functions)]},
        check=made.check,
        launch=made.launch,
        title=_title,
        timeout_ms=None,
        max_retries=0,
        keeps_steps=True,
        needs_command_scope=made.needs_command_scope,
    )


def _offer(name: str, pipeline: Pipeline) -> dict[str, Any]:
    """The schema of a pipeline of the settings: what it is given beside its name."""
    try:
        known = pipelines.inputs_of(pipeline.steps) | pipeline.inputs.keys()
    except Broken:
        known = set(pipeline.inputs)  # `check_settings` says what is wrong with it
    inputs = {key: {"default": pipeline.inputs[key]} if key in pipeline.inputs else {} for key in sorted(known)}
    missing = [key for key in inputs if key not in pipeline.inputs]
    given = {"type": "object", "properties": inputs, "required": missing, "additionalProperties": False}
    return {
        "title": name,
        "description": pipeline.summary or " · ".join(step.name for step in pipeline.steps),
        "type": "object",
        "properties": {"name": {"const": name}, "inputs": given},
        "required": ["name", "inputs"] if missing else ["name"],
        "additionalProperties": False,
    }


def _schemas(functions: Mapping[str, Function]) -> list[dict[str, Any]]:
    """The schemas of what is not named in the settings."""
    return [*([schema_of(Named)] if functions else []), schema_of(Inline)]


class _Recipe(NamedTuple):
    steps: Sequence[PipelineStep]
    inputs: Mapping[str, Any]
    usual_ms: Mapping[str, float]
    at_once: int


def check_settings(named: Mapping[str, Pipeline], functions: Mapping[str, Function], kinds: Mapping[str, Kind]) -> None:
    """InvalidConfig when a pipeline of the settings could never be done."""
    checker = _Pipelines(named, functions, kinds, lambda name: {})
    for name, pipeline in named.items():
        try:
            checker.check_steps(pipeline.steps, None)
        except Broken as broken:
            raise InvalidConfig(where=f"pipelines.{name}", reason=str(broken)) from None
        except Unavailable:
            continue  # what this machine lacks is told to those who ask for it, and keeps nobody else waiting


class _Pipelines:
    def __init__(
        self,
        named: Mapping[str, Pipeline],
        functions: Mapping[str, Function],
        kinds: Mapping[str, Kind],
        usual_ms: Usual,
    ) -> None:
        self._named = named
        self._functions = functions
        self._kinds = kinds
        self._usual_ms = usual_ms

    def check(self, payload: Mapping[str, Any], depth: int = 0) -> dict[str, Any]:
        """The payload with its defaults; InvalidPayload says which step can't be done, and why."""
        asked: Named | Inline = _read(payload)
        if depth > MOST_DEEP:
            raise _refusal(f"pipelines are nested more than {MOST_DEEP} deep; does one contain itself?")
        try:
            if isinstance(asked, Inline):
                self.check_steps(asked.steps, asked.inputs, depth)
            else:
                asked = replace(asked, inputs=self._check_inputs(asked, depth))
        except Broken as broken:
            raise _refusal(str(broken)) from None
        filled: dict[str, Any] = msgspec.to_builtins(asked)
        return filled

    def launch(self, task: Task, depth: int = 0) -> Launch:
        """Checks once more: since it was submitted the settings may have changed."""
        payload = self.check(task.spec.payload, depth)
        asked = _read(payload)
        if isinstance(asked, Inline):
            return self._plan(task, _Recipe(asked.steps, asked.inputs, {}, asked.at_once), depth)
        usual_ms = self._usual_ms(asked.name)
        if pipeline := self._named.get(asked.name):
            return self._plan(task, _Recipe(pipeline.steps, asked.inputs, usual_ms, pipeline.at_once), depth)

        def plan(result: Any) -> Plan:
            steps = self._made(result, asked.inputs, depth)
            return self._plan(task, _Recipe(steps, asked.inputs, usual_ms, AT_ONCE), depth)

        function = self._functions[asked.name]
        return Planning(call=Call(pool="python", target=function.target, arguments=asked.inputs), plan=plan)

    def needs_command_scope(self, payload: Mapping[str, Any], depth: int = 0) -> bool:
        """Whether it runs commands that the settings do not name, or fills them from outside."""
        try:
            asked = _read(payload)
        except InvalidPayload:
            return False  # it is refused anyway
        trusted = isinstance(asked, Named)
        steps = asked.steps if isinstance(asked, Inline) else self._steps_of(asked.name)
        return depth <= MOST_DEEP and any(self._step_needs_scope(step, depth, trusted=trusted) for step in steps)

    def check_steps(self, steps: Sequence[PipelineStep], inputs: Mapping[str, Any] | None, depth: int = 0) -> None:
        """Broken unless they can be done; without the inputs, as far as that can be told."""
        pipelines.check(steps)
        for step in steps:
            kind = self._kinds.get(step.type)
            if kind is None:
                raise Broken(f"steps.{step.name}.type: there is no task type {step.type}")
            if kind.external:
                raise Broken(f"steps.{step.name}.type: nothing can be run for a task of type {step.type}")
            given = set(pipelines.references(_fillable(step)))
            if all(ref.of == "inputs" for ref in given) and not (given and inputs is None):
                self._check_payload(step, inputs or {}, depth)

    def _check_payload(self, step: PipelineStep, inputs: Mapping[str, Any], depth: int) -> None:
        try:
            self._checked(step, _filled(step, inputs, {}), depth)
        except Unresolved as unresolved:
            raise Broken(f"steps.{step.name}.payload: {unresolved}") from None
        except InvalidPayload as error:
            raise Broken(f"steps.{step.name}.payload: {error.details['reason']}") from None

    def _checked(self, step: PipelineStep, payload: Mapping[str, Any], depth: int) -> dict[str, Any]:
        """The payload as the step's kind checks it."""
        if step.type == KIND:
            return self.check(payload, depth + 1)
        return self._kinds[step.type].check(payload)

    def _check_inputs(self, asked: Named, depth: int) -> dict[str, Any]:
        """The inputs with what is left out; refuses those that nobody asks for."""
        if function := self._functions.get(asked.name):
            return function.check(asked.inputs)
        pipeline = self._named.get(asked.name)
        if pipeline is None:
            raise UnknownPipeline(kind=KIND, reason=f"there is no pipeline {asked.name}", name=asked.name)
        known = pipelines.inputs_of(pipeline.steps) | pipeline.inputs.keys()
        if unknown := sorted(asked.inputs.keys() - known):
            raise Broken(f"inputs: there is no input {unknown[0]}")
        inputs = {**pipeline.inputs, **asked.inputs}
        if missing := sorted(known - inputs.keys()):
            raise Broken(f"inputs: {missing[0]} is missing")
        self.check_steps(pipeline.steps, inputs, depth)
        return inputs

    def _plan(self, task: Task, recipe: _Recipe, depth: int) -> Plan:
        steps = recipe.steps
        needs, weights = pipelines.needs(steps), pipelines.weights(steps, recipe.usual_ms)
        parts = tuple(
            Part(
                name=step.name,
                needs=needs[step.name],
                launch=partial(self._launch_step, task, step, recipe.inputs, depth),
                weight=weights[step.name],
                retries=step.retries,
                timeout_s=self._timeout_s(step),
                on_failure=step.on_failure,
            )
            for step in steps
        )
        return Plan(parts=parts, steps=() if depth else task.steps, at_once=recipe.at_once)

    def _launch_step(
        self, task: Task, step: PipelineStep, inputs: Mapping[str, Any], depth: int, results: Mapping[str, Any]
    ) -> Launch:
        try:
            payload = self._checked(step, _filled(step, inputs, results), depth)
        except Unresolved as unresolved:
            raise InvalidPayload(kind=step.type, reason=str(unresolved)) from None
        alone = replace(task, spec=replace(task.spec, kind=step.type, payload=payload))
        return self.launch(alone, depth + 1) if step.type == KIND else self._kinds[step.type].launch(alone)

    def _timeout_s(self, step: PipelineStep) -> float | None:
        if step.timeout_s is not None:
            return step.timeout_s or None
        kind = self._kinds[step.type]
        timeout_ms = kind.timeout_ms if kind.timeout_of is None else kind.timeout_of(step.payload)
        return None if timeout_ms is None else timeout_ms / 1000

    def _made(self, result: Any, inputs: Mapping[str, Any], depth: int) -> list[PipelineStep]:
        """What a function returned, as steps that can be done."""
        try:
            steps = msgspec.convert(result, list[PipelineStep])
            self.check_steps(steps, inputs, depth)
        except msgspec.ValidationError as error:
            raise _refusal(f"what the function returned is no list of steps: {in_words(str(error))}") from None
        except Broken as broken:
            raise _refusal(str(broken)) from None
        return steps

    def _steps_of(self, name: str) -> Sequence[PipelineStep]:
        pipeline = self._named.get(name)
        return () if pipeline is None else pipeline.steps

    def _step_needs_scope(self, step: PipelineStep, depth: int, *, trusted: bool) -> bool:
        """What the operator wrote out in full may be run by anybody who may submit."""
        kind = self._kinds.get(step.type)
        if kind is None:
            return False
        if step.type == KIND:
            return self.needs_command_scope(step.payload, depth + 1)
        return kind.needs_command_scope(step.payload) and not (trusted and _is_whole(step))


def _read(payload: Mapping[str, Any]) -> Named | Inline:
    return read(KIND, Inline, payload) if "steps" in payload else read(KIND, Named, payload)


def _fillable(step: PipelineStep) -> dict[str, Any]:
    """What of a payload is filled in. Of a pipeline within a pipeline that is its inputs: the rest is its own."""
    if step.type != KIND:
        return step.payload
    return {"inputs": step.payload.get("inputs", {})}


def _filled(step: PipelineStep, inputs: Mapping[str, Any], results: Mapping[str, Any]) -> dict[str, Any]:
    return {**step.payload, **pipelines.resolve(_fillable(step), inputs, results)}


def _is_whole(step: PipelineStep) -> bool:
    try:
        return not any(pipelines.references(step.payload))
    except Broken:
        return False


def _title(payload: Mapping[str, Any]) -> str:
    if "name" in payload:
        return str(payload["name"])
    line = " · ".join(step["name"] for step in payload["steps"])
    return line if len(line) <= TITLE_CHARS else line[: TITLE_CHARS - 1] + "…"


def _refusal(reason: str) -> HubError:
    return InvalidPayload(kind=KIND, reason=reason)
