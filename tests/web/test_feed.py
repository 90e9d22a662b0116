"""The dashboard's feed and rows, as bytes and over HTTP."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from progresshub.model import EventId, EventType, State, Step, StepState
from progresshub.web import feed
from progresshub.web.rows import MOST_PARTS, row
from tests.make import event, progress, task
from tests.serving import Event, Stream, serving


def rows_of(told: list[Event]) -> list[dict[str, Any]]:
    return [row for event in told if event.name == "rows" for row in event.data]


async def until_hello(stream: Stream) -> list[Event]:
    """Everything up to the end of what is told of the past."""
    told: list[Event] = []
    while (said := await stream.next()) is not None:
        told.append(said)
        if said.name == "hello":
            return told
    raise AssertionError("the stream ended before it said hello")


def test_a_row_leaves_out_what_is_not_known():
    shown = orjson.loads(feed.frame(event(task(title="Pack"), EventType.SUBMITTED, 5)).split(b"data: ")[1])

    assert shown["title"] == "Pack"
    assert not {"percent", "ends_ms", "speed_bps", "error"} & shown.keys()


def test_a_row_hides_what_is_secret():
    shown = row(task(title="from ftp://me:word@host/x", progress=progress(1.0, message="GET http://a/?token=abc")))

    assert "word" not in shown.title
    assert "abc" not in shown.message


def test_long_texts_are_cut_and_many_steps_are_counted():
    steps = tuple(Step(name=f"s{n}", state=StepState.COMPLETED, finished_ms=1) for n in range(MOST_PARTS + 1))

    shown = row(task(title="x" * 5_000, steps=steps))

    assert (len(shown.title), shown.parts, shown.steps, shown.done) == (200, [], MOST_PARTS + 1, MOST_PARTS + 1)


def test_an_end_that_is_estimated_is_a_time_of_the_servers_clock():
    running = task(state=State.RUNNING, progress=progress(10.0, eta_ms=4_000, at_ms=100_000))

    assert row(running).ends_ms == 104_000


def test_an_event_that_another_waits_for_is_resumed_before_it():
    deleted = event(task(), EventType.DELETED, 9)

    told = feed.frame(type(deleted)(deleted.id, deleted.type, deleted.task, EventId(3, 1)))

    assert told.startswith(b"id: 3-1\nevent: gone\n")


async def test_who_comes_hears_how_things_stand_and_then_every_change(tmp_path):
    async with serving(tmp_path) as server:
        one = await server.submit("external", {"title": "One"})
        async with server.stream("/-/feed") as stream:
            told = await until_hello(stream)
            await server.report(one, percent=50)
            changed = await stream.until("row")
            await server.report(one, status="done")
            ended = await stream.until("row")
            await server.ask("DELETE", f"/api/v1/tasks/{one}")
            gone = await stream.until("gone")

    assert [row["title"] for row in rows_of(told)] == ["One"]
    assert (told[-1].data["total"], told[-1].data["resumed"]) == (1, False)
    assert (changed.data["percent"], ended.data["state"], gone.data["id"]) == (50, "completed", one)


@pytest.mark.parametrize("store", ["sqlite", "memory"])
async def test_who_comes_again_hears_once_of_each_task_that_has_changed(tmp_path, store):
    async with serving(tmp_path, f"store.kind={store}") as server:
        still = await server.submit("external", {"title": "Still"})
        moved = await server.submit("external", {"title": "Moved"})
        async with server.stream("/-/feed") as stream:
            seen = (await until_hello(stream))[-1].id
        for percent in (10, 20, 30):
            await server.report(moved, percent=percent)

        async with server.stream("/-/feed", headers={"Last-Event-ID": seen}) as stream:
            told = await until_hello(stream)

    assert [(row["id"], row["percent"]) for row in rows_of(told)] == [(moved, 30)]
    assert told[-1].data["resumed"] is True
    assert still not in {row["id"] for row in rows_of(told)}


@pytest.mark.parametrize("since", ["99999999999999-0", "nonsense", ""])
async def test_who_says_nothing_sensible_begins_anew(tmp_path, since):
    async with serving(tmp_path) as server:
        await server.submit("external", {"title": "One"})
        async with server.stream("/-/feed", since=since) as stream:
            told = await until_hello(stream)

    assert told[-1].data["resumed"] is False
    assert len(rows_of(told)) == 1


async def test_who_missed_too_much_begins_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(feed, "MOST_MISSED", 3)
    async with serving(tmp_path) as server:
        async with server.stream("/-/feed") as stream:
            seen = (await until_hello(stream))[-1].id
        for n in range(4):
            await server.submit("external", {"title": f"{n}"})

        async with server.stream("/-/feed", since=seen) as stream:
            told = await until_hello(stream)

    assert told[-1].data["resumed"] is False
    assert len(rows_of(told)) == 4


async def test_all_that_has_not_ended_is_told_however_old(tmp_path, monkeypatch):
    monkeypatch.setattr(feed, "NEWEST", 1)
    async with serving(tmp_path) as server:
        await server.submit("external", {"title": "Old"})
        await server.submit("external", {"title": "New"})
        async with server.stream("/-/feed") as stream:
            told = await until_hello(stream)

    assert [row["title"] for row in rows_of(told)] == ["New", "Old"]


async def test_it_beats_and_says_goodbye(tmp_path):
    async with serving(tmp_path, "streams.heartbeat_s=0.1") as server, server.stream("/-/feed") as stream:
        await until_hello(stream)
        beat = await stream.until("beat")
        server.stop()
        rest = await stream.rest()

    assert beat.data == {}
    assert rest[-1].name == "goodbye"


async def test_the_list_is_paged_and_filtered(tmp_path):
    async with serving(tmp_path) as server:
        for n in range(3):
            await server.submit("external", {"title": f"Boat {n}"}, queue=f"q{n}")
        first = await server.get("/-/rows", limit=2)
        second = await server.get("/-/rows", limit=2, before=first["before"])
        found = await server.get("/-/rows", q="boat", queue="q1", kind="external", state="running")

    assert [row["title"] for row in first["rows"] + second["rows"]] == ["Boat 2", "Boat 1", "Boat 0"]
    assert (first["total"], second["before"]) == (3, None)
    assert [row["title"] for row in found["rows"]] == ["Boat 1"]


@pytest.mark.parametrize("query", ["limit=0", "limit=9999", "before=x", "state=nowhere"])
async def test_a_list_that_can_not_be_asked_for_is_refused(tmp_path, query):
    async with serving(tmp_path) as server:
        status, body = await server.ask("GET", f"/-/rows?{query}")

    assert (status, body["error"]) == (400, "VALIDATION_ERROR")
