"""Watchers that come back after a kill: nothing that lasts is missed, nothing is told twice, ids only grow."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from progresshub.model import EventType
from tests.faults import audit
from tests.faults.ledger import Ledger
from tests.faults.load import Load
from tests.faults.shop import Shop
from tests.serving import Client, Event, Process, client, process
from tests.wait import until

AT_ONCE = "store.write_behind_ms=0"
KILLS = 3
AWAY = 5
"""What happens each time before the watcher is back."""
EVERYTHING = "/api/v1/events/stream"
ENTRIES = {EventType.STAGED, EventType.COMPLETED}


class Watcher:
    """Follows one path from server to server, from where it was."""

    def __init__(self, path: str) -> None:
        self.seen: list[Event] = []
        self._path = path

    @asynccontextmanager
    async def follows(self, speaker: Client) -> AsyncIterator[None]:
        """Watch meanwhile; at the end the stream must have ended or broken."""
        headers = {"Last-Event-ID": self.seen[-1].id} if self.seen else {}
        async with speaker.stream(self._path, headers=headers) as stream:
            watching = asyncio.create_task(self._watch(stream))
            try:
                yield
                await watching
            finally:
                watching.cancel()

    async def sees(self, more: int) -> None:
        """Wait for that many more events than have been seen."""
        await self.has_seen(len(self.seen) + more)

    async def has_seen(self, wanted: int) -> None:
        """Wait until it has seen that many in all."""
        await until(lambda: len(self.seen) >= wanted)

    @property
    def ids(self) -> list[audit.EventId]:
        return [event_id(event.id) for event in self.seen]

    async def _watch(self, stream: Any) -> None:
        try:
            while (event := await stream.next()) is not None:
                self.seen.append(event)
        except (aiohttp.ClientError, TimeoutError):
            return


def event_id(text: str) -> audit.EventId:
    ms, _, n = text.partition("-")
    return int(ms), int(n)


async def test_one_task_is_followed_over_kills(shop: Shop) -> None:
    async with process(shop.data) as server, client(server.url) as speaker:
        task_id = await speaker.submit("external")
        server.kill()
        await server.gone()
    watcher = Watcher(f"/api/v1/tasks/{task_id}/progress/stream?start_id=0")

    for number in range(KILLS):
        async with process(shop.data, AT_ONCE) as server, client(server.url) as speaker:
            for n in range(AWAY):
                await speaker.report(task_id, stage=f"{number}, nobody watches {n}")
            assert (await speaker.get(f"/api/v1/tasks/{task_id}/progress/info"))["length"] >= AWAY * (number + 1)
            async with watcher.follows(speaker):
                reporting = asyncio.create_task(_report_until_gone(speaker, task_id, number))
                await watcher.sees(20)
                server.kill()
                await reporting
            await server.gone()
    async with process(shop.data) as server, client(server.url) as speaker:
        async with watcher.follows(speaker):
            await speaker.report(task_id, status="done")
        await _ended(server)

    entries = [event for event in watcher.seen if event.name == "progress"]
    ids = [event_id(event.id) for event in entries]
    assert ids == sorted(set(ids))
    kept = audit.read(shop.data, shop.root / "copy").tasks[task_id].history
    assert {event.id for event in kept if event.type in ENTRIES} <= set(ids)
    assert watcher.seen[-1].data == {"task_id": task_id, "status": "completed"}


async def test_who_saw_progress_that_was_not_kept_is_known_after_the_kill(shop: Shop) -> None:
    async with process(shop.data, "store.write_behind_ms=60000") as server, client(server.url) as speaker:
        task_id = await speaker.submit("external")
        watcher = Watcher(f"/api/v1/tasks/{task_id}/progress/stream?start_id=0")
        await speaker.report(task_id, percent=10)
        assert (await speaker.get(f"/api/v1/tasks/{task_id}/progress/info"))["length"] == 1
        async with watcher.follows(speaker):
            await watcher.has_seen(1)
            await speaker.report(task_id, percent=20)
            await watcher.has_seen(2)
            server.kill()
        await server.gone()

    async with process(shop.data) as server, client(server.url) as speaker:
        async with watcher.follows(speaker):
            await speaker.report(task_id, percent=30)
            await watcher.has_seen(3)
            server.kill()
        await server.gone()

    assert [event.data["percentage"] for event in watcher.seen] == [10, 20, 30]


async def test_everything_is_followed_over_kills(shop: Shop) -> None:
    watcher = Watcher(EVERYTHING)
    load = Load(Ledger(shop.root / "ledger"), shop.sorts(), seed=2)

    for _ in range(KILLS):
        async with process(shop.data, environment=shop.environment) as server, client(server.url) as speaker:
            for _ in range(AWAY):
                await load.submit(speaker, {"type": "external", "payload": {}})
            async with watcher.follows(speaker):
                loading = asyncio.create_task(load.run(speaker))
                await watcher.sees(100)
                server.kill()
                await loading
            await server.gone()
    async with (
        process(shop.data, environment=shop.environment) as server,
        client(server.url) as speaker,
        watcher.follows(speaker),
    ):
        for task_id, task in load.tasks.items():
            if task["type"] != "external":
                await speaker.ended(task_id)
        fence = await speaker.submit("external")
        await until(lambda: any(event.data["task"]["id"] == fence for event in watcher.seen))
        last = watcher.ids[-1]
        await _ended(server)

    assert "gap" not in {event.name for event in watcher.seen}
    assert watcher.ids == sorted(watcher.ids)
    seen = Counter(map(_name, watcher.seen))
    assert {name for name, times in seen.items() if times > 1} <= {name for name in seen if name[1] in MAY_COME_TWICE}
    kept = audit.read(shop.data, shop.root / "copy")
    missed = {
        (task_id, event.type.value, _of_attempt(event))
        for task_id, record in kept.tasks.items()
        for event in record.history
        if watcher.ids[0] <= event.id <= last and event.type is not EventType.PROGRESSED
    } - seen.keys()
    assert not missed


MAY_COME_TWICE = {"progressed", "staged"}
"""Progress is shown ahead of another task's change of state that is still being written; who comes back goes on
before that change."""


def _name(event: Event) -> tuple[str, str, str]:
    """What tells an event from all others: its task, its type, and which of those it is."""
    task = event.data["task"]
    which = task["stream_id"] if event.name in MAY_COME_TWICE else str(task.get("attempt", 0))
    return task["id"], event.name, which


def _of_attempt(event: audit.Happened) -> str:
    if event.type.value in MAY_COME_TWICE:
        return "{}-{}".format(*event.id)
    return str(event.task.get("attempt", 0))


async def _report_until_gone(speaker: Client, task_id: str, number: int) -> None:
    try:
        for n in range(1_000_000):
            await speaker.report(task_id, stage=f"{number}.{n}", percent=n % 100)
    except aiohttp.ClientError:
        return


async def _ended(server: Process) -> None:
    server.terminate()
    assert await server.gone() == 0
