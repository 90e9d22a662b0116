"""What a task leaves behind, and requests that nobody should send: logs, files, events, and no mistake of ours."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.serving import Client, command_file, serving
from tests.wait import PATIENCE_S

UNKNOWN = "f47ac10b-58cc-4372-a567-0e02b2c3d479"


@asynccontextmanager
async def finished(folder: Path, program: str) -> AsyncIterator[tuple[Client, str]]:
    """A server, and a Python program that has run on it."""
    config = command_file(folder, it=program)
    async with serving(folder / "data", file=config) as client:
        task_id = await client.submit("command", {"name": "it"}, max_retries=0)
        assert (await client.ended(task_id))["state"] == "completed"
        yield client, task_id


async def text(client: Client, target: str, **query: Any) -> tuple[int, str, Any]:
    async with asyncio.timeout(PATIENCE_S), client.session.get(client.url + target, params=query) as response:
        return response.status, await response.text(), response.headers


async def test_a_log_is_what_was_printed_from_where_one_likes(tmp_path: Path) -> None:
    async with finished(tmp_path, "print('one'); print('two'); print('three', end='')") as (client, task_id):
        target = f"/api/v1/tasks/{task_id}/logs"
        told = {
            str(query): (await text(client, target, **query))[1]
            for query in (
                {},
                {"tail": 1},
                {"tail": 2},
                {"tail": 3},
                {"tail": 9},
                {"tail": 0},
                {"offset": 4},
                {"offset": 4, "limit": 3},
                {"offset": 99},
                {"limit": 3},
                {"follow": "true"},
                {"follow": "true", "offset": 8},
            )
        }
        _, _, headers = await text(client, target, tail=1)

    assert list(told.values()) == [
        "one\ntwo\nthree",
        "three",
        "two\nthree",
        "one\ntwo\nthree",
        "one\ntwo\nthree",
        "",
        "two\nthree",
        "two",
        "",
        "one",
        "one\ntwo\nthree",
        "three",
    ]
    assert (headers["X-Log-Offset"], headers["X-Log-Size"]) == ("8", "13")
    assert headers["Content-Type"] == "text/plain; charset=utf-8"
    assert headers["X-Content-Type-Options"] == "nosniff"


async def test_the_tail_of_a_long_log_is_found(tmp_path: Path) -> None:
    async with finished(tmp_path, "for n in range(50_000): print(n)") as (client, task_id):
        _, tail, _ = await text(client, f"/api/v1/tasks/{task_id}/logs", tail=20_000)

    assert tail.split() == [str(n) for n in range(30_000, 50_000)]


@pytest.mark.parametrize("query", [{"tail": -1}, {"tail": "x"}, {"offset": -1}, {"limit": 0}])
async def test_a_part_of_a_log_that_makes_no_sense_is_refused(client: Client, query: dict[str, Any]) -> None:
    task_id = await client.submit("external")

    status, answer = await client.ask("GET", f"/api/v1/tasks/{task_id}/logs", params=query)

    assert (status, answer["code"]) == (400, "INVALID_REQUEST")


@pytest.mark.parametrize("what", ["logs", "logs?follow=true", "files", "files/x", "events"])
async def test_an_unknown_task_has_left_nothing(client: Client, what: str) -> None:
    status, answer = await client.ask("GET", f"/api/v1/tasks/{UNKNOWN}/{what}")

    assert (status, answer["code"]) == (404, "TASK_NOT_FOUND")


async def test_what_happened_is_told_without_the_progress_on_request(client: Client) -> None:
    task_id = await client.submit("external")
    for percent in (10, 20):
        await client.report(task_id, percent=percent)
    await client.report(task_id, status="done")

    body = await client.get(f"/api/v1/tasks/{task_id}/events", progress="false")

    assert [event["type"] for event in body["events"]] == ["submitted", "started", "completed"]


async def test_who_asks_how_long_a_log_is_gets_none_of_it(tmp_path: Path) -> None:
    async with finished(tmp_path, "print('one')") as (client, task_id):
        host, _, port = client.url.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        for line in (f"HEAD /api/v1/tasks/{task_id}/logs?follow=true", "GET /live"):
            writer.write(f"{line} HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n".encode())
        async with asyncio.timeout(PATIENCE_S):
            head = await reader.readuntil(b"\r\n\r\n")
            following = await reader.readuntil(b"\r\n")
        writer.close()
        await writer.wait_closed()

    assert b"X-Log-Size: 4\r\n" in head
    assert following.startswith(b"HTTP/1.1 200")


async def test_a_task_that_has_printed_nothing_has_an_empty_log(client: Client) -> None:
    task_id = await client.submit("external")

    status, body, headers = await text(client, f"/api/v1/tasks/{task_id}/logs")

    assert (status, body, headers["X-Log-Size"]) == (200, "", "0")


async def test_a_log_can_be_followed_to_the_end(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    program = f"print('before', flush=True); open({str(gate)!r}).read(); print('after')"
    async with serving(tmp_path / "data", file=command_file(tmp_path, it=program)) as client:
        task_id = await client.submit("command", {"name": "it"})
        async with (
            asyncio.timeout(PATIENCE_S),
            client.session.get(f"{client.url}/api/v1/tasks/{task_id}/logs?follow=true") as response,
        ):
            first = await response.content.readline()
            gate.write_text("")
            rest = await response.content.read()

    assert (first, rest) == (b"before\n", b"after\n")


async def test_who_leaves_in_the_middle_is_no_mistake_of_ours(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def closed(*_: Any) -> None:
        raise ConnectionResetError("the other side has closed")

    async with finished(tmp_path, "print('here')") as (client, task_id):
        monkeypatch.setattr(web.StreamResponse, "write", closed)
        with pytest.raises(aiohttp.ClientError):
            await text(client, f"/api/v1/tasks/{task_id}/logs")
        async with client.session.get(f"{client.url}/api/v1/tasks/{task_id}/progress/stream?start_id=0") as response:
            with pytest.raises(aiohttp.ClientError):
                await response.read()

    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


FILES = """
import os
os.makedirs('sub')
for name in ('plain.txt', 'sub/inner.bin', 'ünï cödé %2e%2e.txt', 'page.html', '.hidden', 'a?b#c&d'):
    open(name, 'w').write(name * 3)
os.symlink('/etc/passwd', 'link')
os.symlink('/etc', 'folder')
"""


async def test_files_are_listed_and_fetched_by_the_names_they_have(tmp_path: Path) -> None:
    async with finished(tmp_path, FILES) as (client, task_id):
        listed = await client.get(f"/api/v1/tasks/{task_id}/files")
        fetched = {}
        for file in listed["files"]:
            async with client.session.get(client.url + file["url"]) as response:
                fetched[file["name"]] = await response.text()
                assert response.headers["Content-Disposition"].startswith("attachment; filename*=UTF-8''")
                assert response.headers["X-Content-Type-Options"] == "nosniff"
                assert response.headers["Content-Security-Policy"].startswith("sandbox")

    names = ["a?b#c&d", "page.html", "plain.txt", "sub/inner.bin", "ünï cödé %2e%2e.txt"]
    assert listed["task_id"] == task_id
    assert sorted(fetched) == names
    assert fetched == {name: name * 3 for name in names}
    assert [file["size"] for file in listed["files"] if file["name"] == "plain.txt"] == [27]


@pytest.mark.parametrize(
    "name",
    [
        "link",
        "folder/passwd",
        ".hidden",
        "sub",
        "sub/",
        "nothing",
        "../../token",
        "..%2f..%2ftoken",
        "%2e%2e/%2e%2e/token",
        "/etc/passwd",
        "%2fetc%2fpasswd",
        "plain.txt%00",
        "%00",
        "%ff",
        "x" * 5_000,
    ],
)
async def test_no_other_name_leads_to_a_file(tmp_path: Path, name: str) -> None:
    async with finished(tmp_path, FILES) as (client, task_id):
        host = client.url.removeprefix("http://")
        reader, writer = await asyncio.open_connection(*host.split(":"))
        target = f"/api/v1/tasks/{task_id}/files/{name}"
        writer.write(f"GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        async with asyncio.timeout(PATIENCE_S):
            answer = await reader.read(-1)
        writer.close()

    assert answer.startswith(b"HTTP/1.1 404 ")
    assert b'"code":"' in answer


@pytest.mark.parametrize(
    ("asked", "status", "body"),
    [
        ("bytes=0-4", 206, "plain"),
        ("bytes=-3", 206, "txt"),
        ("bytes=24-", 206, "txt"),
        ("bytes=99-", 416, ""),
        ("lines=1-2", 416, ""),
    ],
)
async def test_a_part_of_a_file_can_be_asked_for(tmp_path: Path, asked: str, status: int, body: str) -> None:
    async with finished(tmp_path, FILES) as (client, task_id):
        async with client.session.get(
            f"{client.url}/api/v1/tasks/{task_id}/files/plain.txt", headers={"Range": asked}
        ) as response:
            got = response.status, await response.text()
        async with client.session.head(f"{client.url}/api/v1/tasks/{task_id}/files/plain.txt") as response:
            size = response.headers["Content-Length"]

    assert got == (status, body)
    assert size == "27"


async def test_everything_that_happened_to_a_task_is_told(client: Client) -> None:
    task_id = await client.submit("external")
    await client.report(task_id, percent=10)
    await client.report(task_id, status="done")

    told = await client.get(f"/api/v1/tasks/{task_id}/events")
    later = await client.get(f"/api/v1/tasks/{task_id}/events", start_id=told["events"][1]["id"], limit=2)

    assert told["count"] == 4
    assert [(event["type"], event["state"]) for event in told["events"]] == [
        ("submitted", "pending"),
        ("started", "active"),
        ("progressed", "active"),
        ("completed", "completed"),
    ]
    assert {event["task"]["id"] for event in told["events"]} == {task_id}
    assert [event["type"] for event in later["events"]] == ["started", "progressed"]


@pytest.mark.parametrize(
    ("query", "code"),
    [({"start_id": "x"}, "INVALID_START_ID"), ({"limit": 0}, "INVALID_REQUEST"), ({"limit": 1_001}, "INVALID_REQUEST")],
)
async def test_events_from_nowhere_are_refused(client: Client, query: dict[str, Any], code: str) -> None:
    task_id = await client.submit("external")

    status, answer = await client.ask("GET", f"/api/v1/tasks/{task_id}/events", params=query)

    assert (status, answer["code"]) == (400, code)


MODULE = '''
from progresshub.jobs.functions import task

@task
def add(ctx, a: int, b: int = 1) -> int:
    """Add two numbers."""
    ctx.progress(50, message="adding")
    return a + b
'''


async def test_a_registered_function_is_a_task_type(tmp_path: Path) -> None:
    (tmp_path / "sums_of_a_test.py").write_text(MODULE)
    flags = ('python.modules=["sums_of_a_test"]', f'python.path=["{tmp_path}"]')
    async with serving(tmp_path / "data", *flags) as client:
        task = await client.ended(await client.submit("add", {"a": 2}))
        status, answer = await client.ask("POST", "/api/v1/tasks", json={"type": "add", "payload": {"a": "x"}})

    assert (task["state"], task["result"]) == ("completed", 3)
    assert (status, answer["code"]) == (400, "INVALID_PAYLOAD")


GETS = (
    "/api/v1/tasks",
    "/api/v1/tasks/{id}",
    "/api/v1/tasks/{id}/progress",
    "/api/v1/tasks/{id}/progress/history",
    "/api/v1/tasks/{id}/progress/info",
    "/api/v1/tasks/{id}/logs",
    "/api/v1/tasks/{id}/logs?follow=true",
    "/api/v1/tasks/{id}/files",
    "/api/v1/tasks/{id}/events",
    "/api/v1/queues/stats",
    "/health",
    "/ready",
    "/live",
)
POSTS = (
    "/api/v1/tasks",
    "/api/v1/tasks/batch",
    "/api/v1/tasks/cancel",
    "/api/v1/tasks/retry",
    "/api/v1/tasks/delete",
    "/api/v1/tasks/{id}/progress",
    "/api/v1/tasks/{id}/cancel",
    "/api/v1/tasks/{id}/retry",
)


async def test_what_can_be_got_can_be_asked_for_its_head(client: Client) -> None:
    task_id = await client.submit("external")
    await client.report(task_id, percent=1)

    for path in GETS:
        status, body = await client.ask("HEAD", path.replace("{id}", task_id))

        assert (path, status, body) == (path, 200, None)


async def test_every_path_says_what_it_takes(client: Client) -> None:
    for path in (*GETS, *POSTS):
        async with client.session.options(client.url + path.replace("{id}", UNKNOWN)) as response:
            allowed = response.headers["Allow"].split(", ")

        assert response.status == 204
        assert ("GET" if path in GETS else "POST") in allowed


async def test_what_is_not_there_is_told_in_the_words_of_this_api(client: Client) -> None:
    answers = [
        await client.ask(method, path)
        for method, path in (
            ("GET", "/api/v1/tasks/a/b/c"),
            ("GET", "/api/v1/queues"),
            ("GET", f"/api/v1/tasks/{UNKNOWN}/cancel"),
            ("PUT", "/api/v1/tasks"),
            ("PATCH", "/api/v1/tasks"),
            ("DELETE", "/health"),
        )
    ]

    assert [(status, body["code"]) for status, body in answers] == [
        *[(404, "NOT_FOUND")] * 2,
        *[(405, "METHOD_NOT_ALLOWED")] * 4,
    ]


async def test_who_uses_a_wrong_method_is_told_the_right_ones(client: Client) -> None:
    async with client.session.put(f"{client.url}/api/v1/tasks") as response:
        body = await response.json()

    assert response.headers["Allow"] == "GET, HEAD, POST"
    assert body["details"]["allowed"] == ["GET", "HEAD", "POST"]


@pytest.mark.parametrize("content_type", ["text/plain", "application/xml", "application/x-www-form-urlencoded"])
async def test_only_json_is_taken(client: Client, content_type: str) -> None:
    status, answer = await client.ask("POST", "/api/v1/tasks", data=b"{}", headers={"Content-Type": content_type})

    assert (status, answer["code"]) == (415, "UNSUPPORTED_MEDIA_TYPE")


async def test_a_body_that_is_too_large_is_refused(tmp_path: Path) -> None:
    async with serving(tmp_path, "limits.body_bytes=1000") as client:
        task_id = await client.submit("external")
        for path in ("/api/v1/tasks", f"/api/v1/tasks/{task_id}/progress"):
            status, answer = await client.ask("POST", path, json={"message": "x" * 2_000})

            assert (status, answer["code"]) == (413, "PAYLOAD_TOO_LARGE")


HOSTILE = [
    b"",
    b"{",
    b"null",
    b'"\\ud800"',
    b"\xff\xfe",
    b"[" * 100_000,
    b'{"a":' * 50_000,
    b'{"type":"external","payload":{"title":"\\u0000"}}',
    b'{"type":"external","payload":{"total":1e308}}',
    b'{"type":"external","payload":{"total":1e999}}',
    b'{"type":"external","payload":{},"priority":123456789012345678901234567890}',
    b'{"type":"external","payload":{},"max_retries":9223372036854775808}',
    b'{"type":"external","payload":{},"metadata":{"n":18446744073709551615}}',
    b'{"type":"external","payload":{},"metadata":{"n":-9223372036854775808}}',
    b'{"type":"external","payload":{},"metadata":{"\\u0000":"\\u0000"}}',
    b'{"type":"\\u0000","payload":{}}',
    b'{"type":"external","payload":{},"queue":"a\\n"}',
    b'{"type":"external","payload":{},"title":"\\u001b[31m"}',
    b'{"type":"external","payload":{},"metadata":{"x":' + b"[" * 253 + b"]" * 253 + b"}}",
    b'{"type":"external","payload":{},"metadata":{"x":' + b"[" * 251 + b"]" * 251 + b"}}",
    b'{"type":"external","payload":{},"unique":"1h","metadata":{"x":' + b'{"y":' * 200 + b"1" + b"}" * 202,
]


async def test_nothing_that_is_sent_is_a_mistake_of_the_server(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    known = await client.submit("external")

    for path in POSTS:
        for body in HOSTILE:
            for task_id in (known, "%00", "%ed%a0%80"):
                status, _ = await client.ask(
                    "POST",
                    path.replace("{id}", task_id),
                    data=body,
                    headers={"Content-Type": "application/json"},
                )
                assert status < 500, (path, body[:80])
    for path in GETS:
        query = "&".join(f"{name}=%ff%00%ed%a0%80" for name in ("queue", "start_id", "cursor", "q", "state", "tail"))
        status, _ = await client.ask("GET", f"{path.replace('{id}', known)}?{query}")
        assert status < 500, path
    await client.get("/api/v1/tasks")

    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
FIELDS = (
    *("type", "payload", "queue", "priority", "title", "max_retries", "timeout", "process_at", "unique", "metadata"),
    *("tasks", "state", "q", "all", "dry_run", "percent", "current", "total", "unit", "stage", "message", "speed_bps"),
    *("eta_s", "steps", "step", "status", "result", "error", "error_type", "retry", "name", "weight", "url"),
)
SENSE = st.sampled_from(["external", "demo", "command", "download", "done", "failed", "1h", "default", {}, [], 0, True])
BODIES = st.dictionaries(st.sampled_from(FIELDS), SENSE | JSON, max_size=8) | JSON


def test_whatever_json_is_posted_is_answered(tmp_path: Path) -> None:
    server = serving(tmp_path, "store.kind=memory", "queues.default.paused=true")
    with asyncio.Runner() as runner:
        client = runner.run(server.__aenter__())
        task_id = runner.run(client.submit("external"))

        async def post(path: str, body: Any) -> None:
            status, answer = await client.ask("POST", path.replace("{id}", task_id), json=body)
            assert status < 500, answer
            await client.get("/api/v1/tasks", limit=5)

        @settings(max_examples=300, deadline=None, derandomize=True)
        @given(path=st.sampled_from(POSTS), body=BODIES)
        def post_anything(path: str, body: Any) -> None:
            runner.run(post(path, body))

        try:
            post_anything()
        finally:
            runner.run(server.__aexit__(None, None, None))
