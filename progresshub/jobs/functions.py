"""Python functions as tasks, seen from the child: the `@task` decorator, the registry and the context.

Imported by users' modules and by workers, so it needs nothing of the server. Arguments are checked
against the function's own annotations, and whatever becomes of a call ends in one last report.

    from progresshub import Context, task

    @task(timeout_s=60)
    def count(ctx: Context, words: list[str]) -> int:
        for word in ctx.track(words):
            ...
        return len(words)
"""

from __future__ import annotations

import asyncio
import copy
import importlib
import inspect
import sys
import traceback
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NoReturn, TypeVar, overload

import msgspec

from progresshub.report import Fields, Reporter, failure, in_words, success

F = TypeVar("F", bound=Callable[..., Any])
Recovery = Literal["retry", "fail"]


class TaskFailed(Exception):
    """Ends a task as failed without a traceback; raised by `Context.fail`."""

    def __init__(self, message: str, *, retry: bool = False, error_type: str = "failed") -> None:
        super().__init__(message)
        self.retry = retry
        self.error_type = error_type


class Context:
    """What a running function knows of its task, and how it speaks of its progress.

    `progress(percent=None, *, current=None, total=None, unit=None, stage=None, message=None, …)`,
    `pace(reports_per_s)`, `steps({"fetch": 1, "encode": 5})`, `with step("fetch"):` and
    `track(iterable)` are those of `progresshub.report`.
    """

    def __init__(self, reporter: Reporter, *, task_id: str, attempt: int, directory: Path) -> None:
        self.task_id = task_id
        self.attempt = attempt
        self._directory = directory
        self.progress = reporter.report
        self.pace = reporter.pace
        self.steps = reporter.steps
        self.step = reporter.step
        self.track = reporter.track

    @property
    def directory(self) -> Path:
        """The task's own directory; its files are offered for download. Made at the first use."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self._directory

    def log(self, text: object) -> None:
        """Add a line to the task's log, as `print` does."""
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()

    def fail(self, message: str, retry: bool = False, error_type: str = "failed") -> NoReturn:
        """End the task as failed."""
        raise TaskFailed(message, retry=retry, error_type=error_type)


@dataclass(frozen=True)
class Function:
    """A registered function, and the options of its tasks."""

    call: Callable[..., Any]
    name: str
    title: str = ""
    timeout_s: float | None = 1800.0
    max_retries: int = 3
    recovery: Recovery = "retry"
    makes_steps: bool = False

    @cached_property
    def context_name(self) -> str | None:
        """The name of the first parameter if that wants the context."""
        first = next(iter(inspect.signature(self.call).parameters.values()), None)
        if first is None:
            return None
        wants = first.annotation in (Context, "Context", "progresshub.Context") or first.name in ("ctx", "context")
        return first.name if wants else None

    @cached_property
    def payload(self) -> type[msgspec.Struct]:
        """The parameters as a type: unknown, missing and ill-typed arguments don't fit it."""
        hints = typing.get_type_hints(self.call, include_extras=True)
        parameters = inspect.signature(self.call).parameters.values()
        fields = [_field(one, hints.get(one.name, Any)) for one in parameters if one.name != self.context_name]
        return msgspec.defstruct(self.call.__name__, fields, kw_only=True, forbid_unknown_fields=True)

    def description(self) -> dict[str, Any]:
        """What the server needs to know to offer this as a kind, without importing it."""
        summary = (inspect.getdoc(self.call) or "").partition("\n")[0]
        return {
            "name": self.name,
            "module": self.call.__module__,
            "qualname": self.call.__qualname__,
            "summary": summary,
            "title": self.title,
            "schema": _schema(self.payload),
            "timeout_ms": None if self.timeout_s is None else round(self.timeout_s * 1000),
            "max_retries": self.max_retries,
            "recovery": self.recovery,
            "makes_steps": self.makes_steps,
        }

    def __call__(self, context: Context, arguments: Mapping[str, Any]) -> Any:
        values = msgspec.structs.asdict(self._converted(arguments))
        if self.context_name is not None:
            values[self.context_name] = context
        return self.call(**values)

    def _converted(self, arguments: Mapping[str, Any]) -> msgspec.Struct:
        try:
            return msgspec.convert(arguments, self.payload)
        except msgspec.ValidationError as error:
            raise TaskFailed(str(error), error_type="invalid_payload") from None


REGISTRY: dict[str, Function] = {}
"""Every registered function by its task's name; filled while users' modules are imported."""


@overload
def task(call: F, /) -> F: ...
@overload
def task(
    *,
    name: str = "",
    title: str = "",
    timeout_s: float | None = 1800.0,
    max_retries: int = 3,
    recovery: Recovery = "retry",
) -> Callable[[F], F]: ...
def task(call: F | None = None, /, *, name: str = "", **options: Any) -> F | Callable[[F], F]:
    """Register a function, sync or async, as a kind of task; the function itself stays as it is.

    `title` names a task for people and may use its arguments, as in `"Encode {path}"`; `timeout_s`
    bounds one attempt, None means no bound; `recovery` says what becomes of a task that the
    server's death cut off.
    """

    def register(call: F) -> F:
        _register(Function(call, name or call.__name__, **options))
        return call

    return register if call is None else register(call)


@overload
def pipeline(call: F, /) -> F: ...
@overload
def pipeline(*, name: str = "") -> Callable[[F], F]: ...
def pipeline(call: F | None = None, /, *, name: str = "") -> F | Callable[[F], F]:
    """Register a function that makes the steps of a pipeline from its inputs.

    It returns a list of steps as the settings write them: `{"name": …, "type": …, "payload": …, "needs": …}`.
    """

    def register(call: F) -> F:
        _register(Function(call, name or call.__name__, makes_steps=True))
        return call

    return register if call is None else register(call)


def _register(function: Function) -> None:
    call = function.call
    _check_parameters(call)
    other = REGISTRY.setdefault(function.name, function).call
    if (other.__module__, other.__qualname__) != (call.__module__, call.__qualname__):
        raise ValueError(f"two functions are registered as {function.name!r}: {_place(other)} and {_place(call)}")
    REGISTRY[function.name] = function


def descriptions() -> list[dict[str, Any]]:
    """Every registered function, described."""
    return [function.description() for function in REGISTRY.values()]


def describe(context: Context) -> list[dict[str, Any]]:
    """The descriptions, as a call that a server can make."""
    return descriptions()


def perform(target: str, arguments: Mapping[str, Any], context: Context) -> Fields:
    """Call `module:qualified.name` and return the last word on it; only KeyboardInterrupt gets through.

    A registered function takes its arguments as it declares them, any other gets `(context, **arguments)`.
    """
    verdict = Verdict()
    with verdict:
        called = _resolve(target)
        result = called(context, arguments) if isinstance(called, Function) else called(context, **arguments)
        if inspect.iscoroutine(result):
            result = asyncio.run(result)
        verdict.fields = _success(result)
    return verdict.fields


class Verdict:
    """Turns however a block ends into the fields of a last report."""

    def __init__(self) -> None:
        self.fields: Fields = success()

    def __enter__(self) -> None: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if isinstance(error, KeyboardInterrupt):
            return False
        if isinstance(error, TaskFailed):
            self.fields = failure(error, error.retry, error.error_type)
        elif isinstance(error, SystemExit) and not error.code:
            self.fields = success()
        elif error is not None:
            while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
                trace = trace.tb_next
            traceback.print_exception(error.with_traceback(trace))
            self.fields = failure(in_words(error), error_type="exception")
        return True


def _success(result: Any) -> Fields:
    try:
        return success(msgspec.to_builtins(result, str_keys=True))
    except (TypeError, ValueError, RecursionError) as error:
        raise TaskFailed(f"what it returned can't be written as JSON: {error}", error_type="result") from None


@cache
def _resolve(target: str) -> Callable[..., Any]:
    module, _, qualname = target.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for name in qualname.split("."):
            found = getattr(found, name)
    except (ImportError, AttributeError) as error:
        raise TaskFailed(f"there is no function {target}: {error}", error_type="unknown_target") from error
    return next((function for function in REGISTRY.values() if function.call is found), found)


def _check_parameters(call: Callable[..., Any]) -> None:
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    for parameter in inspect.signature(call).parameters.values():
        if parameter.kind not in named:
            raise TypeError(f"{_place(call)}: a task's arguments come by name, so {parameter} can't be one")


def _field(parameter: inspect.Parameter, hint: Any) -> Any:
    default = parameter.default
    if default is inspect.Parameter.empty:
        return parameter.name, hint
    if default is None or isinstance(default, (bool, int, float, str)):
        return parameter.name, hint, default
    return parameter.name, hint, msgspec.field(default_factory=lambda: copy.deepcopy(default))


def _schema(payload: type[msgspec.Struct]) -> dict[str, Any]:
    """The JSON Schema of the payload itself at the top, and what it refers to below."""
    (schema,), named = msgspec.json.schema_components([payload], ref_template="#/$defs/{name}")
    top = named.pop(schema["$ref"].rpartition("/")[2])
    return {**top, "$defs": named} if named else top


def _place(call: Callable[..., Any]) -> str:
    return f"{call.__module__}.{call.__qualname__}"
