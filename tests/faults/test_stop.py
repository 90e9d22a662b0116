"""A server that is asked to stop: streams end, work is asked to end and given back, and nothing is left."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.faults import audit
from tests.faults.shop import Shop, half_a_request, left_of
from tests.serving import Client, Process, client, process
from tests.wait import until

HASTE = ("runner.interrupt_grace_s=0.2", "runner.terminate_grace_s=0.2", "server.shutdown_grace_s=0.2")
PATIENCE = ("runner.interrupt_grace_s=600.0", "server.shutdown_grace_s=600.0")
STOPPING = "the server is stopping"
LONG_DEMO = {"count": 1_000, "delay_ms": 100}


async def test_streams_end_with_a_goodbye(shop: Shop) -> None:
    async with process(shop.data, *HASTE) as server, client(server.url) as speaker:
        task_id = await speaker.submit("external")
        one = f"/api/v1/tasks/{task_id}/progress/stream"
        several = "/api/v1/progress/stream"
        every = "/api/v1/events/stream"
        async with (
            speaker.stream(one) as first,
            speaker.stream(several, task_ids=task_id) as second,
            speaker.stream(every) as third,
        ):
            server.terminate()

            for stream in (first, second, third):
                await stream.rest()
                assert stream.comments[-1] == STOPPING
        assert await server.gone() == 0


async def test_work_is_asked_to_end_then_ended_and_its_state_written(shop: Shop) -> None:
    async with process(shop.data, *HASTE, environment=shop.environment) as server, client(server.url) as speaker:
        demo = await speaker.submit("demo", LONG_DEMO)
        command = await _begun(shop, speaker, "command", shop.command("long"))
        work = await _begun(shop, speaker, "work", shop.work(600))
        external = await speaker.submit("external")
        later = await speaker.submit("demo", process_at="2999-01-01T00:00:00Z")
        async with speaker.stream(f"/api/v1/tasks/{demo}/progress/stream") as stream:
            assert await stream.next()

        server.terminate()

        assert await server.gone() == 0
        assert not left_of(server.url)
    assert [line.word for line in shop.worked() if line.task_id == command] == ["begin", "int", "term"]
    kept = audit.read(shop.data, shop.root / "copy").tasks
    assert {task_id: kept[task_id].task["state"] for task_id in (demo, command, work, external, later)} == {
        demo: "pending",
        command: "failed",
        work: "pending",
        external: "running",
        later: "scheduled",
    }
    assert kept[command].task["error"]["message"] == "the server stopped while it was running"


async def test_what_was_given_back_goes_on_at_the_next_start_and_counts_no_crash(shop: Shop) -> None:
    async with process(shop.data, *HASTE, environment=shop.environment) as server, client(server.url) as speaker:
        work = await _begun(shop, speaker, "work", shop.work(600))
        server.terminate()
        assert await server.gone() == 0

    async with process(shop.data, *HASTE, environment=shop.environment) as server, client(server.url) as speaker:
        await until(lambda: sum(line.task_id == work for line in shop.worked()) == 2)
        task = await speaker.task(work)

    assert (task["state"], task["attempt"], task.get("crashes", 0)) == ("active", 2, 0)


async def test_a_second_signal_ends_it_at_once(shop: Shop) -> None:
    async with process(shop.data, *PATIENCE, environment=shop.environment) as server, client(server.url) as speaker:
        command = await _begun(shop, speaker, "command", shop.command("long"))
        with half_a_request(server.url):
            await _stops_without_haste(shop, server)

            server.terminate()

            await server.gone()
        await until(lambda: not left_of(server.url))
    assert [line.word for line in shop.worked() if line.task_id == command] == ["begin", "int"]


async def test_after_a_second_signal_the_next_start_recovers(shop: Shop) -> None:
    async with process(shop.data, *PATIENCE, environment=shop.environment) as server, client(server.url) as speaker:
        command = await _begun(shop, speaker, "command", shop.command("long"))
        await _stops_without_haste(shop, server)
        server.terminate()
        await server.gone()

    async with process(shop.data, environment=shop.environment) as server, client(server.url) as speaker:
        task = await speaker.ended(command)

    assert task["state"] == "archived"
    assert task["last_err"] in ("the server died while it was running", "the server stopped while it was running")


async def test_a_request_that_never_ends_does_not_keep_it(shop: Shop) -> None:
    async with process(shop.data, *HASTE) as server, client(server.url) as speaker:
        with half_a_request(server.url):
            await speaker.get("/live")

            server.terminate()

            assert await server.gone() == 0


async def test_a_stopping_server_takes_no_new_connection(shop: Shop) -> None:
    async with process(shop.data, *PATIENCE, environment=shop.environment) as server, client(server.url) as speaker:
        await _begun(shop, speaker, "command", shop.command("long"))
        await _stops_without_haste(shop, server)

        status, body = await speaker.ask("GET", "/ready")
        with pytest.raises(ConnectionRefusedError):
            await _connect(server)

        assert (status, body["status"]) == (503, "not ready")


async def _begun(shop: Shop, speaker: Client, kind: str, task: dict[str, Any]) -> str:
    task_id = await speaker.submit(kind, task["payload"])
    await shop.begun(task_id)
    return task_id


async def _connect(server: Process) -> None:
    address = urlsplit(server.url)
    _, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.close()


async def _stops_without_haste(shop: Shop, server: Process) -> None:
    """Have it ask its work to end, and wait."""
    server.terminate()
    await until(lambda: any(line.word == "int" for line in shop.worked()))
