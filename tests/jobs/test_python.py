import pytest

from progresshub.errors import InvalidPayload
from progresshub.jobs.functions import Context, Function
from progresshub.jobs.python import kinds_from
from progresshub.kinds import Call
from tests import make


def resize(ctx: Context, path: str, widths: list[int], *, quality: int = 80) -> None:
    """Make smaller pictures.

    More about it.
    """


FUNCTION = Function(resize, "resize", title="Resize {path} {widths.__class__} {other}", timeout_s=60, max_retries=1)
(KIND,) = kinds_from([FUNCTION.description()])


def test_a_function_becomes_a_kind():
    assert (KIND.name, KIND.summary) == ("resize", "Make smaller pictures.")
    assert (KIND.timeout_ms, KIND.max_retries, KIND.recovery) == (60_000, 1, "retry")


def test_it_is_called_by_its_place_with_the_payload():
    payload = {"path": "a.png", "widths": [10]}

    launch = KIND.launch(make.task(kind="resize", payload=payload))

    assert launch == Call(pool="python", target=f"{resize.__module__}:resize", arguments=payload)


def test_a_title_takes_arguments_by_name_only():
    assert KIND.title({"path": "a.png", "widths": [1]}) == "Resize a.png  "


def test_without_a_title_the_name_serves():
    (kind,) = kinds_from([Function(resize, "resize").description()])

    assert kind.title({}) == "resize"


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ({"path": "x"}, "widths is missing"),
        ({"path": "x", "widths": [], "depth": 1}, "there is no field depth"),
        ({"path": 3, "widths": []}, "path: must be string"),
        ({"path": "x", "widths": ["y"]}, "widths.0: must be integer"),
    ],
)
def test_arguments_that_do_not_fit_are_refused_in_words(payload, reason):
    with pytest.raises(InvalidPayload) as refused:
        KIND.check(payload)

    assert refused.value.details["reason"] == reason


def test_a_payload_stays_as_it_was_given():
    assert KIND.check({"path": "x", "widths": [1]}) == {"path": "x", "widths": [1]}
