"""What becomes of what a client asks."""

from __future__ import annotations

from progresshub.registry.submission import Submission, again, spec_of
from tests import parts

TEA = Submission(kind="film", payload={"topic": "tea"}, origin="queues")


def test_a_task_is_called_what_its_kind_calls_it_and_so_is_its_retry() -> None:
    kind = parts.kind("film", names_of=lambda payload: (payload["topic"], "film"))

    first = spec_of(TEA, kind, dict(TEA.payload), ("a", 1), 5)
    second = spec_of(again(first, ()), kind, dict(TEA.payload), ("b", 2), 6)

    assert first.names == second.names == ("tea", "film")


def test_a_task_of_a_kind_without_names_has_none() -> None:
    assert spec_of(TEA, parts.kind("film"), {}, ("a", 1), 5).names == ()
