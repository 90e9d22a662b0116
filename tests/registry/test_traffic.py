"""What is remembered of the bytes that were moved."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from progresshub.model import Event, EventId, EventType, Progress, State, Task
from progresshub.registry.traffic import LONGEST_MS, PIECE, SLICE_MS, Traffic
from progresshub.storage.memory import MemoryStore
from tests import make

NOW_MS = 1_765_101_600_000


def at(current: float | None, ms: int = NOW_MS, of: Task | None = None, **given: Any) -> Event:
    """A task that has moved so many bytes by then."""
    task = of or make.task(state=State.RUNNING, attempt=1, started_ms=NOW_MS)
    progress = Progress(current=current, unit=given.pop("unit", "bytes"))
    return make.event(make.replaced(task, progress=progress, **given), EventType.PROGRESSED, ms)


def heard(*events: Event) -> Traffic:
    traffic = Traffic()
    for event in events:
        traffic.hear(event)
    return traffic


def moved(traffic: Traffic, window_ms: int = 60_000, now_ms: int = NOW_MS) -> int:
    return traffic.moved_bytes(now_ms, window_ms)


TASK = make.task(state=State.RUNNING, attempt=1, started_ms=NOW_MS)


def test_what_is_added_between_two_reports_was_moved():
    traffic = heard(at(100, of=TASK), at(250, of=TASK), at(250, of=TASK), at(40))

    assert moved(traffic) == 290


def test_a_count_that_goes_back_has_begun_anew():
    assert moved(heard(at(100, of=TASK), at(30, of=TASK), at(50, of=TASK))) == 150


def test_what_an_earlier_attempt_has_left_was_not_moved_again():
    again = make.replaced(TASK, attempt=2)
    retried = make.task(state=State.RUNNING, attempt=1, retry_of=TASK.id, started_ms=NOW_MS)

    assert moved(heard(at(100, of=again), at(130, of=again))) == 30
    assert moved(heard(at(100, of=retried), at(130, of=retried))) == 30


def test_what_was_there_when_the_server_started_is_not_counted():
    traffic = Traffic([at(400, of=TASK).task])

    traffic.hear(at(600, of=TASK))

    assert moved(traffic) == 200


@pytest.mark.parametrize("event", [at(None), at(5, unit="pages"), make.event(TASK, EventType.STARTED, NOW_MS)])
def test_what_counts_no_bytes_is_no_traffic(event):
    assert moved(heard(event)) == 0


def test_only_the_window_counts():
    traffic = heard(at(100, NOW_MS - 120_000), at(7, NOW_MS - 30_000), at(1, NOW_MS))

    assert moved(traffic, 60_000) == 8
    assert moved(traffic, 10_000) == 1
    assert moved(traffic, 600_000) == 108


def test_a_task_that_has_ended_is_forgotten_and_its_bytes_are_not():
    done = make.replaced(at(100, of=TASK).task, state=State.COMPLETED)

    traffic = heard(at(100, of=TASK), make.event(done, EventType.COMPLETED, NOW_MS))

    assert moved(traffic) == 100
    assert traffic._counted == {}


@given(st.lists(st.integers(0, 5 * LONGEST_MS), max_size=50))
def test_its_memory_is_bounded(gaps):
    times = sorted(gaps)

    traffic = heard(*(at(1, NOW_MS + ms) for ms in times))

    assert len(traffic._slices) <= LONGEST_MS // SLICE_MS + 2
    last_ms = NOW_MS + (times[-1] if times else 0)
    recent = sum(NOW_MS + ms > last_ms - LONGEST_MS + SLICE_MS for ms in times)
    assert recent <= moved(traffic, LONGEST_MS, last_ms) <= len(times)


async def test_the_last_hour_is_recalled_from_the_store_in_pieces() -> None:
    store = MemoryStore()
    events = [at(n + 1, NOW_MS - 2_000 + n, of=TASK) for n in range(PIECE + 500)]
    early = at(9_999, NOW_MS - LONGEST_MS - 10_000)
    late = at(5_000, NOW_MS + 1)
    await store.commit(make.batch(TASK, early.task, late.task, events=[early, *events, late]))
    traffic = Traffic()

    await traffic.recall(store, EventId(NOW_MS, 0))

    assert moved(traffic, LONGEST_MS) == PIECE + 500


async def test_a_task_that_began_before_the_hour_is_not_counted_whole() -> None:
    store = MemoryStore()
    old = make.task(state=State.RUNNING, attempt=1, started_ms=NOW_MS - 2 * LONGEST_MS)
    await store.commit(make.batch(old, events=[at(10**9, NOW_MS - 10, of=old), at(10**9 + 5, NOW_MS - 5, of=old)]))
    traffic = Traffic()

    await traffic.recall(store, EventId(NOW_MS, 0))

    assert moved(traffic) == 5
