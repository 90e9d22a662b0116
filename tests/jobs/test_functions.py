"""Python functions as tasks: how they are registered, described, called, and how they end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fastjsonschema
import pytest

from progresshub import Context, TaskFailed, task
from progresshub.jobs import functions
from progresshub.jobs.functions import Function, perform
from progresshub.report import Reporter


class Spoken:
    """A context over a real pipe, and what it said."""

    def __init__(self, directory: Path) -> None:
        self._reading, self._writing = os.pipe()
        self.reporter = Reporter(self._writing)
        self.context = Context(self.reporter, task_id="t1", attempt=2, directory=directory / "t1")

    def said(self) -> list[dict[str, Any]]:
        self.reporter.flush()
        os.set_blocking(self._reading, False)
        try:
            return [json.loads(line) for line in os.read(self._reading, 65_536).splitlines()]
        except BlockingIOError:
            return []

    def close(self) -> None:
        os.close(self._reading)
        os.close(self._writing)


@pytest.fixture
def spoken(tmp_path: Path) -> Iterator[Spoken]:
    spoken = Spoken(tmp_path)
    yield spoken
    spoken.close()


@pytest.fixture(autouse=True)
def registry(monkeypatch: pytest.MonkeyPatch) -> dict[str, Function]:
    fresh: dict[str, Function] = {}
    monkeypatch.setattr(functions, "REGISTRY", fresh)
    functions._resolve.cache_clear()
    return fresh


@pytest.fixture
def call(spoken: Spoken, monkeypatch: pytest.MonkeyPatch):
    """Calls a function by its place, as a worker does, and returns the fields of the last word."""
    here = types.ModuleType("somebodys_module")
    monkeypatch.setitem(sys.modules, here.__name__, here)

    def call(function: Any, **arguments: Any) -> dict[str, Any]:
        functions._resolve.cache_clear()
        monkeypatch.setattr(here, "called", function, raising=False)
        return perform("somebodys_module:called", arguments, spoken.context)

    return call


def test_a_function_s_value_is_the_result(call) -> None:
    @task
    def add(first: int, second: int = 2) -> int:
        return first + second

    assert call(add, first=40) == {"status": "done", "result": 42}


def test_the_decorated_function_stays_an_ordinary_function() -> None:
    @task
    def double(number: int) -> int:
        return number * 2

    assert double(4) == 8


def test_an_async_function_is_run_to_its_end(call) -> None:
    @task
    async def late() -> str:
        return "here"

    assert call(late) == {"status": "done", "result": "here"}


@pytest.mark.parametrize("name", ["ctx", "context", "annotated", "as_text"])
def test_the_first_parameter_may_ask_for_the_context(call, name: str) -> None:
    def ctx_named(ctx, word: str) -> str:
        return f"{ctx.task_id} {ctx.attempt} {word}"

    def context_named(context, word: str) -> str:
        return ctx_named(context, word)

    def annotated(me: Context, word: str) -> str:
        return ctx_named(me, word)

    annotated.__annotations__["me"] = Context

    def as_text(me: Context, word: str) -> str:
        return ctx_named(me, word)

    wanted = {"ctx": ctx_named, "context": context_named, "annotated": annotated, "as_text": as_text}[name]
    task(name=name)(wanted)

    assert call(wanted, word="w") == {"status": "done", "result": "t1 2 w"}


def test_a_function_nobody_registered_gets_the_context_first(call) -> None:
    def plain(anything: Context, **rest: Any) -> list[Any]:
        return [anything.task_id, rest]

    assert call(plain, a=1) == {"status": "done", "result": ["t1", {"a": 1}]}


@pytest.mark.parametrize("arguments", [{}, {"n": "1"}, {"n": 1, "more": 2}, {"n": 1.5}])
def test_arguments_that_do_not_fit_fail_for_good(call, arguments: dict[str, Any]) -> None:
    @task
    def strict(n: int) -> int:
        return n

    ended = call(strict, **arguments)

    assert (ended["status"], ended["error_type"], ended["retry"]) == ("failed", "invalid_payload", False)


def test_a_mutable_default_is_not_shared_between_calls(call) -> None:
    @task
    def grow(n: int, words: list[str] = ["first"]) -> list[str]:  # noqa: B006  (that is the point)
        words.append(str(n))
        return words

    call(grow, n=1)

    assert call(grow, n=2)["result"] == ["first", "2"]


def test_an_exception_fails_the_task_and_its_traceback_is_in_the_log(call, capsys) -> None:
    @task
    def break_down() -> None:
        raise ValueError("no such song")

    ended = call(break_down)

    assert ended == {
        "status": "failed",
        "error": "ValueError: no such song",
        "retry": True,
        "error_type": "exception",
    }
    assert "in break_down" in capsys.readouterr().err


def test_fail_ends_the_task_without_a_traceback(call, capsys) -> None:
    @task
    def refuse(ctx: Context) -> None:
        ctx.fail("not today", retry=True, error_type="mood")

    ended = call(refuse)

    assert ended == {"status": "failed", "error": "not today", "retry": True, "error_type": "mood"}
    assert capsys.readouterr().err == ""


def test_a_failure_can_be_raised_without_the_context(call) -> None:
    @task
    def refuse() -> None:
        raise TaskFailed("no")

    assert call(refuse) == {"status": "failed", "error": "no", "retry": False, "error_type": "failed"}


@pytest.mark.parametrize(("code", "status"), [(0, "done"), (None, "done"), (3, "failed"), ("why", "failed")])
def test_sys_exit_ends_the_task_and_not_the_worker(call, code: Any, status: str) -> None:
    @task
    def leave() -> None:
        raise SystemExit(code)

    assert call(leave)["status"] == status


def test_an_interrupt_is_left_to_the_worker(call) -> None:
    @task
    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        call(interrupted)


@pytest.mark.parametrize("value", [object(), {"deep": [object()]}])
def test_a_value_json_can_not_say_fails_the_task(call, value: Any) -> None:
    @task
    def strange() -> Any:
        return value

    ended = call(strange)

    assert (ended["status"], ended["error_type"]) == ("failed", "result")


def test_a_value_that_holds_itself_fails_the_task(call) -> None:
    @task
    def endless() -> Any:
        value: list[Any] = []
        value.append(value)
        return value

    assert call(endless)["error_type"] == "result"


def test_a_function_that_is_not_there_fails_for_good(spoken: Spoken) -> None:
    ended = perform("progresshub.report:nothing.here", {}, spoken.context)

    assert (ended["status"], ended["error_type"], ended["retry"]) == ("failed", "unknown_target", False)


def test_the_context_reports_through_the_same_lines(call, spoken: Spoken) -> None:
    @task
    def work(ctx: Context) -> None:
        ctx.steps({"fetch": 1, "encode": 5})
        with ctx.step("fetch"):
            ctx.progress(current=1, total=2, message="half")

    call(work)

    said = spoken.said()
    assert said[0]["steps"][1] == {"name": "encode", "weight": 5}
    assert said[2] == {"current": 1.0, "total": 2.0, "message": "half", "step": "fetch"}
    assert said[3] == {"step": "fetch", "status": "done"}


def test_the_task_s_directory_is_made_when_it_is_first_asked_for(call, tmp_path: Path) -> None:
    @task
    def work(ctx: Context) -> bool:
        before = (tmp_path / "t1").exists()
        return not before and ctx.directory.is_dir()

    assert call(work)["result"] is True


def test_a_description_says_what_the_server_needs(registry: dict[str, Function]) -> None:
    @task(name="words.count", title="Count {words}", timeout_s=1.5, max_retries=1, recovery="fail")
    def count(ctx: Context, words: list[str], lower: bool = False) -> int:
        """Count words.

        More text.
        """
        return len(words)

    (described,) = functions.descriptions()

    schema = described.pop("schema")
    assert described == {
        "name": "words.count",
        "module": __name__,
        "qualname": count.__qualname__,
        "summary": "Count words.",
        "title": "Count {words}",
        "timeout_ms": 1500,
        "max_retries": 1,
        "recovery": "fail",
        "makes_steps": False,
    }
    assert schema["additionalProperties"] is False
    assert schema["required"] == ["words"]
    assert fastjsonschema.compile(schema)({"words": ["a"]}) == {"words": ["a"], "lower": False}
    with pytest.raises(fastjsonschema.JsonSchemaException):
        fastjsonschema.compile(schema)({"words": ["a"], "more": 1})


def test_two_functions_of_one_name_are_refused() -> None:
    @task(name="same")
    def first() -> None: ...

    with pytest.raises(ValueError, match="two functions are registered as 'same'"):

        @task(name="same")
        def second() -> None: ...


def test_parameters_without_a_name_are_refused() -> None:
    with pytest.raises(TypeError, match="come by name"):

        @task
        def anything(*words: str) -> None: ...


def test_importing_the_package_does_not_import_the_decorator() -> None:
    script = "import sys, progresshub; print('progresshub.jobs.functions' in sys.modules, 'msgspec' in sys.modules)"
    root = Path(functions.__file__).parents[2]

    said = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, timeout=30, check=True).stdout

    assert said.split() == [b"False", b"False"]
