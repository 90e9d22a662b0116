import json
import os

import pytest

from progresshub.errors import InvalidPayload
from progresshub.jobs import demo
from progresshub.jobs.functions import Context, perform
from progresshub.kinds import Call
from progresshub.report import Reporter
from tests import make


@pytest.fixture
def told(tmp_path):
    """Performs a launch as a worker does, and gives every line that it wrote and its last word."""

    def perform_and_read(launch: Call):
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        context = Context(Reporter(writing), task_id="1", attempt=1, directory=tmp_path)
        verdict = perform(launch.target, launch.arguments, context)
        lines = os.read(reading, 65_536).splitlines()
        os.close(reading)
        os.close(writing)
        return [json.loads(line) for line in lines], verdict

    return perform_and_read


def test_each_step_is_reported_after_an_initial_one(told):
    kind = demo.kind()
    payload = kind.check({"message": "Hello", "count": 3, "delay_ms": 0})

    reports, verdict = told(kind.launch(make.task(payload=payload)))

    assert [(report["stage"], report["percent"]) for report in reports] == [
        ("init", 0), ("processing", 33), ("processing", 66), ("processing", 100),
    ]  # fmt: skip
    assert verdict == {"status": "done", "result": {"message": "Hello", "count": 3}}


def test_nothing_to_count_ends_at_once(told):
    kind = demo.kind()

    reports, verdict = told(kind.launch(make.task(payload=kind.check({"count": 0}))))

    assert [report["stage"] for report in reports] == ["init"]
    assert verdict["result"] == {"message": "", "count": 0}


def test_the_delay_is_half_a_second_unless_told():
    assert demo.kind().check({}) == {"message": "", "count": 5, "delay_ms": 500}


@pytest.mark.parametrize("payload", [{"count": -1}, {"count": 10_001}, {"count": "5"}, {"delay_ms": 600_001}, {"x": 1}])
def test_what_can_not_be_counted_is_refused(payload):
    with pytest.raises(InvalidPayload):
        demo.kind().check(payload)


def test_the_message_is_the_title():
    kind = demo.kind()

    assert kind.title(kind.check({"message": "Hello"})) == "Hello"
    assert kind.title(kind.check({})) == "Demo"
