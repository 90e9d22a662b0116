"""The client without asyncio does what the asynchronous one does."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from progresshub.client import AsyncClient, Client, Refused
from progresshub.model import State
from tests.serving import process


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    async with process(tmp_path / "data"):
        with Client(data=tmp_path / "data") as client:
            yield client


async def test_it_works_even_inside_a_running_loop(client: Client) -> None:
    task_id = client.submit("external", {"title": "Boxes"})
    seen = []
    for task in client.watch(task_id):
        seen.append(task.status)
        if not task.final:
            client.report(task_id, "done")

    assert seen[-1] is State.COMPLETED
    assert client.wait(task_id).title == "Boxes"
    assert client.find(task_id[:13]) == task_id
    assert [task.id for task in client.tasks(state="completed")] == [task_id]
    assert b"".join(client.logs(task_id)) == b""
    assert client.files(task_id) == []
    assert client.change_queue("default", weight=2) in client.queues()
    assert client.health().status == "healthy"


async def test_its_errors_are_those_of_the_other(client: Client) -> None:
    task_id = client.submit("external")

    with pytest.raises(Refused):
        client.retry(task_id)
    with pytest.raises(TimeoutError):
        client.wait(task_id, timeout_s=0.05)
    client.cancel(task_id)
    client.delete(task_id)
    with pytest.raises(Refused):
        next(client.watch(task_id))


async def test_a_watch_that_is_left_lets_go_of_the_server(client: Client) -> None:
    client.submit("external")

    for _ in client.watch():
        break

    assert len(client.tasks()) == 1


def test_both_take_the_same() -> None:
    def methods(client: type[object]) -> dict[str, list[str]]:
        found = inspect.getmembers(client, inspect.isfunction)
        return {name: list(inspect.signature(method).parameters) for name, method in found if name[0] != "_"}

    assert methods(Client) == methods(AsyncClient)
