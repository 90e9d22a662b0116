"""Figures for monitoring, as a scraper reads them."""

from __future__ import annotations

from collections import Counter
from hashlib import sha256

from prometheus_client.parser import text_string_to_metric_families

from progresshub import __version__
from progresshub.edge.metrics import MOST_QUEUES, OTHER, by_queue, exposition
from progresshub.errors import StorageFull
from progresshub.model import State
from progresshub.registry.hub import Hub
from progresshub.registry.submission import Submission
from progresshub.settings import Config, Token
from progresshub.storage.persistence import Place
from tests.edge.served import served
from tests.parts import Disk, HandClock, a_hub

Figures = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def read(text: str) -> Figures:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def figure(hub: Hub, name: str, **labels: str) -> float | None:
    return read(exposition(hub).decode()).get((f"progresshub_{name}", tuple(sorted(labels.items()))))


def work(queue: str = "default") -> Submission:
    return Submission(kind="work", payload={}, origin="queues", queue=queue)


async def test_tasks_are_counted_by_queue_and_state(tmp_path):
    async with a_hub(tmp_path) as hub:
        accepted = await hub.submit([work(), work(), work("low")])
        await hub.cancel(accepted[0].task_id)

        assert figure(hub, "tasks", queue="default", state="pending") == 1
        assert figure(hub, "tasks", queue="default", state="cancelled") == 1
        assert figure(hub, "tasks", queue="low", state="pending") == 1


async def test_what_happens_is_counted_by_kind_and_event(tmp_path):
    async with a_hub(tmp_path) as hub:
        accepted = await hub.submit([work(), work()])
        await hub.cancel(accepted[0].task_id)

        assert figure(hub, "events_total", kind="work", event="submitted") == 2
        assert figure(hub, "events_total", kind="work", event="cancelled") == 1


async def test_trouble_with_the_store_is_told(tmp_path):
    async with a_hub(tmp_path, store=Disk()) as hub:
        well = figure(hub, "store_trouble")
        hub.journal.trouble = StorageFull()

        assert (well, figure(hub, "store_trouble")) == (0, 1)
        hub.journal.trouble = None


async def test_time_watchers_build_and_process_are_told(tmp_path):
    clock = HandClock()
    async with a_hub(tmp_path, clock=clock) as hub:
        clock.s += 5
        hub.bus.delivered = 7
        hub.bus.cut_off = 2

        assert figure(hub, "uptime_seconds") == 5
        assert figure(hub, "watchers") == 0
        assert figure(hub, "deliveries_total") == 7
        assert figure(hub, "watchers_cut_off_total") == 2
        assert figure(hub, "build_info", version=__version__) == 1
        assert figure(hub, "process_resident_memory_bytes")
        assert figure(hub, "process_open_fds")
        assert figure(hub, "process_cpu_seconds_total") is not None


def test_more_queues_than_a_scraper_likes_are_counted_as_one():
    counts = Counter({Place(f"q{n}", "work", State.PENDING): n for n in range(1, MOST_QUEUES + 11)})

    summed = by_queue(counts)

    assert len(summed) == MOST_QUEUES + 1
    assert summed[OTHER, State.PENDING] == sum(range(1, 11))
    assert summed.total() == counts.total()


async def test_they_need_the_scope_to_read(tmp_path):
    settings = Config(tokens={"scraper": Token(sha256=sha256(b"read").hexdigest(), scopes=("read",))})
    async with served(tmp_path, settings=settings) as site:
        assert await site.status("GET", "/metrics") == 401
        async with site.client.get("/metrics", headers={"Authorization": "Bearer read"}) as response:
            assert response.headers["Content-Type"].startswith("text/plain; version=")
            assert read(await response.text())
