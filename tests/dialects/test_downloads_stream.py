"""The WebSocket of the downloads dialect: what comes first, in which order, and how it ends."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.serving import Client, serving
from tests.wait import PATIENCE_S


def path(client: Client, task_id: str) -> str:
    return f"{client.url}/api/progress/stream/{task_id}"


async def said(socket: aiohttp.ClientWebSocketResponse) -> Any:
    return await socket.receive_json(timeout=PATIENCE_S)


async def rest(socket: aiohttp.ClientWebSocketResponse) -> list[Any]:
    async with asyncio.timeout(PATIENCE_S):
        return [message.json() async for message in socket]


async def test_the_first_message_comes_at_once_and_the_last_is_the_end(client: Client) -> None:
    task_id = await client.submit("external", {"title": "Pack"})
    await client.report(task_id, percent=10)

    async with client.session.ws_connect(path(client, task_id)) as socket:
        first = await said(socket)
        for percent in (20, 30):
            await client.report(task_id, percent=percent)
        await client.report(task_id, status="done")
        told = await rest(socket)

    assert first == {**first, "task_id": task_id, "title": "Pack", "status": "downloading", "progress": 10.0}
    assert [(one["status"], one["progress"]) for one in told] == [
        ("downloading", 20.0),
        ("downloading", 30.0),
        ("completed", 100.0),
    ]
    assert socket.close_code == 1000


async def test_a_message_is_what_polling_would_have_said(client: Client) -> None:
    task_id = await client.submit("external")
    await client.report(task_id, current=10, total=40, unit="bytes", speed_bps=5.0)

    async with client.session.ws_connect(path(client, task_id)) as socket:
        first = await said(socket)

    assert first == await client.get(f"/api/progress/tasks/{task_id}")
    assert (first["eta_seconds"], first["progress"]) == (6.0, 25.0)


@pytest.mark.parametrize(
    ("report", "status"), [({"status": "done"}, "completed"), ({"status": "failed", "error": "no luck"}, "failed")]
)
async def test_what_has_ended_is_told_once(client: Client, report: dict[str, str], status: str) -> None:
    task_id = await client.submit("external")
    await client.report(task_id, **report)

    async with client.session.ws_connect(path(client, task_id)) as socket:
        told = await rest(socket)

    assert [(one["status"], one["error_message"]) for one in told] == [(status, report.get("error"))]
    assert socket.close_code == 1000


@pytest.mark.parametrize("unknown", ["x", "f47ac10b-58cc-4372-a567-0e02b2c3d479"])
async def test_of_an_unknown_task_there_is_an_error_and_a_close(client: Client, unknown: str) -> None:
    async with client.session.ws_connect(path(client, unknown)) as socket:
        told = await rest(socket)

    assert told == [{"error": f"There is no task {unknown}."}]
    assert socket.close_code == 1008


async def test_a_task_that_is_deleted_meanwhile_says_so_and_ends(client: Client) -> None:
    task_id = await client.submit("demo", {"message": "later"}, process_at="2999-01-01T00:00:00Z")

    async with client.session.ws_connect(path(client, task_id)) as socket:
        first = await said(socket)
        async with client.session.delete(f"{client.url}/api/task/{task_id}"):
            told = await rest(socket)

    assert first["status"] == "pending"
    assert told == [{"error": f"task {task_id} was deleted"}]
    assert socket.close_code == 1000


async def test_many_watchers_of_one_task_hear_the_same(client: Client) -> None:
    task_id = await client.submit("external")
    sockets = [await client.session.ws_connect(path(client, task_id)) for _ in range(20)]
    for socket in sockets:
        await said(socket)

    await client.report(task_id, percent=50)
    await client.report(task_id, status="done")

    told = [await rest(socket) for socket in sockets]
    assert all(one == told[0] for one in told)
    assert [one["status"] for one in told[0]] == ["downloading", "completed"]


async def test_who_comes_while_things_happen_hears_each_of_them_once(client: Client) -> None:
    task_id = await client.submit("external")

    async def watched() -> list[float]:
        async with client.session.ws_connect(path(client, task_id)) as socket:
            return [one["progress"] for one in await rest(socket)]

    watching = []
    for percent in range(1, 41):
        watching.append(asyncio.create_task(watched()))
        await client.report(task_id, percent=percent)
    await client.report(task_id, status="done")

    for told in await asyncio.gather(*watching):
        assert told == sorted(set(told))
        assert told[-1] == 100.0


async def test_a_stop_of_the_server_ends_the_stream(client: Client) -> None:
    task_id = await client.submit("external")

    async with client.session.ws_connect(path(client, task_id)) as socket:
        await said(socket)
        client.stop()
        told = await rest(socket)

    assert told == []


async def test_who_does_not_speak_websocket_is_told_what_is_spoken(client: Client) -> None:
    status, body = await client.ask("GET", "/api/progress/stream/x")

    assert (status, body["error"]) == (400, "VALIDATION_ERROR")
    assert "WebSocket" in body["message"]


@pytest.mark.parametrize(
    ("flags", "headers", "status"),
    [
        (("features.progress_tracking=false",), {}, 403),
        ((), {"Origin": "http://evil.example"}, 403),
        (('tokens.one.sha256="' + "0" * 64 + '"',), {}, 401),
    ],
)
async def test_who_may_not_is_refused_before_anything_is_spoken(
    tmp_path: Path, flags: tuple[str, ...], headers: dict[str, str], status: int
) -> None:
    async with serving(tmp_path, *flags) as client:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await client.session.ws_connect(path(client, "x"), headers=headers)

    assert refused.value.status == status
