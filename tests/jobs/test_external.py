import pytest

from progresshub.errors import InvalidPayload
from progresshub.jobs import external
from progresshub.kinds import Await
from tests import make


def test_nothing_is_started_and_nothing_runs_out():
    kind = external.kind()

    assert kind.launch(make.task(payload=kind.check({}))) == Await()
    assert (kind.external, kind.timeout_ms, kind.recovery) == (True, None, "resume")


def test_a_title_is_taken():
    kind = external.kind()

    assert kind.title(kind.check({"title": "Backup", "total": 12, "unit": "files"})) == "Backup"


@pytest.mark.parametrize("payload", [{"total": 0}, {"total": -1}, {"title": 3}, {"other": 1}])
def test_what_makes_no_sense_is_refused(payload):
    with pytest.raises(InvalidPayload):
        external.kind().check(payload)
