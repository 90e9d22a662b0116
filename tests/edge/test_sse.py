"""Server-sent events on the wire, as the specification of EventSource reads them."""

from __future__ import annotations

import pytest

from progresshub.dialects.queues import words
from progresshub.edge.sse import BEAT, GOODBYE, Frame, chunk, encoding, lines
from progresshub.errors import HubError, UnknownTask
from progresshub.model import Event, EventId, EventType, Failure, State
from tests import make


def test_a_frame_is_an_id_a_name_and_one_line_of_data() -> None:
    frame = Frame("progress", b'{"percentage":30}', EventId(17, 3))

    assert lines(frame) == b'id: 17-3\nevent: progress\ndata: {"percentage":30}\n\n'


def test_line_breaks_in_a_message_do_not_break_a_frame() -> None:
    task = make.task(state=State.RUNNING, progress=make.progress(1.0, message="a\nb\r\nc\u2028d"))

    (frame,) = words.frames(make.event(task, EventType.STAGED, 5))

    assert lines(frame).count(b"\n") == 4
    assert b"\r" not in lines(frame)


def test_a_chunk_says_how_long_it_is() -> None:
    assert chunk(b"x" * 26) == b"1a\r\n" + b"x" * 26 + b"\r\n"


@pytest.mark.parametrize("chunked", [True, False])
def test_comments_are_framed_as_events_are(chunked: bool) -> None:
    words_of_it = encoding(words.frames, chunked=chunked)

    assert words_of_it.beat == (chunk(BEAT) if chunked else BEAT)
    assert words_of_it.goodbye == (chunk(GOODBYE) if chunked else GOODBYE)
    assert words_of_it.wrap(b"abc") == (chunk(b"abc") if chunked else b"abc")


def test_watchers_of_one_sort_share_their_encoding() -> None:
    assert encoding(words.frames, chunked=True) is encoding(words.frames, chunked=True)
    assert encoding(words.frames, chunked=True) is not encoding(words.multi_frames, chunked=True)


@pytest.mark.parametrize(
    ("state", "kind", "names"),
    [
        (State.PENDING, EventType.SUBMITTED, []),
        (State.RUNNING, EventType.STARTED, []),
        (State.RUNNING, EventType.PROGRESSED, ["progress"]),
        (State.RUNNING, EventType.STAGED, ["progress"]),
        (State.RUNNING, EventType.STALLED, []),
        (State.RETRYING, EventType.RETRYING, []),
        (State.COMPLETED, EventType.COMPLETED, ["progress", "done"]),
        (State.FAILED, EventType.FAILED, ["progress", "done"]),
        (State.CANCELLED, EventType.CANCELLED, ["progress", "done"]),
        (State.PENDING, EventType.DELETED, ["done"]),
    ],
)
def test_a_watcher_hears_of_progress_and_of_the_end(state: State, kind: EventType, names: list[str]) -> None:
    event = make.event(make.task(state=state, progress=make.progress(5.0)), kind, 7)

    frames = words.frames(event)

    assert [frame.event for frame in frames] == names
    assert {frame.id for frame in frames} <= {event.id}


def test_what_overtakes_another_task_does_not_let_a_watcher_of_both_skip_it() -> None:
    task = make.task(state=State.RUNNING, progress=make.progress(5.0))
    ahead = Event(EventId(9, 0), EventType.PROGRESSED, task, resume=EventId(7, 0))

    assert [frame.id for frame in (*words.multi_frames(ahead), *words.all_frames(ahead))] == [EventId(7, 0)] * 2
    assert [frame.id for frame in words.frames(ahead)] == [ahead.id]


def test_a_failure_hides_the_secrets_in_its_message() -> None:
    failed = make.task(state=State.FAILED, error=Failure(type="t", message="no https://u:p@h/"))

    body = words.body(failed)

    assert body.last_err == "no https://[hidden]@h/"
    assert words.entry(failed, EventId(1, 0)).message == body.last_err


def every_refusal(of: type[HubError] = HubError) -> set[type[HubError]]:
    return {of}.union(*(every_refusal(kind) for kind in of.__subclasses__()))


def test_every_refusal_has_a_status_and_a_code() -> None:
    inside = {"refused", "invalid_field", "illegal_event", "internal", "invalid_config", "startup"}
    codes = {kind.code for kind in every_refusal() if kind.__module__ == "progresshub.errors"}
    startup = {kind.code for kind in every_refusal() if kind.__name__.startswith(("Store", "Address"))} - {
        "storage_full"
    }

    assert codes - inside - startup == set(words.CODE) - {"bad_report"}


def test_a_refusal_is_told_in_three_fields() -> None:
    response = words.refuse(UnknownTask(task_id="t"))

    assert response.status == 404
    assert response.body == (b'{"error":"There is no task t.","code":"TASK_NOT_FOUND","details":{"task_id":"t"}}')
