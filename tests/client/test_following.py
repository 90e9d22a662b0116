"""What somebody who watches has seen and still waits for, without a server."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from progresshub.client import ClientError, Task, sse
from progresshub.client.following import Following


def a_task(task_id: str = "a", stream_id: str = "1-0", state: str = "active", **given: Any) -> Task:
    return Task(id=task_id, queue="default", kind="demo", state=state, stream_id=stream_id, **given)


def frame(task: Task, name: str = "progressed", event_id: str = "9-0") -> bytes:
    data = msgspec.json.encode({"type": name, "task": task})
    return b"id: %b\nevent: %b\ndata: %b\n\n" % (event_id.encode(), name.encode(), data)


def followed(*task_ids: str) -> Following:
    """Connected, with how things stand already told."""
    following = Following(task_ids)
    following.ask()
    list(following.looked(a_task(task_id) for task_id in task_ids))
    return following


def test_what_is_older_than_what_was_told_is_not_told():
    following = followed("a")

    told = [
        *following.feed(frame(a_task(stream_id="3-0"))),
        *following.feed(frame(a_task(stream_id="2-9"))),
        *following.feed(frame(a_task(stream_id="3-0", stalled=True))),
        *following.feed(frame(a_task(stream_id="10-0"))),
    ]

    assert [(task.stream_id, task.stalled) for task in told] == [("3-0", False), ("3-0", True), ("10-0", False)]


def test_an_end_is_told_once_and_others_are_not_told_at_all():
    following = followed("a", "b")
    end = frame(a_task(state="completed", stream_id="5-0"), "completed")

    told = [*following.feed(end), *following.feed(end), *following.feed(frame(a_task("c")))]

    assert [task.id for task in told] == ["a"]
    assert not following.over
    following.gone("b")
    assert following.over


def test_a_new_connection_goes_on_after_the_last_event_and_looks_anew():
    following = followed("a")
    list(following.feed(frame(a_task(stream_id="3-0"), event_id="7-1")))
    assert not following.stale

    ask = following.ask()

    assert ask.headers["Last-Event-ID"] == "7-1"
    assert ask.query == {"id": "a"}
    assert following.stale


def test_after_a_gap_the_tasks_are_looked_at():
    following = followed("a")

    assert list(following.feed(b'event: gap\ndata: {"tasks": []}\n\n')) == []

    assert following.stale


@pytest.mark.parametrize("data", [b"{", b"[]", b'{"type": "progressed"}', b'{"type": "progressed", "task": {"id": 3}}'])
def test_what_is_no_event_of_ours_is_an_error_in_words(data: bytes):
    with pytest.raises(ClientError) as error:
        list(followed("a").feed(b"event: progressed\ndata: %b\n\n" % data))

    assert error.value.code == "NOT_UNDERSTOOD"


def test_a_stream_that_is_none_is_an_error_in_words(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sse, "MOST_BYTES", 100)

    with pytest.raises(ClientError, match="100 bytes"):
        list(followed("a").feed(b"x" * 101))
