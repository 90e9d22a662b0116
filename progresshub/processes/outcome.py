"""How an attempt ended, from the process's last word and its exit code. Pure."""

from __future__ import annotations

import signal

from progresshub.kinds import Outcome
from progresshub.model import Failure
from progresshub.protocol import Report


def of_program(verdict: Report | None, exit_code: int) -> Outcome:
    """A program that says it failed has failed; one that says nothing is judged by its exit code."""
    if verdict is not None and verdict.status == "failed":
        return _as_said(verdict)
    if exit_code == 0:
        return Outcome(status="done", result=None if verdict is None else verdict.result)
    return _failed("exit", in_words(exit_code), exit_code=exit_code)


def of_call(verdict: Report | None, exit_code: int | None, *, complete: bool) -> Outcome:
    """`complete` says that the worker came to the end of the call."""
    if not complete:
        return _failed("crashed", f"its process ended before the call did: {in_words(exit_code or 0)}")
    if verdict is None:
        return _failed("result", "what it returned can't be read", retry=False)
    return _as_said(verdict)


def in_words(exit_code: int) -> str:
    """`exited with 3`, `killed by SIGSEGV`."""
    return f"exited with {exit_code}" if exit_code >= 0 else f"killed by {_name(exit_code)}"


def _as_said(verdict: Report) -> Outcome:
    if verdict.status == "done":
        return Outcome(status="done", result=verdict.result)
    failure = Failure(type=verdict.error_type or "failed", message=verdict.error or "it did not say why")
    return Outcome(status="failed", result=verdict.result, failure=failure, retry=verdict.retry)


def _failed(type_: str, message: str, *, retry: bool = True, **details: object) -> Outcome:
    return Outcome(status="failed", failure=Failure(type=type_, message=message, details=details), retry=retry)


def _name(exit_code: int) -> str:
    try:
        return signal.Signals(-exit_code).name
    except ValueError:
        return f"signal {-exit_code}"
