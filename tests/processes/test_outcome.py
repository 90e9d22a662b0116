"""How an attempt ended, from its last word and its exit code."""

from __future__ import annotations

from progresshub.kinds import Outcome
from progresshub.model import Failure
from progresshub.processes.outcome import of_call, of_program
from progresshub.protocol import Report

DONE = Report(status="done", result=[1])
FAILED = Report(status="failed", error="no", error_type="disk", retry=False)


def test_a_program_that_says_nothing_is_judged_by_its_exit_code() -> None:
    assert of_program(None, 0) == Outcome(status="done")
    assert of_program(None, 3).failure == Failure(type="exit", message="exited with 3", details={"exit_code": 3})
    assert of_program(None, -11).failure == Failure(
        type="exit", message="killed by SIGSEGV", details={"exit_code": -11}
    )
    assert of_program(None, -50).failure == Failure(
        type="exit", message="killed by signal 50", details={"exit_code": -50}
    )


def test_a_program_s_own_word_is_kept() -> None:
    assert of_program(DONE, 0) == Outcome(status="done", result=[1])
    assert of_program(FAILED, 0) == Outcome(status="failed", failure=Failure(type="disk", message="no"), retry=False)
    assert of_program(Report(status="failed"), 1).failure == Failure(type="failed", message="it did not say why")


def test_a_program_that_says_done_and_exits_badly_has_failed() -> None:
    assert of_program(DONE, 1).status == "failed"


def test_a_call_that_came_to_its_end_is_as_said() -> None:
    assert of_call(DONE, None, complete=True) == Outcome(status="done", result=[1])
    assert of_call(FAILED, 0, complete=True).retry is False


def test_a_call_cut_off_has_crashed_even_if_it_said_done() -> None:
    outcome = of_call(DONE, -9, complete=False)

    assert outcome.failure == Failure(
        type="crashed", message="its process ended before the call did: killed by SIGKILL"
    )
    assert outcome.retry


def test_a_call_whose_last_word_was_not_understood_fails_for_good() -> None:
    outcome = of_call(None, None, complete=True)

    assert outcome.failure is not None
    assert (outcome.failure.type, outcome.retry) == ("result", False)
