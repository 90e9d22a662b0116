"""Parts of a server for tests that need some of them and not the rest."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from progresshub.bus import Bus, Encoding
from progresshub.clock import Clock
from progresshub.errors import HubError
from progresshub.files import Files
from progresshub.kinds import Await, Call, Kind
from progresshub.model import Event
from progresshub.registry.hub import Hub
from progresshub.registry.queues import Queue, Queues
from progresshub.storage.memory import MemoryStore
from progresshub.storage.persistence import Batch, Store


class HandClock(Clock):
    """A clock whose hands the test turns."""

    def __init__(self, ms: int = 1_000_000) -> None:
        self.ms = ms
        self.s = 0.0

    def now_ms(self) -> int:
        return self.ms

    def monotonic_s(self) -> float:
        return self.s


class Disk(MemoryStore):
    """A memory store that can be slow, and can refuse."""

    def __init__(self) -> None:
        super().__init__()
        self.refusal: HubError | None = None
        self.open_gate = asyncio.Event()
        self.open_gate.set()
        self.commits = 0

    async def commit(self, batch: Batch) -> None:
        await self.open_gate.wait()
        if self.refusal is not None:
            raise self.refusal
        self.commits += 1
        await super().commit(batch)


def kind(name: str, **given: Any) -> Kind:
    defaults: dict[str, Any] = {
        "summary": "",
        "schema": {},
        "check": dict,
        "launch": lambda task: Call(pool="python", target="nobody:calls"),
        "title": lambda payload: str(payload.get("title", "")),
    }
    return Kind(name=name, **{**defaults, **given})


KINDS = {
    "work": kind("work"),
    "outside": kind("outside", external=True, launch=lambda task: Await(), recovery="resume"),
}


class Sink:
    """A watcher that remembers what it was sent; `held_bytes` is what it has not read yet."""

    def __init__(self) -> None:
        self.data = b""
        self.held_bytes = 0
        self.over = ""
        self.ends: list[Event] = []
        self.lasts = True

    def write(self, data: bytes) -> int:
        self.data += data
        return self.held_bytes

    def backlog(self) -> int:
        return self.held_bytes

    def ended(self, event: Event) -> bool:
        self.ends.append(event)
        return self.lasts

    def finish(self) -> None:
        self.over = self.over or "finished"

    def cut(self) -> None:
        self.over = "cut"


def tell(event: Event) -> bytes:
    """An event as a test reads it: its type, and the percentage if there is one."""
    progress = event.task.progress
    percent = "" if progress is None or progress.percent is None else f"{progress.percent:g}"
    return f"{event.type}{percent} ".encode()


WORDS = Encoding(tell, bytes, b"beat ", b"goodbye ")


@asynccontextmanager
async def a_hub(
    data: Path,
    *,
    store: Store | None = None,
    clock: Clock | None = None,
    kinds: Mapping[str, Kind] = KINDS,
    **given: Any,
) -> AsyncIterator[Hub]:
    """A hub with its journal running, and nobody who schedules."""
    hub = Hub(
        store=store or MemoryStore(),
        bus=Bus(),
        clock=clock or Clock(),
        files=Files(data),
        kinds=kinds,
        queues=Queues({"default": Queue(name="default")}, default_weight=1, most=10),
        **{"write_behind_ms": 0, **given},
    )
    await hub.open()
    async with asyncio.TaskGroup() as group:
        group.create_task(hub.journal.run())
        yield hub
        hub.journal.close()
    hub.bus.close()
