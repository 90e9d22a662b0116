"""Streams of the queues dialect: what a watcher sees, in which order, after what it saw before, and until when."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from progresshub.errors import Unavailable
from progresshub.storage.sqlite import SqliteStore
from tests.serving import Client, Event, Stream, serving
from tests.wait import PATIENCE_S

UNKNOWN = "f47ac10b-58cc-4372-a567-0e02b2c3d479"
FUTURE = "2999-01-01T00:00:00Z"


def path(task_id: str) -> str:
    return f"/api/v1/tasks/{task_id}/progress/stream"


def short(event: Event | None) -> Any:
    """An event as a test compares it: its name and its percentage, or how it ended."""
    assert event is not None
    return event.name, event.data.get("status", event.data.get("percentage"))


def ids(events: list[Event]) -> list[tuple[int, ...]]:
    return [tuple(map(int, event.id.split("-"))) for event in events]


async def reported(client: Client, *percents: float, done: bool = False) -> str:
    task_id = await client.submit("external")
    for percent in percents:
        await client.report(task_id, percent=percent)
    if done:
        await client.report(task_id, status="done")
    return task_id


@asynccontextmanager
async def raw(client: Client, target: str, *, version: str = "1.1") -> AsyncIterator[asyncio.StreamReader]:
    """A connection that has asked for a stream and takes little at a time."""
    url = urlsplit(client.url)
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, (url.hostname, url.port))
    reader, writer = await asyncio.open_connection(sock=sock, limit=4_096)
    writer.write(f"GET {target} HTTP/{version}\r\nHost: {url.netloc}\r\nConnection: close\r\n\r\n".encode())
    try:
        await reader.readuntil(b"retry: ")
        yield reader
    finally:
        writer.transport.abort()


async def rest(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(PATIENCE_S):
        return await reader.read(-1)


async def test_by_default_only_what_comes_is_told(client: Client) -> None:
    task_id = await reported(client, 10)

    async with client.stream(path(task_id)) as stream:
        await client.report(task_id, percent=30, stage="processing", message="Processing...")
        await client.report(task_id, status="done")
        events = await stream.rest()

    assert list(map(short, events)) == [("progress", 30), ("progress", 100), ("done", "completed")]
    assert events[0].data["task_id"] == task_id
    assert (events[0].data["stage"], events[0].data["message"]) == ("processing", "Processing...")
    assert events[-1].data == {"task_id": task_id, "status": "completed"}
    assert events[-1].id == events[-2].id


async def test_a_stream_is_what_browsers_expect(tmp_path: Path) -> None:
    asked = {"Origin": "http://page.example", "X-Request-ID": "my-request"}
    async with serving(tmp_path, 'server.allowed_origins=["*"]') as client:
        task_id = await reported(client)

        async with client.stream(path(task_id), headers=asked) as stream:
            headers = stream.response.headers

    assert headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert headers["Cache-Control"] == "no-cache"
    assert headers["X-Accel-Buffering"] == "no"
    assert headers["X-Request-ID"] == "my-request"
    assert headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ({"start_id": "$"}, []),
        ({"start_id": "0"}, [("progress", 10), ("progress", 20)]),
        ({"history": "true"}, [("history", 10), ("history", 20)]),
        ({"history": "false"}, []),
        ({"history": "true", "start_id": "0"}, [("history", 10), ("history", 20)]),
        ({"history": "true", "start_id": "$"}, []),
    ],
)
async def test_a_stream_begins_where_it_is_asked_to(client: Client, query: dict[str, str], told: list[Any]) -> None:
    task_id = await reported(client, 10, 20)

    async with client.stream(path(task_id), **query) as stream:
        past = [event for _ in told if (event := await stream.next()) is not None]
        await client.report(task_id, percent=30)
        await client.report(task_id, status="done")
        events = past + await stream.rest()

    assert list(map(short, events)) == [*told, ("progress", 30), ("progress", 100), ("done", "completed")]
    assert all(event.id for event in events)
    assert ids(events) == sorted(ids(events))


async def test_a_start_id_is_exclusive(client: Client) -> None:
    task_id = await reported(client, 10, 20, 30)
    entries = (await client.get(f"/api/v1/tasks/{task_id}/progress/history"))["history"]

    async with client.stream(path(task_id), start_id=entries[0]["stream_id"]) as stream:
        events = [await stream.next(), await stream.next()]

    assert list(map(short, events)) == [("progress", 20), ("progress", 30)]


@pytest.mark.parametrize("text", ["x", "-", "1-", "+", "-5", "1-2-3"])
async def test_a_stream_begins_at_no_such_thing(client: Client, text: str) -> None:
    task_id = await reported(client)

    status, answer = await client.ask("GET", path(task_id), params={"start_id": text})

    assert (status, answer["code"]) == (400, "INVALID_START_ID")


@pytest.mark.parametrize("by_header", [True, False])
@pytest.mark.parametrize("query", [{}, {"start_id": "0"}, {"start_id": "$"}, {"history": "true"}])
async def test_who_comes_again_goes_on_after_what_it_saw(
    client: Client, by_header: bool, query: dict[str, str]
) -> None:
    task_id = await reported(client, 10, 20, 30)
    entries = (await client.get(f"/api/v1/tasks/{task_id}/progress/history"))["history"]
    seen = entries[0]["stream_id"]
    given: Any = {"headers": {"Last-Event-ID": seen}} if by_header else {"last_event_id": seen}

    async with client.stream(path(task_id), **given, **query) as stream:
        events = [await stream.next(), await stream.next()]

    name = "history" if "history" in query else "progress"
    assert list(map(short, events)) == [(name, 20), (name, 30)]


@pytest.mark.parametrize("seen", ["x", "", "-1", "9" * 15, "1-2-3", "\u0663"])
async def test_a_last_event_that_makes_no_sense_does_not_count(client: Client, seen: str) -> None:
    task_id = await reported(client, 10)

    async with client.stream(path(task_id), headers={"Last-Event-ID": seen}, start_id="0") as stream:
        event = await stream.next()

    assert short(event) == ("progress", 10)


@pytest.mark.parametrize("query", [{}, {"start_id": "$"}, {"start_id": "9" * 15}])
async def test_of_a_finished_task_the_end_is_told_at_once(client: Client, query: dict[str, str]) -> None:
    task_id = await reported(client, 10, done=True)

    async with client.stream(path(task_id), **query) as stream:
        events = await stream.rest()

    assert list(map(short, events)) == [("progress", 100), ("done", "completed")]


async def test_of_a_finished_task_the_whole_history_can_be_told(client: Client) -> None:
    task_id = await reported(client, 10, 20, done=True)

    async with client.stream(path(task_id), history="true") as stream:
        past = await stream.rest()
    async with client.stream(path(task_id), start_id="0") as stream:
        plain = await stream.rest()

    assert list(map(short, past)) == [("history", 10), ("history", 20), ("history", 100), ("done", "completed")]
    assert list(map(short, plain)) == [("progress", 10), ("progress", 20), ("progress", 100), ("done", "completed")]
    assert ids(past) == ids(plain)


async def test_who_has_seen_the_end_is_told_to_stop(client: Client) -> None:
    task_id = await reported(client, 10, done=True)
    async with client.stream(path(task_id)) as stream:
        events = await stream.rest()

    for query in ({}, {"start_id": "0"}, {"history": "true"}):
        given: Any = {"params": query, "headers": {"Last-Event-ID": events[-1].id}}
        status, answer = await client.ask("GET", path(task_id), **given)

        assert (status, answer) == (204, None)


@pytest.mark.parametrize(("ending", "word"), [("failed", "failed"), ("cancel", "cancelled"), ("delete", "deleted")])
async def test_every_end_ends_the_stream(client: Client, ending: str, word: str) -> None:
    task_id = await client.submit("external", process_at=FUTURE if ending == "delete" else None)

    async with client.stream(path(task_id)) as stream:
        if ending == "failed":
            await client.report(task_id, status="failed", error="no")
        elif ending == "cancel":
            await client.post(f"/api/v1/tasks/{task_id}/cancel")
        else:
            await client.ask("DELETE", f"/api/v1/tasks/{task_id}")
        events = await stream.rest()

    assert short(events[-1]) == ("done", word)


async def test_each_entry_comes_once_and_in_order_while_reports_keep_coming(client: Client) -> None:
    task_id = await client.submit("external")

    async def report_all() -> None:
        for n in range(400):
            await client.report(task_id, message=str(n))
        await client.report(task_id, status="done")

    async def watch(query: dict[str, str]) -> list[Event]:
        async with client.stream(path(task_id), **query) as stream:
            return await stream.rest()

    async with asyncio.TaskGroup() as group:
        group.create_task(report_all())
        watching: list[asyncio.Task[list[Event]]] = []
        for n in range(30):
            watching.append(group.create_task(watch([{"start_id": "0"}, {"history": "true"}][n % 2])))
            await client.get("/live")

    for task in watching:
        events = task.result()
        messages = [event.data["message"] for event in events if event.name != "done"]
        assert messages == [*map(str, range(400)), "399"]
        assert ids(events[:-1]) == sorted(set(ids(events)))


async def test_who_is_interrupted_again_and_again_misses_nothing(client: Client) -> None:
    task_id = await client.submit("external")

    async def report_all() -> None:
        for n in range(200):
            await client.report(task_id, message=str(n))
        await client.report(task_id, status="done")

    async def watch() -> list[str]:
        told: list[str] = []
        seen = "0"
        while True:
            async with client.stream(path(task_id), start_id="0", headers={"Last-Event-ID": seen}) as stream:
                for _ in range(7):
                    event = await stream.next()
                    if event is None or event.name == "done":
                        return told
                    told.append(event.data["message"])
                    seen = event.id

    _, told = await asyncio.gather(report_all(), watch())

    assert told == [*map(str, range(200)), "199"]


async def test_several_tasks_are_told_together(client: Client) -> None:
    first, second, silent = await reported(client, 10), await reported(client, 20, done=True), await reported(client)

    async with client.stream("/api/v1/progress/stream", task_ids=f" {first}, {second} ,{silent},{first}") as stream:
        begun = [await stream.next(), await stream.next()]
        await client.report(silent, percent=5)
        await client.report(first, percent=50)
        await client.report(silent, status="failed", error="no")
        await client.post(f"/api/v1/tasks/{first}/cancel")
        events = await stream.rest()

    def told(event: Event | None) -> Any:
        assert event is not None
        body = event.data
        return body["task_id"], body["progress"]["percentage"], body.get("is_final"), body.get("status")

    assert list(map(told, begun)) == [(first, 10, None, None), (second, 100, True, "completed")]
    assert list(map(told, events[:-1])) == [
        (silent, 5, None, None),
        (first, 50, None, None),
        (silent, 5, True, "failed"),
        (first, 50, True, "cancelled"),
    ]
    assert (events[-1].name, events[-1].data) == ("done", {"task_ids": [first, second, silent]})
    assert all(event.id for event in events)


async def test_several_finished_tasks_are_told_at_once_and_not_again(client: Client) -> None:
    both = [await reported(client, 10, done=True), await reported(client, 20, done=True)]

    async with client.stream("/api/v1/progress/stream", task_ids=",".join(both)) as stream:
        events = await stream.rest()
    status, _ = await client.ask(
        "GET",
        "/api/v1/progress/stream",
        params={"task_ids": ",".join(both)},
        headers={"Last-Event-ID": events[-1].id},
    )

    assert [event.name for event in events] == ["progress", "progress", "done"]
    assert status == 204


async def test_who_comes_again_to_several_tasks_is_told_what_is_new(client: Client) -> None:
    first, second = await reported(client, 10), await reported(client, 20)
    async with client.stream("/api/v1/progress/stream", task_ids=f"{first},{second}") as stream:
        await stream.next()
        seen = await stream.next()
        assert seen is not None
    await client.report(first, percent=11)

    async with client.stream("/api/v1/progress/stream", task_ids=f"{first},{second}", last_event_id=seen.id) as stream:
        event = await stream.next()
        await client.report(second, percent=22)
        later = await stream.next()

    assert event is not None
    assert later is not None
    assert [e.data["progress"]["percentage"] for e in (event, later)] == [11, 22]


async def test_one_of_several_that_is_deleted_has_ended(client: Client) -> None:
    kept, gone = await reported(client, 10), await client.submit("external", process_at=FUTURE)

    async with client.stream("/api/v1/progress/stream", task_ids=f"{gone},{kept}") as stream:
        await client.ask("DELETE", f"/api/v1/tasks/{gone}")
        await client.report(kept, status="done")
        events = await stream.rest()

    assert [(e.data["task_id"], e.data.get("status")) for e in events[:-1]] == [
        (kept, None),
        (gone, "deleted"),
        (kept, "completed"),
    ]
    assert events[-1].name == "done"


async def test_several_are_one_to_ten(client: Client) -> None:
    tasks = [await client.submit("external") for _ in range(11)]

    async def asked(**query: str) -> tuple[int, Any]:
        return await client.ask("GET", "/api/v1/progress/stream", params=query)

    answers = [
        await asked(),
        await asked(task_ids=""),
        await asked(task_ids=" , "),
        await asked(task_ids=",".join(tasks)),
    ]
    unknown = await asked(task_ids=f"{tasks[0]},{UNKNOWN}")
    async with client.stream("/api/v1/progress/stream", task_ids=",".join(tasks[:10])) as stream:
        await client.report(tasks[9], percent=1)
        event = await stream.next()

    assert [(status, body["code"]) for status, body in answers] == [(400, "INVALID_REQUEST")] * 4
    assert (unknown[0], unknown[1]["code"], unknown[1]["details"]["task_id"]) == (404, "TASK_NOT_FOUND", UNKNOWN)
    assert event is not None
    assert event.data["task_id"] == tasks[9]


async def names(stream: Stream, count: int) -> list[str]:
    events = [await stream.next() for _ in range(count)]
    return [event.name for event in events if event is not None]


async def test_everything_that_happens_can_be_watched(client: Client) -> None:
    async with client.stream("/api/v1/events/stream") as stream:
        task_id = await client.submit("external")
        await client.report(task_id, percent=1)
        await client.report(task_id, stage="next")
        await client.report(task_id, status="done")
        await client.ask("DELETE", f"/api/v1/tasks/{task_id}")
        events = [event for _ in range(6) if (event := await stream.next()) is not None]

    happened = [event.name for event in events]
    assert happened == ["submitted", "started", "progressed", "staged", "completed", "deleted"]
    assert {event.data["task"]["id"] for event in events} == {task_id}
    assert [event.data["type"] for event in events] == happened
    assert ids(events) == sorted(set(ids(events)))


@pytest.mark.parametrize(
    "query",
    [{"queue": "low"}, {"type": "demo"}, {"state": "scheduled"}, {"id": "ID"}, {"queue": "low", "type": "demo"}],
)
async def test_what_is_watched_can_be_narrowed(client: Client, query: dict[str, str]) -> None:
    wanted = await client.submit("demo", queue="low", process_at=FUTURE)
    query = {name: wanted if value == "ID" else value for name, value in query.items()}

    async with client.stream("/api/v1/events/stream", last_event_id="0", **query) as stream:
        first = await stream.next()
        await reported(client, 1, done=True)
        second = await client.submit("demo", queue="low", process_at=FUTURE)
        await client.ask("DELETE", f"/api/v1/tasks/{wanted}")
        seen = [first, await stream.next()]

    assert [event.data["task"]["id"] for event in seen if event] == [wanted, wanted if "id" in query else second]


async def test_several_tasks_can_be_watched_without_the_others(client: Client) -> None:
    tasks = [await client.submit("demo", process_at=FUTURE) for _ in range(3)]

    async with client.stream("/api/v1/events/stream", last_event_id="0", id=f"{tasks[0]},{tasks[2]}") as stream:
        seen = [await stream.next(), await stream.next()]
    status, answer = await client.ask("GET", "/api/v1/events/stream", params={"id": ",".join(map(str, range(101)))})

    assert [event.data["task"]["id"] for event in seen if event] == [tasks[0], tasks[2]]
    assert (status, answer["code"]) == (400, "INVALID_REQUEST")


async def test_a_watcher_of_everything_goes_on_after_what_it_saw(client: Client) -> None:
    async with client.stream("/api/v1/events/stream") as stream:
        first = await reported(client, 1)
        seen = await stream.next()
        assert seen is not None

    async with client.stream("/api/v1/events/stream", headers={"Last-Event-ID": seen.id}) as stream:
        missed = await names(stream, 2)
        await client.report(first, status="done")
        live = await names(stream, 1)

    assert (seen.name, missed, live) == ("submitted", ["started", "progressed"], ["completed"])


async def test_a_state_that_nobody_knows_can_not_be_watched(client: Client) -> None:
    status, answer = await client.ask("GET", "/api/v1/events/stream?state=happy")

    assert (status, answer["code"]) == (400, "INVALID_REQUEST")


async def test_who_missed_too_much_is_told_of_the_gap(client: Client) -> None:
    batch = {"tasks": [{"type": "external", "payload": {}, "queue": "many"}] * 5_000}
    await client.post("/api/v1/tasks/batch", batch, 201)
    task_id = await client.submit("external")

    async with client.stream("/api/v1/events/stream", last_event_id="0", queue="default") as stream:
        gap = await stream.next()
        await client.report(task_id, percent=1)
        event = await stream.next()

    assert gap is not None
    assert event is not None
    assert (gap.name, gap.data["after"]) == ("gap", "0-0")
    assert [task["id"] for task in gap.data["tasks"]] == [task_id]
    assert event.data["task"]["id"] == task_id
    assert ids([event]) > ids([gap])


async def test_a_silent_stream_shows_that_it_is_alive(tmp_path: Path) -> None:
    async with serving(tmp_path, "streams.heartbeat_s=0.1") as client:
        task_id = await client.submit("external")

        async with client.stream(path(task_id)) as one, client.stream("/api/v1/events/stream") as all_of_them:
            comments = [await one.comment(), await one.comment(), await all_of_them.comment()]

    assert comments == ["still here"] * 3


async def test_a_server_that_stops_says_goodbye(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        task_id = await client.submit("external")
        async with client.stream(path(task_id)) as stream, client.stream("/api/v1/events/stream") as other:
            client.stop()

            told = await stream.rest(), await other.rest()

            assert told == ([], [])
            assert stream.comments[-1] == other.comments[-1] == "the server is stopping"


async def test_an_old_client_gets_a_stream_without_chunks(client: Client) -> None:
    task_id = await reported(client, 10, done=True)

    async with raw(client, f"{path(task_id)}?start_id=0", version="1.0") as reader:
        body = (await rest(reader)).decode()

    assert [line for line in body.split("\n")[1:] if not line.startswith(("id: ", "data: "))] == [
        *("", "event: progress", "", "event: progress", "", "event: done", "", "")
    ]


async def test_only_the_head_of_a_stream_can_be_asked_for(client: Client) -> None:
    task_id = await reported(client, 10)

    for target in (path(task_id), f"/api/v1/progress/stream?task_ids={task_id}", "/api/v1/events/stream"):
        status, body = await client.ask("HEAD", target)

        assert (status, body) == (200, None)


async def test_a_stream_that_can_not_be_had_just_now_asks_to_come_again(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: Any, **__: Any) -> Any:
        raise Unavailable(reason="the disk is busy")

    task_id = await reported(client, 10)
    monkeypatch.setattr(SqliteStore, "load", refuse)
    monkeypatch.setattr(SqliteStore, "history", refuse)

    for target in (path(UNKNOWN), f"/api/v1/progress/stream?task_ids={UNKNOWN}"):
        async with client.session.get(client.url + target) as response:
            body = await response.read()

        assert response.status == 200
        assert re.fullmatch(rb"retry: (1[5-9]|2[0-5])\d\d\n\n", body)
    async with client.session.get(client.url + path(task_id), params={"start_id": "0"}) as response:
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()


SLOW = ("streams.send_buffer_bytes=4096", "streams.high_water_bytes=8192", "streams.owed_events=20")


async def metrics(client: Client) -> str:
    async with asyncio.timeout(PATIENCE_S), client.session.get(f"{client.url}/metrics") as response:
        return await response.text()


async def report_200(client: Client, task_id: str, field: str, healthy: Stream | None = None) -> None:
    """Much to read, and somebody beside the slow one who reads each word before the next is said."""
    for n in range(200):
        await client.report(task_id, **{field: f"<{n}>"}, metadata={"filler": "x" * 5_000})
        if healthy is not None:
            event = await healthy.next()
            assert event is not None
            assert event.data[field] == f"<{n}>"
    await client.report(task_id, status="done")


async def test_who_reads_too_slowly_misses_progress_but_not_the_end(tmp_path: Path) -> None:
    async with serving(tmp_path, *SLOW) as client:
        task_id = await client.submit("external")
        async with raw(client, path(task_id)) as slow, client.stream(path(task_id)) as healthy:
            await report_200(client, task_id, "message", healthy)

            missed = await rest(slow)

    assert missed.count(b"event: progress") < 200
    assert b"event: done" in missed
    assert missed.endswith(b"0\r\n\r\n")


async def test_who_is_owed_too_much_is_cut_off_and_costs_the_others_nothing(tmp_path: Path) -> None:
    async with serving(tmp_path, *SLOW) as client:
        task_id = await client.submit("external")
        async with raw(client, path(task_id)) as stuck, client.stream(path(task_id)) as healthy:
            await report_200(client, task_id, "stage", healthy)
            events = await healthy.rest()

            broken_off = await rest(stuck)

    assert list(map(short, events)) == [("progress", 100), ("done", "completed")]
    assert b"event: done" not in broken_off
    assert not broken_off.endswith(b"0\r\n\r\n")


async def test_who_takes_nothing_of_its_history_is_cut_off(tmp_path: Path) -> None:
    async with serving(tmp_path, *SLOW, "streams.stalled_deadline_s=0.1") as client:
        task_id = await client.submit("external")
        await report_200(client, task_id, "message")

        async with raw(client, f"{path(task_id)}?start_id=0") as stuck:
            while "progresshub_watchers 1" in await metrics(client):
                continue
            broken_off = await rest(stuck)

    assert b"event: done" not in broken_off
