"""Executions over WebSocket: early, late, twice, after the end; and with the clients people use."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
import websocket
import websockets
from rich.console import Console
from rich.progress import Progress

from tests.dialects.test_executions import EXECUTIONS, UNKNOWN, begun, inline, step, task_id
from tests.serving import Client, serving
from tests.serving import client as speaking
from tests.wait import PATIENCE_S

pytestmark = pytest.mark.filterwarnings("ignore:.*:DeprecationWarning:websocket")


class Watcher:
    """A connection, and what has been heard on it."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def next(self) -> Any:
        async with asyncio.timeout(PATIENCE_S):
            return orjson.loads(await self.socket.receive_str())

    async def rest(self) -> list[Any]:
        async with asyncio.timeout(PATIENCE_S):
            return [orjson.loads(message.data) async for message in self.socket]

    @property
    def code(self) -> int | None:
        return self.socket.close_code


@asynccontextmanager
async def watching(client: Client, execution_id: str) -> AsyncIterator[Watcher]:
    async with client.session.ws_connect(f"{client.url}{EXECUTIONS}/{execution_id}/progress/ws") as socket:
        yield Watcher(socket)


def address(client: Client, execution_id: str) -> str:
    return f"ws{client.url.removeprefix('http')}{EXECUTIONS}/{execution_id}/progress/ws"


def types(messages: list[Any]) -> list[str]:
    """The types, with progress that follows progress left out."""
    kinds = [message["type"] for message in messages]
    return [kind for n, kind in enumerate(kinds) if n == 0 or kind != "progress" or kinds[n - 1] != "progress"]


async def test_who_comes_early_sees_the_whole_story(tmp_path: Path) -> None:
    async with serving(tmp_path, "queues.later.paused=true") as client:
        execution_id = await inline(client, step("a", 2), step("b"), queue="later")
        async with watching(client, execution_id) as watcher:
            first = await watcher.next()
            async with speaking(client.url, (tmp_path / "token").read_text().strip()) as owner:
                await owner.ask("PATCH", "/api/v1/queues/later", json={"paused": False})
            rest = await watcher.rest()

    assert (first["type"], first["status"], first["progress"]) == ("status", "pending", None)
    assert types(rest) == ["started", "progress", "completed"]
    percentages = [message["progress"]["percentage"] for message in rest if message["type"] == "progress"]
    assert percentages == sorted(percentages)
    assert rest[-1]["outputs"].keys() == {"a", "b"}
    assert rest[-1]["error"] is None
    assert watcher.code == 1000


async def test_who_comes_late_sees_how_it_stands_and_what_follows(client: Client) -> None:
    execution_id = await begun(client)
    task = await task_id(client, execution_id)
    await client.report(task, percent=30)

    async with watching(client, execution_id) as watcher:
        first = await watcher.next()
        await client.report(task, percent=60)
        second = await watcher.next()
        await client.report(task, status="done", result={"n": 1})
        rest = await watcher.rest()

    assert (first["type"], first["status"], first["progress"]["percentage"]) == ("status", "running", 30.0)
    assert (second["type"], second["progress"]["percentage"]) == ("progress", 60.0)
    assert [(message["type"], message["outputs"]) for message in rest] == [("completed", {"n": 1})]
    assert watcher.code == 1000


async def test_two_who_watch_hear_the_same(client: Client) -> None:
    execution_id = await begun(client)
    task = await task_id(client, execution_id)

    async with watching(client, execution_id) as one, watching(client, execution_id) as other:
        assert (await one.next())["type"] == (await other.next())["type"] == "status"
        for percent in (10, 20, 30):
            await client.report(task, percent=percent)
        await client.report(task, status="done")
        heard = [await one.rest(), await other.rest()]

    assert heard[0] == heard[1]
    assert [message["type"] for message in heard[0]] == ["progress"] * 3 + ["completed"]


async def test_after_the_end_there_is_the_status_and_the_end(client: Client) -> None:
    execution_id = await begun(client)
    await client.report(await task_id(client, execution_id), status="done", result={"n": 1})

    for _ in range(2):
        async with watching(client, execution_id) as watcher:
            heard = await watcher.rest()

        assert types(heard) == ["status", "completed"]
        assert (heard[0]["status"], heard[0]["progress"]["percentage"]) == ("completed", 100.0)
        assert (heard[1]["outputs"], heard[1]["error"]) == ({"n": 1}, None)
        assert watcher.code == 1000


async def test_an_unknown_execution_is_an_error_and_code_1008(client: Client) -> None:
    async with watching(client, UNKNOWN) as watcher:
        heard = await watcher.rest()

    assert [list(message) for message in heard] == [["type", "message", "timestamp"]]
    assert (heard[0]["type"], heard[0]["message"]) == ("error", f"There is no execution {UNKNOWN}.")
    assert watcher.code == 1008


async def test_a_cancelled_execution_ends_so(client: Client) -> None:
    execution_id = await begun(client)

    async with watching(client, execution_id) as watcher:
        await watcher.next()
        await client.post(f"{EXECUTIONS}/{execution_id}/cancel")
        heard = await watcher.rest()

    assert [(message["type"], message["outputs"], message["error"]) for message in heard] == [("cancelled", None, None)]
    assert watcher.code == 1000


async def test_a_failed_execution_ends_with_the_reason(client: Client) -> None:
    execution_id = await begun(client)

    async with watching(client, execution_id) as watcher:
        await watcher.next()
        await client.report(await task_id(client, execution_id), status="failed", error="hit rock")
        heard = await watcher.rest()

    assert types(heard) == ["failed"]
    assert heard[0]["error"] == {"type": "reported", "message": "hit rock", "details": {}}
    assert heard[0]["outputs"] is None


async def test_progress_without_a_number_is_not_told(client: Client) -> None:
    execution_id = await begun(client)
    task = await task_id(client, execution_id)

    async with watching(client, execution_id) as watcher:
        await watcher.next()
        await client.report(task, message="still looking")
        await client.report(task, percent=5)
        told = await watcher.next()

    assert (told["type"], told["progress"]["percentage"]) == ("progress", 5.0)


async def test_what_a_watcher_says_changes_nothing(client: Client) -> None:
    execution_id = await begun(client)

    async with watching(client, execution_id) as watcher:
        await watcher.next()
        await watcher.socket.send_str("cancel!")
        await watcher.socket.send_bytes(b"\x00")
        await client.report(await task_id(client, execution_id), status="done")
        heard = await watcher.rest()

    assert types(heard) == ["completed"]


async def test_an_execution_that_is_deleted_before_it_began_ends_with_an_error(tmp_path: Path) -> None:
    async with serving(tmp_path, "queues.later.paused=true") as client:
        execution_id = await inline(client, step("a"), queue="later")
        async with watching(client, execution_id) as watcher:
            await watcher.next()
            await client.ask("DELETE", f"/api/v1/tasks/{await task_id(client, execution_id)}")
            heard = await watcher.rest()

    assert [message["type"] for message in heard] == ["error"]
    assert watcher.code == 1000


async def test_a_server_that_stops_says_that_it_goes_away(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        execution_id = await begun(client)
        async with watching(client, execution_id) as watcher:
            await watcher.next()
            client.stop()
            heard = await watcher.rest()

    assert heard == []
    assert watcher.code == 1001


async def test_the_plain_client_sees_it_through(client: Client) -> None:
    """What the reference's client does, with `websocket-client`."""
    execution_id = await inline(client, step("a", 3), step("b", 3))

    def watch() -> list[str]:
        socket = websocket.create_connection(address(client, execution_id), timeout=PATIENCE_S)
        seen = []
        while True:
            data = json.loads(socket.recv())
            seen.append(data["type"])
            if data["type"] in ("completed", "failed", "cancelled"):
                socket.close()
                return seen

    seen = await asyncio.to_thread(watch)

    assert (seen[0], seen[-1]) == ("status", "completed")


async def test_three_are_watched_at_once(client: Client) -> None:
    """What the reference's client does, with `websockets` and `asyncio.gather`."""
    ids = [await inline(client, step("a", n), step("b")) for n in range(1, 4)]

    async def monitor(execution_id: str) -> str:
        async with websockets.connect(address(client, execution_id)) as socket:
            while True:
                data = json.loads(await socket.recv())
                if data["type"] in ("completed", "failed", "cancelled"):
                    return str(data["type"])

    async with asyncio.timeout(PATIENCE_S):
        ends = await asyncio.gather(*map(monitor, ids))

    assert ends == ["completed"] * 3


async def test_a_progress_bar_follows_to_the_last_percentage(client: Client) -> None:
    """What the reference's client does, with `rich`."""
    execution_id = await begun(client)
    loop, connected = asyncio.get_running_loop(), asyncio.Event()

    def show() -> float:
        with Progress(console=Console(quiet=True)) as progress:
            bar = progress.add_task("Executing...", total=100)
            socket = websocket.create_connection(address(client, execution_id), timeout=PATIENCE_S)
            while True:
                data = json.loads(socket.recv())
                loop.call_soon_threadsafe(connected.set)
                if data["type"] == "progress":
                    progress.update(bar, completed=data["progress"]["percentage"])
                elif data["type"] in ("completed", "failed"):
                    socket.close()
                    return progress.tasks[0].completed

    showing = asyncio.create_task(asyncio.to_thread(show))
    async with asyncio.timeout(PATIENCE_S):
        await connected.wait()
    for percent in (25, 50, 75.55):
        await client.report(await task_id(client, execution_id), percent=percent)
    await client.report(await task_id(client, execution_id), status="done")

    assert await showing == 75.5
