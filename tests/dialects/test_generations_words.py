"""The generations dialect's words for how a task stands."""

from __future__ import annotations

from typing import Any

import pytest

from progresshub.dialects.generations import words
from progresshub.errors import Internal
from progresshub.jobs.video import STEPS
from progresshub.model import Failure, State
from tests import make

WHY = Failure(type="bad", message="no voice at http://me:secret@example.org/")


@pytest.mark.parametrize(
    ("state", "given", "said"),
    [
        (State.SCHEDULED, {}, ("waiting", 0, "⏳ Waiting for generation to start...")),
        (State.PENDING, {}, ("started", 0, "🚀 Starting generation...")),
        (State.RUNNING, {}, ("started", 0, "🚀 Starting generation...")),
        (State.RUNNING, {"progress": make.progress(None)}, ("started", 0, "🚀 Starting generation...")),
        (State.RUNNING, {"progress": make.progress(None, stage="init", message="m")}, ("init", 0, "m")),
        (State.RUNNING, {"progress": make.progress(9.99, stage="composing_video")}, None),
        (State.RUNNING, {"progress": make.progress(100.0, stage="x", message="m")}, ("x", 99, "m")),
        (State.RETRYING, {"progress": make.progress(40.0, stage="x", message="m")}, ("x", 40, "m")),
        (State.COMPLETED, {}, ("completed", 100, "✅ Video generation complete!")),
        (State.FAILED, {"error": WHY}, ("error", 0, "❌ Error: no voice at http://[hidden]@example.org/")),
        (State.FAILED, {}, ("error", 0, "❌ Error: it failed")),
        (State.CANCELLED, {"error": WHY}, ("error", 0, "❌ Error: the generation was cancelled")),
    ],
)
def test_each_state_has_its_words(state: State, given: dict[str, Any], said: tuple[str, int, str] | None) -> None:
    assert words.said(make.task(state=state, **given)) == (said or ("composing_video", 9, "Composing video"))


def test_each_step_has_a_status_that_clients_know() -> None:
    assert tuple(words.STEP) == STEPS


def test_a_mistake_of_ours_is_an_error_with_a_detail() -> None:
    answer = words.refuse(Internal())

    assert (answer.status, answer.body) == (500, b'{"detail":"The server made a mistake; its log says more."}')
