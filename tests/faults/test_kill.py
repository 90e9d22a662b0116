"""A server that is killed again and again under load keeps every promise it made."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from progresshub.model import EventType, State
from tests.faults import audit
from tests.faults.ledger import Ledger
from tests.faults.load import Load
from tests.faults.shop import Shop, left_of, nobody_left
from tests.serving import Client, client, process

CYCLES = 300 if os.environ.get("PROGRESSHUB_TESTS_FULL") else 30
LONG_EVERY = 5
MAX_CRASHES = 3
PIECE = 100


class Loop:
    """Kill after kill on one data directory, and what has to hold at each."""

    def __init__(self, root: Path, seed: int) -> None:
        self.shop = Shop(root)
        self.load = Load(Ledger(root / "ledger"), self.shop.sorts(), seed)
        self.long: set[str] = set()
        self.kept = audit.Kept({}, [])
        self._told: set[str] = set()
        self._killed = ""

    async def cycle(self, number: int) -> None:
        async with process(self.shop.data, environment=self.shop.environment) as server:
            # The next server does not wait for the last one's children to be gone, so neither does this.
            await nobody_left(self._killed)
            async with client(server.url) as speaker:
                await self.load.ask_again(speaker)
                await self._knows_what_it_promised(speaker)
                if number % LONG_EVERY == 0:
                    await self._begin_long(speaker)
                loading = asyncio.create_task(self.load.run(speaker))
                await self.load.promised(self.load.random.randrange(1, 120))
                server.kill()
                await loading
            await server.gone()
            self._killed = server.url
        self._look_at_what_is_kept()

    async def last(self) -> None:
        """Let everything that does not wait for us come to its end, and stop in good order."""
        async with process(self.shop.data, environment=self.shop.environment) as server:
            async with client(server.url) as speaker:
                await self.load.ask_again(speaker)
                await self._knows_what_it_promised(speaker)
                for task_id in self.long:
                    await speaker.ask("POST", f"/api/v1/tasks/{task_id}/cancel")
                for task_id, task in self.load.tasks.items():
                    if task["type"] != "external":
                        await speaker.ended(task_id)
            server.terminate()
            assert await server.gone() == 0
            assert not left_of(server.url)
        self._look_at_what_is_kept()

    async def _begin_long(self, speaker: Client) -> None:
        """Work that no server lives long enough to see the end of."""
        tasks = {"command": self.shop.command("long"), "work": self.shop.work(600)}
        for kind, task in tasks.items():
            (task_id,) = await self.load.submit(speaker, {"type": kind, "priority": 9, **task})
            self.long.add(task_id)
            await self.shop.begun(task_id)

    async def _knows_what_it_promised(self, speaker: Client) -> None:
        news = [task_id for task_id in self.load.tasks if task_id not in self._told]
        for start in range(0, len(news), PIECE):
            await asyncio.gather(*map(speaker.task, news[start : start + PIECE]))
        self._told.update(news)

    def _look_at_what_is_kept(self) -> None:
        before, self.kept = self.kept, audit.read(self.shop.data, self.shop.root / "copy")
        new = set(self.kept.ids).difference(before.ids)
        assert set(before.ids) <= set(self.kept.ids)
        assert not before.ids or min(new) > before.ids[-1], "an event got an id that is not later than all before"
        missing = self.load.tasks.keys() - self.kept.tasks.keys()
        assert not missing, missing
        for promised, state in ((self.load.completed, State.COMPLETED), (self.load.cancelled, State.CANCELLED)):
            assert {self.kept.tasks[task_id].task["state"] for task_id in promised} <= {state}

    def of_kind(self, kind: str) -> Iterator[audit.Record]:
        return (record for record in self.kept.tasks.values() if record.spec["kind"] == kind)


@pytest.mark.timeout(10 * CYCLES)
async def test_killed_again_and_again_under_load(tmp_path: Path) -> None:
    loop = Loop(tmp_path, seed=1)

    for number in range(CYCLES):
        await loop.cycle(number)
    await loop.last()

    worked = loop.shop.worked()
    assert not [line for line in worked if line.word == "overlap"]
    marks = Counter(record.spec["metadata"]["mark"] for record in loop.kept.tasks.values())
    assert set(marks.values()) == {1}, "a request that was sent again was taken again"
    ended = {line.task_id for line in worked if line.word == "end"}
    for record in loop.of_kind("external"):
        assert _types(record) <= {"submitted", "started", "progressed", "staged", "completed", "cancelled"}
    for record in loop.of_kind("demo"):
        _retried_until_parked(record)
    for record in loop.of_kind("work"):
        _retried_until_parked(record)
        assert record.task["state"] != State.COMPLETED or record.spec["id"] in ended
    for record in loop.of_kind("command"):
        _failed_where_cut_off(record)
        assert record.task["state"] != State.COMPLETED or record.spec["id"] in ended
    assert {loop.kept.tasks[task_id].task["state"] for task_id in loop.long} >= {State.FAILED}


def _types(record: audit.Record) -> set[str]:
    return {event.type.value for event in record.history}


def _retried_until_parked(record: audit.Record) -> None:
    recovered = record.count(EventType.RECOVERED)
    assert record.task.get("crashes", 0) == recovered <= MAX_CRASHES
    if record.task["state"] == State.FAILED:
        assert recovered == MAX_CRASHES
        assert _error(record)["type"] == "parked"
        assert "parked" in _error(record)["message"]


def _failed_where_cut_off(record: audit.Record) -> None:
    assert not record.count(EventType.RECOVERED)
    if record.task["state"] == State.FAILED:
        assert "the server died" in _error(record)["message"]


def _error(record: audit.Record) -> dict[str, Any]:
    error: dict[str, Any] = record.task["error"]
    return error
