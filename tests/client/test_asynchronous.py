"""The asynchronous client against real servers, also ones that go away and come back."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest

from progresshub.client import Ambiguous, AsyncClient, Refused, Task, Unreachable
from progresshub.model import State
from tests.serving import command_file, process, serving
from tests.wait import PATIENCE_S

FUTURE = "2999-01-01T00:00:00Z"
LINES = "import sys\nfor n in range(3):\n    print('line', n, flush=True)\nsys.stdin.read()"


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[AsyncClient]:
    async with serving(tmp_path / "data"), AsyncClient(data=tmp_path / "data") as client:
        yield client


async def test_a_task_is_submitted_with_its_options_and_looked_at(client: AsyncClient) -> None:
    task_id = await client.submit(
        "external",
        {"title": "Boxes"},
        queue="low",
        priority=3,
        process_at=FUTURE,
        metadata={"who": "me"},
        max_retries=2,
    )

    task = await client.task(task_id)

    assert (task.id, task.kind, task.title, task.queue, task.priority) == (task_id, "external", "Boxes", "low", 3)
    assert (task.status, task.final, task.percent, task.max_retry) == (State.SCHEDULED, False, None, 2)
    assert task.metadata == {"who": "me"}


async def test_the_same_idempotency_key_gives_the_same_task(client: AsyncClient) -> None:
    first = await client.submit("external", idempotency_key="once")

    assert await client.submit("external", idempotency_key="once") == first


@pytest.mark.parametrize(
    ("said", "percent", "status"),
    [
        ("42%", 42.0, State.RUNNING),
        ("3/10", 30.0, State.RUNNING),
        ({"percent": 5, "stage": "a"}, 5.0, State.RUNNING),
        ("looking", None, State.RUNNING),
        ("done", 100.0, State.COMPLETED),
        ("failed: no wind", 0.0, State.FAILED),
    ],
)
async def test_what_is_reported_is_seen(
    client: AsyncClient, said: str | dict[str, object], percent: float | None, status: State
) -> None:
    task_id = await client.submit("external")

    await client.report(task_id, said)

    task = await client.task(task_id)
    assert (task.percent, task.status) == (percent, status)
    if status is State.FAILED:
        assert task.error is not None
        assert (task.error.message, task.last_err) == ("no wind", "no wind")


async def test_tasks_are_listed_over_several_pages_and_narrowed(client: AsyncClient, monkeypatch) -> None:
    monkeypatch.setattr("progresshub.client.asynchronous.PAGE", 2)
    ids = [await client.submit("external", queue="low" if n % 2 else "high") for n in range(5)]
    await client.cancel(ids[0])

    assert [task.id for task in await client.tasks()] == ids[::-1]
    assert [task.id for task in await client.tasks(limit=3)] == ids[:1:-1]
    assert [task.id for task in await client.tasks(queue="low")] == [ids[3], ids[1]]
    assert [task.id for task in await client.tasks(state="cancelled")] == [ids[0]]
    assert await client.tasks(kind="demo") == []


async def test_an_id_is_found_by_how_it_begins(client: AsyncClient) -> None:
    ids = [await client.submit("external") for _ in range(17)]  # two of them begin alike
    doubled = next(one[0] for one in ids if sum(other[0] == one[0] for other in ids) > 1)

    assert await client.find(ids[0][:13]) == ids[0]
    with pytest.raises(Ambiguous):
        await client.find(doubled)
    for nothing in ("nothing", "-", "", f"{ids[0][:20]}--ffff"):
        with pytest.raises(Refused) as refusal:
            await client.find(nothing)
        assert refusal.value.code == "TASK_NOT_FOUND"


async def test_a_refusal_has_the_servers_code_and_message(client: AsyncClient) -> None:
    with pytest.raises(Refused) as refusal:
        await client.submit("nothing")

    assert (refusal.value.code, refusal.value.status) == ("INVALID_TASK_TYPE", 400)
    assert "nothing" in refusal.value.message


async def test_a_task_is_cancelled_retried_and_deleted(client: AsyncClient) -> None:
    task_id = await client.submit("external")

    await client.cancel(task_id)
    again = await client.retry(task_id)
    await client.delete(task_id)

    assert (await client.task(again)).retry_of == task_id
    with pytest.raises(Refused, match="no task"):
        await client.task(task_id)


async def test_queues_are_paused_and_set(client: AsyncClient) -> None:
    changed = await client.change_queue("default", paused=True, slots=2)

    (queue,) = [queue for queue in await client.queues() if queue.name == "default"]

    assert changed == queue
    assert (queue.paused, queue.slots, queue.weight) == (True, 2, 3)


async def test_a_watch_begins_with_how_it_stands_and_ends_with_the_end(client: AsyncClient) -> None:
    task_id = await client.submit("external")
    await client.report(task_id, "10%")
    seen: list[Task] = []

    async with asyncio.timeout(PATIENCE_S):
        async for task in client.watch(task_id):
            seen.append(task)
            await client.report(task_id, "50%" if task.percent == 10 else "done") if not task.final else None

    assert [task.percent for task in seen if task.percent] == [10.0, 50.0, 100.0]
    assert [task.final for task in seen] == [False] * (len(seen) - 1) + [True]


async def test_a_watch_of_what_has_ended_tells_it_once(client: AsyncClient) -> None:
    task_id = await client.submit("external")
    await client.report(task_id, "done")

    assert [task.status async for task in client.watch(task_id, task_id)] == [State.COMPLETED]


async def test_of_all_tasks_those_that_live_are_told_and_what_comes(client: AsyncClient) -> None:
    ended, living = await client.submit("external"), await client.submit("external")
    await client.report(ended, "done")

    async with asyncio.timeout(PATIENCE_S), aclosing(client.watch()) as news:
        first = await anext(news)
        coming = await client.submit("external")
        second = await anext(news)

    assert (first.id, second.id) == (living, coming)


async def test_more_tasks_than_a_stream_names_are_watched_to_their_ends(client: AsyncClient, monkeypatch) -> None:
    monkeypatch.setattr("progresshub.client.following.MOST_NAMED", 2)
    ids = [await client.submit("external") for _ in range(3)]
    other = await client.submit("external")
    ends = []

    async with asyncio.timeout(PATIENCE_S):
        async for task in client.watch(*ids):
            assert task.id != other
            if task.final:
                ends.append(task.id)
            else:
                await client.report(other, "1%")
                await client.report(task.id, "done")

    assert sorted(ends) == sorted(ids)


async def test_a_watched_task_that_is_deleted_is_told_as_such(client: AsyncClient) -> None:
    task_id = await client.submit("demo", process_at=FUTURE)

    async with asyncio.timeout(PATIENCE_S), aclosing(client.watch(task_id)) as news:
        assert not (await anext(news)).deleted
        await client.delete(task_id)
        rest = [task.deleted async for task in news]

    assert rest == [True]


async def test_what_there_is_not_can_not_be_watched(client: AsyncClient) -> None:
    with pytest.raises(Refused) as refusal:
        await anext(client.watch("0" * 8))

    assert refusal.value.code == "TASK_NOT_FOUND"


async def test_who_missed_too_much_is_told_how_it_ended(client: AsyncClient, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr("progresshub.dialects.queues.progress.MOST_MISSED", 3)
    task_id = await client.submit("external")
    links: list[bool] = []

    async with asyncio.timeout(PATIENCE_S), aclosing(client.watch(task_id, on_link=links.append)) as news:
        await anext(news)
        await client.report(task_id, "1%")
        await anext(news)
        await client._connection.close()  # its connections break while much happens
        async with AsyncClient(data=tmp_path / "data") as other:
            for percent in range(2, 9):
                await other.report(task_id, f"{percent}%")
            await other.report(task_id, "done")
        client._connection = type(client._connection)(client.address)
        rest = [task async for task in news]

    assert rest[-1].status is State.COMPLETED


async def test_a_wait_ends_with_the_task_or_with_its_time(client: AsyncClient) -> None:
    task_id = await client.submit("external")

    with pytest.raises(TimeoutError):
        await client.wait(task_id, timeout_s=0.05)
    waiting = asyncio.create_task(client.wait(task_id, PATIENCE_S))
    await client.report(task_id, "done")

    assert (await waiting).status is State.COMPLETED


async def test_a_log_is_read_whole_by_its_tail_and_as_it_comes(tmp_path: Path) -> None:
    file = command_file(tmp_path, lines=LINES)
    async with serving(tmp_path / "data", file=file), AsyncClient(data=tmp_path / "data") as client:
        task_id = await client.submit("command", {"name": "lines"})
        async with asyncio.timeout(PATIENCE_S):
            followed = b"".join([chunk async for chunk in client.logs(task_id, follow=True)])

        assert followed == b"line 0\nline 1\nline 2\n"
        assert b"".join([chunk async for chunk in client.logs(task_id)]) == followed
        assert b"".join([chunk async for chunk in client.logs(task_id, tail=1)]) == b"line 2\n"
        assert b"".join([chunk async for chunk in client.logs(task_id, tail=2, follow=True)]) == b"line 1\nline 2\n"


async def test_a_server_that_is_not_there_is_told_in_one_line(tmp_path: Path) -> None:
    async with AsyncClient("http://127.0.0.1:9") as client:
        with pytest.raises(Unreachable, match="progresshub serve"):
            await client.tasks()
        with pytest.raises(Unreachable):
            await anext(client.watch())


async def test_it_speaks_over_a_unix_socket(tmp_path: Path) -> None:
    listen = f'server.listen=["unix:{tmp_path / "hub"}"]'

    async with serving(tmp_path / "data", listen), AsyncClient(data=tmp_path / "data") as client:
        task_id = await client.submit("external")
        await client.report(task_id, "done")

        assert (await client.wait(task_id)).status is State.COMPLETED


async def test_a_watch_goes_on_when_a_killed_server_is_started_again(tmp_path: Path) -> None:
    data = tmp_path / "data"
    links: list[bool] = []
    async with process(data) as server, AsyncClient(data=data) as client:
        task_id = await client.submit("external")
        await client.report(task_id, "10%")

        async with asyncio.timeout(2 * PATIENCE_S), aclosing(client.watch(task_id, on_link=links.append)) as news:
            assert (await anext(news)).percent == 10
            server.kill()
            await server.gone()
            async with process(data), AsyncClient(data=data) as other:
                await other.report(task_id, "60%")
                await other.report(task_id, "done")
                rest = [task async for task in news]

    assert rest[-1].status is State.COMPLETED
    assert links[0] is True
    assert links[-1] is True
    assert False in links


async def test_a_log_goes_on_where_it_was_when_the_server_is_back(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with process(data) as server, AsyncClient(data=data) as client:
        argv = [sys.executable, "-c", "import time; print('begun', flush=True); time.sleep(600)"]
        task_id = await client.submit("command", {"argv": argv}, max_retries=0)

        async with asyncio.timeout(2 * PATIENCE_S), aclosing(client.logs(task_id, follow=True)) as chunks:
            first = await anext(chunks)
            server.kill()
            await server.gone()
            async with process(data):
                rest = b"".join([chunk async for chunk in chunks])

    assert (first, rest) == (b"begun\n", b"")


async def test_a_watch_is_given_up_when_the_server_stays_away(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with process(data) as server, AsyncClient(data=data, patience_s=0.2) as client:
        task_id = await client.submit("external")

        async with asyncio.timeout(PATIENCE_S), aclosing(client.watch(task_id)) as news:
            await anext(news)
            server.kill()
            with pytest.raises(Unreachable):
                await anext(news)
