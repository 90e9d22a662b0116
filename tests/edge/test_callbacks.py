"""Callbacks on real sockets: one for each end, signed, tried again, kept over a restart, never to a private place."""

from __future__ import annotations

import asyncio
import hmac
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp import web

from progresshub.edge.outward import PublicResolver, refusal_of, session
from progresshub.settings import Callbacks
from tests.dialects.test_executions import EXECUTIONS, begun, task_id
from tests.serving import client as speaking
from tests.serving import process, serving
from tests.wait import PATIENCE_S, until

QUICK = ("callbacks.allow_private=true", "callbacks.backoff_s=0.1")


class Receiver:
    """Takes callbacks and answers with the given statuses in turn, the last one for ever."""

    def __init__(self, *statuses: int) -> None:
        self._statuses = list(statuses or (200,))
        self._got: asyncio.Queue[tuple[web.Request, bytes]] = asyncio.Queue()
        self.url = ""
        self.port = 0

    async def take(self, request: web.Request) -> web.Response:
        await self._got.put((request, await request.read()))
        status = self._statuses.pop(0) if len(self._statuses) > 1 else self._statuses[0]
        return web.Response(status=status, headers={"Location": "/elsewhere"})

    async def next(self) -> tuple[web.Request, Any]:
        async with asyncio.timeout(PATIENCE_S):
            request, body = await self._got.get()
        return request, orjson.loads(body)

    async def raw(self) -> tuple[web.Request, bytes]:
        async with asyncio.timeout(PATIENCE_S):
            return await self._got.get()

    @property
    def empty(self) -> bool:
        return self._got.empty()


@asynccontextmanager
async def receiving(*statuses: int) -> AsyncIterator[Receiver]:
    receiver = Receiver(*statuses)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", receiver.take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        receiver.port = runner.addresses[0][1]
        receiver.url = f"http://127.0.0.1:{receiver.port}/hook"
        yield receiver
    finally:
        await runner.cleanup()


def still_due(data: Path) -> list[Any]:
    """What the store remembers as still to be told."""
    with closing(sqlite3.connect(data / "progresshub.db")) as db:
        return db.execute("SELECT name FROM settings WHERE name LIKE 'callback:%'").fetchall()


async def test_the_end_is_told_once(tmp_path: Path) -> None:
    async with receiving() as receiver, serving(tmp_path, *QUICK) as client:
        execution_id = await begun(client, callback_url=receiver.url)
        await client.report(await task_id(client, execution_id), status="done", result={"n": 1})
        request, told = await receiver.next()
        ended = await client.get(f"{EXECUTIONS}/{execution_id}")

        other = await begun(client, callback_url=receiver.url)
        await client.post(f"{EXECUTIONS}/{other}/cancel")
        _, second = await receiver.next()

    assert (request.method, request.content_type) == ("POST", "application/json")
    assert list(told) == ["event", "execution_id", "status", "outputs", "error", "timestamp"]
    assert told == {
        "event": "execution.completed",
        "execution_id": execution_id,
        "status": "completed",
        "outputs": {"n": 1},
        "error": None,
        "timestamp": ended["completed_at"],
    }
    assert (second["event"], second["execution_id"]) == ("execution.cancelled", other)
    assert receiver.empty


async def test_it_is_signed_with_the_secret_of_the_settings(tmp_path: Path) -> None:
    async with receiving() as receiver, serving(tmp_path, *QUICK, "callbacks.secret=between us") as client:
        execution_id = await begun(client, callback_url=receiver.url)
        await client.report(await task_id(client, execution_id), status="failed", error="no")
        request, body = await receiver.raw()

    expected = hmac.digest(b"between us", body, "sha256").hex()
    assert request.headers["X-Progresshub-Signature"] == f"sha256={expected}"
    assert orjson.loads(body)["event"] == "execution.failed"


async def test_it_is_tried_again_until_it_is_heard(tmp_path: Path) -> None:
    async with receiving(500, 302, 200) as receiver, serving(tmp_path, *QUICK) as client:
        execution_id = await begun(client, callback_url=receiver.url)
        await client.report(await task_id(client, execution_id), status="done")
        paths = [(await receiver.next())[0].path for _ in range(3)]

        other = await begun(client, callback_url=receiver.url)
        await client.post(f"{EXECUTIONS}/{other}/cancel")
        _, last = await receiver.next()

    assert paths == ["/hook"] * 3
    assert last["execution_id"] == other


async def test_it_is_given_up_after_so_many_tries(tmp_path: Path) -> None:
    async with receiving(500) as receiver, serving(tmp_path, *QUICK, "callbacks.tries=2") as client:
        execution_id = await begun(client, callback_url=receiver.url)
        await client.post(f"{EXECUTIONS}/{execution_id}/cancel")
        told = [(await receiver.next())[1]["execution_id"] for _ in range(2)]

        other = await begun(client, callback_url=receiver.url)
        await client.post(f"{EXECUTIONS}/{other}/cancel")
        then = [(await receiver.next())[1]["execution_id"] for _ in range(2)]

    assert (told, then) == ([execution_id] * 2, [other] * 2)


async def test_what_was_not_heard_is_told_after_a_restart(tmp_path: Path) -> None:
    data = tmp_path / "data"
    slow = ("callbacks.allow_private=true", "callbacks.backoff_s=3600.0")
    async with receiving(503, 200) as receiver:
        async with process(data, *slow) as server, speaking(server.url) as client:
            execution_id = await begun(client, callback_url=receiver.url)
            await client.post(f"{EXECUTIONS}/{execution_id}/cancel")
            await receiver.next()
            server.kill()
            await server.gone()

        async with process(data, *slow) as server:
            _, told = await receiver.next()
            server.terminate()
            await server.gone()

    assert told["execution_id"] == execution_id


async def test_what_was_heard_is_not_told_after_a_restart(tmp_path: Path) -> None:
    async with receiving() as receiver:
        async with serving(tmp_path, *QUICK) as client:
            execution_id = await begun(client, callback_url=receiver.url)
            await client.post(f"{EXECUTIONS}/{execution_id}/cancel")
            await receiver.next()
            await until(lambda: not still_due(tmp_path))

        async with serving(tmp_path, *QUICK) as client:
            other = await begun(client, callback_url=receiver.url)
            await client.post(f"{EXECUTIONS}/{other}/cancel")
            _, told = await receiver.next()

    assert told["execution_id"] == other


async def test_tasks_of_other_dialects_call_nobody_whatever_their_metadata_say(tmp_path: Path) -> None:
    async with receiving() as receiver, serving(tmp_path, *QUICK) as client:
        task = await client.submit("external", metadata={"callback_url": f"{receiver.url}/no"})
        await client.report(task, status="done")
        execution_id = await begun(client, callback_url=receiver.url)
        await client.post(f"{EXECUTIONS}/{execution_id}/cancel")

        request, _ = await receiver.next()

    assert request.path == "/hook"


async def test_a_name_of_a_private_address_is_not_connected_to() -> None:
    async with receiving() as receiver, session(Callbacks()) as outward:
        with pytest.raises(aiohttp.ClientConnectorError, match="not at a public address"):
            await outward.post(f"http://localhost:{receiver.port}/hook")

    assert receiver.empty


async def test_a_number_in_disguise_is_a_name_to_look_at() -> None:
    resolver = PublicResolver()

    for host in ("2130706433", "0x7f.1", "127.1"):
        with pytest.raises(OSError):  # noqa: PT011 - not public, or on some systems not found at all
            await resolver.resolve(host)
    await resolver.close()


@pytest.mark.parametrize(
    ("url", "refusal"),
    [
        ("", ""),
        ("https://example.com/hook?x=1", ""),
        ("http://1.1.1.1:8080/", ""),
        ("http://127.0.0.1/", "127.0.0.1 is not a public address"),
        ("http://[::ffff:10.0.0.1]/", "::ffff:10.0.0.1 is not a public address"),
        ("file:///etc/passwd", "it must begin with http:// or https:// and name a host"),
        ("http:///nowhere", "it must begin with http:// or https:// and name a host"),
        ("http://a b/", "it contains spaces or control characters"),
    ],
)
def test_an_address_that_can_not_be_used_is_refused_with_a_reason(url: str, refusal: str) -> None:
    assert refusal_of(url, Callbacks()) == refusal


def test_private_addresses_can_be_allowed() -> None:
    assert refusal_of("http://127.0.0.1/", Callbacks(allow_private=True)) == ""
