"""The child's side of reporting, as a script meets it: over a real pipe, or without any hub."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from progresshub import protocol, report
from progresshub.report import RESULT_BYTES, Reporter

ROOT = Path(report.__file__).parents[1]


class Pipe:
    """A pipe to give to a reporter, and all that was written to it."""

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe()
        os.set_blocking(self.reading, False)
        self._seen = b""

    def said(self) -> list[dict[str, Any]]:
        while True:
            try:
                data = os.read(self.reading, 65_536)
            except BlockingIOError:
                break
            if not data:
                break
            self._seen += data
        return [json.loads(line) for line in self._seen.splitlines()]

    def close(self) -> None:
        for fd in (self.reading, self.writing):
            try:
                os.close(fd)
            except OSError:
                pass


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.close()


@pytest.fixture(autouse=True)
def nobody_hurries(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine is, what waits for its turn waits for longer than a test takes."""
    monkeypatch.setattr(report, "GAP_S", 3600.0)


def run_script(text: str, **variables: str) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    environment = {name: value for name, value in environment.items() if value}
    return subprocess.run([sys.executable, "-c", text], env=environment, capture_output=True, timeout=30, check=False)


def test_a_report_is_one_line_that_the_hub_understands(pipe: Pipe) -> None:
    reporter = Reporter(pipe.writing)

    reporter.report(12.5, current=1, total=8, unit="files", stage="copy", message="one", speed_bps=10, eta_s=3)

    (line,) = pipe.said()
    assert protocol.from_json(line) == protocol.Report(
        percent=12.5, current=1, total=8, unit="files", stage="copy", message="one", speed_bps=10, eta_s=3
    )


def test_mere_progress_is_thinned_out_and_the_newest_is_sent_at_the_end(pipe: Pipe) -> None:
    reporter = Reporter(pipe.writing)

    for percent in range(1000):
        reporter.report(percent / 10)
    reporter.flush()

    said = [line["percent"] for line in pipe.said()]
    assert len(said) < 500
    assert said[0] == 0.0
    assert said[-1] == 99.9


def test_the_newest_progress_is_sent_in_time_though_no_other_follows(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "GAP_S", 0.01)
    reporter = Reporter(pipe.writing)

    for percent in range(1, 6):
        reporter.report(percent)
    while pipe.said()[-1]["percent"] != 5.0:
        assert select.select([pipe.reading], [], [], 10)[0]


def test_a_new_stage_or_message_does_not_wait(pipe: Pipe) -> None:
    reporter = Reporter(pipe.writing)

    reporter.report(1, stage="a")
    reporter.report(2, stage="b")
    reporter.report(2, stage="b", message="c")

    assert [(line["percent"], line["stage"]) for line in pipe.said()] == [(1, "a"), (2, "b"), (2, "b")]


def test_the_first_figure_of_a_stage_does_not_wait_for_the_stage(pipe: Pipe) -> None:
    reporter = Reporter(pipe.writing)

    reporter.report(stage="fetch", message="a film")
    reporter.report(current=10)
    reporter.report(current=20)

    assert [line.get("current") for line in pipe.said()] == [None, 10.0]


def test_what_waits_is_sent_together_with_the_next_word(pipe: Pipe) -> None:
    reporter = Reporter(pipe.writing)
    reporter.report(1)
    reporter.report(2, metadata={"file": "x"})

    reporter.report(3, stage="next")

    assert pipe.said()[1:] == [{"percent": 3.0, "metadata": {"file": "x"}, "stage": "next"}]


def test_a_count_that_waits_gives_way_to_a_percentage(pipe: Pipe) -> None:
    reporter = Reporter(pipe.writing)
    reporter.report(1)
    reporter.report(current=5, total=10)

    reporter.report(80)
    reporter.flush()

    assert pipe.said()[1:] == [{"percent": 80.0, "total": 10.0}]


def test_the_last_progress_is_not_lost_when_the_work_fails(pipe: Pipe) -> None:
    reporter = Reporter(pipe.writing)
    reporter.report(1)
    reporter.report(63)

    reporter.failed("no more disk", retry=False, error_type="disk")

    assert pipe.said()[-1] == {
        "percent": 63.0,
        "status": "failed",
        "error": "no more disk",
        "retry": False,
        "error_type": "disk",
    }


def test_done_carries_the_result(pipe: Pipe) -> None:
    Reporter(pipe.writing).done({"pages": 3})

    assert pipe.said() == [{"status": "done", "result": {"pages": 3}}]


def test_a_result_too_large_to_keep_is_replaced_by_a_note() -> None:
    fields = report.success("x" * RESULT_BYTES)

    assert fields["status"] == "done"
    assert "bytes" in fields["result"]["left_out"]
    assert RESULT_BYTES == protocol.RESULT_BYTES


def test_steps_are_declared_entered_and_ended(pipe: Pipe) -> None:
    reporter = Reporter(pipe.writing)
    reporter.steps({"fetch": 1, "encode": 5})

    with reporter.step("fetch"):
        reporter.report(50)
    with reporter.step("encode"):
        pass

    assert [(line.get("step"), line.get("status")) for line in pipe.said()] == [
        (None, None),
        ("fetch", None),
        ("fetch", None),
        ("fetch", "done"),
        ("encode", None),
        ("encode", "done"),
    ]
    assert pipe.said()[2]["percent"] == 50.0


def test_a_step_may_leave_a_result_or_be_skipped_with_a_reason(pipe: Pipe) -> None:
    reporter = Reporter(pipe.writing)
    reporter.steps(["count", "sing"])

    with reporter.step("count") as counting:
        counting.keep({"beats": 4})
    with reporter.step("sing") as singing:
        singing.skip("nobody can")

    ended = [line for line in pipe.said() if "status" in line]
    skipped = {"skipped": True, "reason": "nobody can"}
    assert ended == [
        {"step": "count", "status": "done", "result": {"beats": 4}},
        {"step": "sing", "status": "skipped", "message": "nobody can", "result": skipped},
    ]


def test_a_step_that_raises_has_failed(pipe: Pipe) -> None:
    reporter = Reporter(pipe.writing)

    with pytest.raises(ValueError, match="odd"), reporter.step("check"):
        raise ValueError("odd")

    assert pipe.said()[-1] == {"step": "check", "status": "failed", "error": "ValueError: odd"}


def test_a_step_may_say_itself_why_it_has_failed(pipe: Pipe) -> None:
    reporter = Reporter(pipe.writing)

    with reporter.step("quietly") as quietly:
        quietly.fail("too hard")
    with suppress(ZeroDivisionError), reporter.step("loudly") as loudly:
        loudly.fail("far too hard")
        _ = 1 / 0

    assert [line["error"] for line in pipe.said() if "error" in line] == ["too hard", "far too hard"]


def test_a_step_nobody_declared_joins_the_plan(pipe: Pipe) -> None:
    reporter = Reporter(pipe.writing)
    reporter.steps(["fetch"])

    with reporter.step("extra", weight=2):
        pass

    assert pipe.said()[1]["steps"] == [{"name": "fetch", "weight": 1.0}, {"name": "extra", "weight": 2}]


def test_progress_of_one_step_never_waits_into_another(pipe: Pipe) -> None:
    reporter = Reporter(pipe.writing)
    reporter.report(1, step="a")
    reporter.report(2, step="a")

    reporter.report(3, step="b")
    reporter.report(4, step="b")
    reporter.done()

    assert [(line.get("step"), line.get("percent"), line.get("status")) for line in pipe.said()] == [
        ("a", 1, None),
        ("a", 2, None),
        ("b", 3, None),
        ("b", 4, None),
        (None, None, "done"),
    ]


def test_track_counts_what_is_done_and_gives_the_items_through(pipe: Pipe) -> None:
    reporter = Reporter(pipe.writing)

    items = list(reporter.track(["x", "y", "z"], description="Reading"))

    assert items == ["x", "y", "z"]
    assert pipe.said()[0] == {"current": 0.0, "total": 3.0, "message": "Reading"}
    assert pipe.said()[-1] == {"current": 3.0, "total": 3.0, "message": "Reading"}


def test_track_without_a_length_tells_no_total(pipe: Pipe) -> None:
    reporter = Reporter(pipe.writing)

    list(reporter.track(letter for letter in "ab"))

    assert "total" not in pipe.said()[0]


def test_what_json_can_not_say_is_still_a_line_the_hub_understands(pipe: Pipe) -> None:
    reporter = Reporter(pipe.writing)

    reporter.report(float("nan"), message="bad \udc80 name", metadata={"x": float("inf"), "path": Path("a")})

    (line,) = os.read(pipe.reading, 65_536).splitlines()
    assert protocol.parse(line) == protocol.Report(message="bad ? name", metadata={"x": None, "path": "a"})


def test_a_reader_that_went_away_is_no_concern_of_the_script(pipe: Pipe) -> None:
    reporter = Reporter(pipe.writing)
    os.close(pipe.reading)

    reporter.report(1)
    reporter.done()


def test_a_file_that_took_the_number_of_the_pipe_is_left_alone(tmp_path: Path) -> None:
    with (tmp_path / "precious").open("wb") as file:
        Reporter(file.fileno()).done("scribble")

    assert (tmp_path / "precious").read_bytes() == b""


def test_reset_forgets_the_plan_and_the_last_words(pipe: Pipe) -> None:
    reporter = Reporter(pipe.writing)
    reporter.steps(["old"])
    reporter.report(5, stage="s")
    reporter.report(6, stage="s")

    reporter.reset()
    reporter.report(1)
    reporter.steps(["new"])

    assert pipe.said()[2:] == [{"percent": 1.0}, {"steps": [{"name": "new", "weight": 1.0}]}]


@pytest.mark.parametrize("number", ["", "99", "word", "-1"])
def test_a_script_runs_the_same_without_a_hub(number: str) -> None:
    script = "from progresshub.report import *; import progresshub.report as r; r.report(5); r.done(); print('ran')"

    ran = run_script(script, PROGRESSHUB_FD=number)

    assert (ran.returncode, ran.stdout.strip(), ran.stderr) == (0, b"ran", b"")


def test_a_script_s_last_progress_is_sent_when_it_ends(pipe: Pipe) -> None:
    script = "from progresshub.report import report\nfor n in range(100): report(n)"

    subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONPATH": str(ROOT), "PROGRESSHUB_FD": str(pipe.writing)},
        pass_fds=(pipe.writing,),
        timeout=30,
        check=True,
    )

    assert pipe.said()[-1] == {"percent": 99.0}


def test_reporting_imports_the_standard_library_only() -> None:
    script = (
        "import sys; before = set(sys.modules); import progresshub.report; "
        "print(sorted({name.partition('.')[0] for name in set(sys.modules) - before}"
        " - sys.stdlib_module_names - {'progresshub'}))"
    )

    assert run_script(script).stdout.strip() == b"[]"
