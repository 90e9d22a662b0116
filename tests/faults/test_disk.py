"""A disk that takes no more, and a database that others hold: refused clearly, nothing lost, better by itself."""

from __future__ import annotations

import asyncio
import resource
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

from tests.faults import audit
from tests.faults.shop import Shop
from tests.serving import Client, Process, client, process
from tests.wait import PATIENCE_S

QUICK = ("store.busy_timeout_ms=50", "store.write_behind_ms=0")


async def test_a_full_disk_refuses_new_tasks_and_goes_on_reading(shop: Shop) -> None:
    async with a_server(shop) as (server, speaker):
        task_id = await speaker.submit("external")

        with full_disk(shop, server):
            status, body = await _submitted(speaker)

            assert (status, body["code"]) == (507, "STORAGE_FULL")
            assert (await speaker.task(task_id))["state"] == "active"
            assert [task["id"] for task in (await speaker.get("/api/v1/tasks"))["tasks"]] == [task_id]
            assert await speaker.get("/live")
            assert (await speaker.ask("GET", "/ready"))[0] == 503


async def test_a_full_disk_keeps_no_watcher_from_live_progress(shop: Shop) -> None:
    async with a_server(shop) as (server, speaker):
        task_id = await speaker.submit("external")

        with full_disk(shop, server):
            await _submitted(speaker)
            async with speaker.stream(f"/api/v1/tasks/{task_id}/progress/stream") as stream:
                await speaker.report(task_id, percent=42)
                event = await stream.next()

        assert event is not None
        assert event.data["percentage"] == 42


async def test_what_ends_while_the_disk_is_full_is_written_when_there_is_space(shop: Shop) -> None:
    async with a_server(shop) as (server, speaker):
        external = await speaker.submit("external")
        work = await speaker.submit("work", shop.gated()["payload"])
        await shop.begun(work)
        with full_disk(shop, server):
            status, _ = await speaker.ask(
                "POST", f"/api/v1/tasks/{external}/progress", json={"status": "done", "result": 7}
            )
            assert status == 507
            await shop.let_end()

        async with speaker.stream("/api/v1/progress/stream", task_ids=f"{external},{work}") as stream:
            await stream.rest()
        await _takes_tasks_again(speaker)
        server.kill()
        await server.gone()

    kept = audit.read(shop.data, shop.root / "copy").tasks
    assert {kept[task_id].task["state"] for task_id in (external, work)} == {"completed"}
    assert kept[external].task["result"] == 7


async def test_what_was_refused_was_never_there(shop: Shop) -> None:
    async with a_server(shop) as (server, speaker):
        kept = await speaker.submit("external")
        with full_disk(shop, server):
            await asyncio.gather(*(_submitted(speaker) for _ in range(10)))
        await _takes_tasks_again(speaker)

        ids = {task["id"] for task in (await speaker.get("/api/v1/tasks"))["tasks"]}
        stats = await speaker.get("/api/v1/queues/stats", queue="default")

        assert kept in ids
        assert stats[0]["active"] == len(ids)


async def test_a_stop_while_the_disk_is_full_ends(shop: Shop) -> None:
    async with a_server(shop, "scheduler.slots=1") as (server, speaker):
        first = await speaker.submit("work", shop.gated()["payload"])
        second = await speaker.submit("work", shop.gated()["payload"])
        await shop.begun(first)
        with full_disk(shop, server):
            await shop.let_end()
            await _submitted(speaker)

            server.terminate()

            assert await server.gone() == 0
    kept = audit.read(shop.data, shop.root / "copy").tasks
    assert {kept[first].task["state"], kept[second].task["state"]} <= {"pending", "running"}


async def test_a_kill_while_the_disk_is_full_loses_nothing_promised(shop: Shop) -> None:
    async with a_server(shop) as (server, speaker):
        task_id = await speaker.submit("external")
        with full_disk(shop, server):
            await _submitted(speaker)
            server.kill()
            await server.gone()

    async with a_server(shop) as (_, speaker):
        assert [task["id"] for task in (await speaker.get("/api/v1/tasks"))["tasks"]] == [task_id]


async def test_a_locked_database_refuses_new_tasks_for_a_while(shop: Shop) -> None:
    async with a_server(shop) as (_, speaker):
        await speaker.submit("external")

        with locked(shop):
            async with speaker.session.post(f"{speaker.url}/api/v1/tasks", json=EXTERNAL) as answer:
                status, retry_after, body = answer.status, answer.headers.get("Retry-After"), await answer.json()

        assert (status, retry_after, body["code"]) == (503, "2", "UNAVAILABLE")
        await _takes_tasks_again(speaker)


async def test_a_locked_database_leaves_streams_alone(shop: Shop) -> None:
    async with a_server(shop) as (_, speaker):
        task_id = await speaker.submit("external")
        path = f"/api/v1/tasks/{task_id}/progress/stream"

        with locked(shop):
            await _submitted(speaker)
            async with speaker.stream(path) as new, speaker.stream(path, history="true") as with_past:
                await speaker.report(task_id, percent=42)
                live = [await new.next(), await with_past.next()]

        assert [event and event.data["percentage"] for event in live] == [42, 42]


async def test_what_ends_while_the_database_is_locked_is_told_when_it_is_free(shop: Shop) -> None:
    async with a_server(shop) as (_, speaker):
        work = await speaker.submit("work", shop.gated()["payload"])
        async with speaker.stream(f"/api/v1/tasks/{work}/progress/stream") as stream:
            await shop.begun(work)
            with locked(shop):
                await shop.let_end()

            events = await stream.rest()

        assert events[-1].data == {"task_id": work, "status": "completed"}


EXTERNAL = {"type": "external", "payload": {}}


@asynccontextmanager
async def a_server(shop: Shop, *flags: str) -> AsyncIterator[tuple[Process, Client]]:
    async with (
        process(shop.data, *QUICK, *flags, environment=shop.environment) as server,
        client(server.url) as speaker,
    ):
        yield server, speaker


@contextmanager
def full_disk(shop: Shop, server: Process) -> Iterator[None]:
    """Not a byte more for the server's files than the database's log has now."""
    pid = server.process.pid
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    size = (shop.data / f"{audit.DATABASE}-wal").stat().st_size
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


@contextmanager
def locked(shop: Shop) -> Iterator[None]:
    """Another program writes to the database, and takes its time."""
    db = sqlite3.connect(shop.data / audit.DATABASE, isolation_level=None)
    try:
        db.execute("BEGIN IMMEDIATE")
        yield
    finally:
        db.close()


async def _submitted(speaker: Client) -> tuple[int, dict[str, str]]:
    return await speaker.ask("POST", "/api/v1/tasks", json=EXTERNAL)


async def _takes_tasks_again(speaker: Client) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while (await _submitted(speaker))[0] != 201:
            pass
