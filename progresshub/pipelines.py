"""Pipelines as plans: which step waits for which, what its references stand for, how much of the whole it is.

Pure. A plan that can't be carried out is a `Broken` one, and says why in words for whoever wrote it.
"""

from __future__ import annotations

import graphlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from progresshub.model import Step, StepState
from progresshub.settings import PipelineStep

MOST_STEPS = 200
_REFERENCE = re.compile(r"\$(?:(\$)|\{([^{}]*)\})")
_PATH = re.compile(r"(inputs)\.([\w-]+)((?:\.[\w-]+)*)|(steps)\.([\w-]+)\.result((?:\.[\w-]+)*)")


class Broken(ValueError):
    """Says what is wrong with a pipeline, beginning with where."""


class Unresolved(ValueError):
    """A reference leads to nothing."""


class Reference(NamedTuple):
    """`${inputs.name.…}` or `${steps.name.result.…}`."""

    text: str
    of: str
    name: str
    path: tuple[str, ...]

    def value(self, inputs: Mapping[str, Any], results: Mapping[str, Any]) -> Any:
        """What it stands for; all of nothing is null."""
        found: Any = inputs if self.of == "inputs" else results
        for key in (self.name, *self.path):
            if found is None:
                return None
            found = _inside(found, key, self.text)
        return found


def _inside(value: Any, key: str, text: str) -> Any:
    if isinstance(value, Mapping) and key in value:
        return value[key]
    if isinstance(value, Sequence) and not isinstance(value, str) and key.isdecimal() and int(key) < len(value):
        return value[int(key)]
    raise Unresolved(f"there is no {text}")


def references(value: Any) -> Iterator[Reference]:
    """Every reference in the texts of a JSON value; Broken when one can't be read."""
    match value:
        case str():
            for match in _REFERENCE.finditer(value):
                if not match[1]:
                    yield _reference(match[2])
        case dict():
            for inner in value.values():
                yield from references(inner)
        case list() | tuple():
            for inner in value:
                yield from references(inner)


def _reference(text: str) -> Reference:
    match = _PATH.fullmatch(text)
    if match is None:
        raise Broken(f"${{{text}}} is neither ${{inputs.NAME}} nor ${{steps.NAME.result}}")
    of, name, path = (match[1], match[2], match[3]) if match[1] else (match[4], match[5], match[6])
    return Reference(text, of, name, tuple(path.split(".")[1:]))


def resolve(value: Any, inputs: Mapping[str, Any], results: Mapping[str, Any]) -> Any:
    """The value with what its references stand for: whole where a text is one reference, as text within others.

    `$$` is a dollar sign.
    """
    match value:
        case str():
            return _filled(value, inputs, results)
        case dict():
            return {key: resolve(inner, inputs, results) for key, inner in value.items()}
        case list() | tuple():
            return [resolve(inner, inputs, results) for inner in value]
    return value


def _filled(text: str, inputs: Mapping[str, Any], results: Mapping[str, Any]) -> Any:
    whole = _REFERENCE.fullmatch(text)
    if whole and not whole[1]:
        return _reference(whole[2]).value(inputs, results)
    return _REFERENCE.sub(
        lambda match: "$" if match[1] else _as_text(_reference(match[2]).value(inputs, results)), text
    )


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def check(steps: Sequence[PipelineStep]) -> None:
    """Broken unless names are used once, needs and references lead to other steps, and none waits for itself."""
    if not 1 <= len(steps) <= MOST_STEPS:
        raise Broken(f"steps: a pipeline has 1 to {MOST_STEPS} of them")
    names: set[str] = set()
    for step in steps:
        if step.name in names:
            raise Broken(f"steps.{step.name}: there are two steps of this name")
        names.add(step.name)
    waits = needs(steps)
    for name, others in waits.items():
        if unknown := sorted(others - names):
            raise Broken(f"steps.{name}: it needs {unknown[0]}, which is not a step")
    try:
        graphlib.TopologicalSorter(waits).prepare()
    except graphlib.CycleError as error:
        circle = " -> ".join(reversed(error.args[1]))
        raise Broken(f"steps: they wait for each other in a circle: {circle}") from None


def needs(steps: Sequence[PipelineStep]) -> dict[str, frozenset[str]]:
    """What each step waits for: what it says, or else the step before it; and what it refers to."""
    waits = {}
    before: tuple[str, ...] = ()
    for step in steps:
        said = before if step.needs is None else step.needs
        waits[step.name] = frozenset(said) | {ref.name for ref in _references_of(step) if ref.of == "steps"}
        before = (step.name,)
    return waits


def inputs_of(steps: Sequence[PipelineStep]) -> set[str]:
    """The names of the inputs that the steps refer to."""
    return {ref.name for step in steps for ref in _references_of(step) if ref.of == "inputs"}


def _references_of(step: PipelineStep) -> list[Reference]:
    try:
        return list(references(step.payload))
    except Broken as broken:
        raise Broken(f"steps.{step.name}.payload: {broken}") from None


def weights(steps: Sequence[PipelineStep], usual_ms: Mapping[str, float]) -> dict[str, float]:
    """Each step's share of the whole: its usual duration; what was never timed keeps its declared weight, brought to
    the scale of the others. Without any durations, the declared weights."""
    declared = {step.name: step.weight for step in steps}
    timed = {name: max(1.0, usual_ms[name]) for name in declared if name in usual_ms}
    among = sum(declared[name] for name in timed)
    scale = sum(timed.values()) / among if among else 1.0
    return {name: timed.get(name, weight * scale) for name, weight in declared.items()}


def settled(step: Step, on_failure: str) -> bool:
    """Whether a step is not to be done again when its pipeline goes on."""
    if step.state is StepState.FAILED:
        return on_failure != "stop"
    return step.state in (StepState.COMPLETED, StepState.SKIPPED)
