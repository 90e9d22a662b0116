"""Fan-out: shared bytes, slow watchers, replay without gap or repetition, and ends that are told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from progresshub.bus import BEAT_SLICES, MANY_EVENTS, Bus, Limits
from progresshub.model import Event, EventType, State, Task
from tests import make
from tests.parts import WORDS, Sink, tell
from tests.wait import until


@pytest.fixture
async def bus() -> AsyncIterator[Bus]:
    bus = Bus(Limits(high_water_bytes=100, owed_events=5, stalled_deadline_s=0.0, heartbeat_s=3600))
    yield bus
    bus.close()


TASK = make.task(state=State.RUNNING)
OTHER = make.task(state=State.RUNNING)


def progressed(percent: int, task: Task = TASK) -> Event:
    moved = make.replaced(task, progress=make.progress(float(percent)))
    return make.event(moved, EventType.PROGRESSED, percent)


def completed(ms: int = 1_000) -> Event:
    return make.event(make.replaced(TASK, state=State.COMPLETED), EventType.COMPLETED, ms)


async def flushed() -> None:
    """Let the bus's next pass go by."""
    for _ in range(3):
        await asyncio.sleep(0)


async def test_only_watchers_of_the_task_hear_of_it(bus: Bus) -> None:
    mine, others = Sink(), Sink()
    bus.watch([TASK.id], WORDS, mine).release()
    bus.watch([OTHER.id], WORDS, others).release()

    bus.publish(progressed(1))
    await flushed()

    assert mine.data == b"progressed1 "
    assert others.data == b""


async def test_an_event_is_encoded_once_however_many_watch(bus: Bus) -> None:
    encoded: list[Event] = []

    def count(event: Event) -> bytes:
        encoded.append(event)
        return tell(event)

    sinks = [Sink() for _ in range(50)]
    for sink in sinks:
        bus.watch([TASK.id], WORDS._replace(encode=count), sink).release()

    bus.publish(progressed(1))
    await flushed()

    assert len(encoded) == 1
    assert {sink.data for sink in sinks} == {b"progressed1 "}


async def test_events_of_one_pass_go_out_together_and_in_order(bus: Bus) -> None:
    sink = Sink()
    bus.watch([TASK.id], WORDS, sink).release()

    for percent in (1, 2, 3):
        bus.publish(progressed(percent))
    await flushed()

    assert sink.data == b"progressed1 progressed2 progressed3 "


class DearSink(Sink):
    """Writing to it takes a while, as it does to thousands."""

    def write(self, data: bytes) -> int:
        time.sleep(0.02)
        return super().write(data)


async def test_after_a_dear_flush_of_many_events_the_next_ones_are_gathered_for_a_while(bus: Bus) -> None:
    sink = DearSink()
    bus.watch([TASK.id], WORDS, sink).release()
    for percent in range(MANY_EVENTS):
        bus.publish(progressed(percent))
    await until(lambda: sink.data)
    told = sink.data

    bus.publish(progressed(98))
    await flushed()
    gathering = sink.data == told
    bus.publish(progressed(99))
    await until(lambda: sink.data != told)

    assert gathering
    assert sink.data == told + b"progressed98 progressed99 "


async def test_a_held_watcher_gets_what_came_meanwhile_when_it_is_released(bus: Bus) -> None:
    sink = Sink()
    subscription = bus.watch([TASK.id], WORDS, sink)
    bus.publish(make.event(TASK, EventType.STAGED, 5))
    bus.publish(make.event(TASK, EventType.STAGED, 6))
    await flushed()
    assert sink.data == b""

    subscription.release(lambda event: event.id.ms > 5)

    assert sink.data == b"staged "


async def test_the_last_event_ends_the_stream(bus: Bus) -> None:
    sink = Sink()
    bus.watch([TASK.id], WORDS, sink).release()

    bus.publish(completed())
    bus.publish(progressed(2))
    await flushed()

    assert sink.data == b"completed progressed2 "
    assert sink.over == "finished"
    assert len(bus) == 0


async def test_an_end_during_the_replay_is_told_at_the_release(bus: Bus) -> None:
    sink = Sink()
    subscription = bus.watch([TASK.id], WORDS, sink)
    bus.publish(completed())
    await flushed()

    subscription.release()

    assert (sink.data, sink.over) == (b"completed ", "finished")


async def test_a_slow_watcher_keeps_the_newest_progress_and_every_other_event(bus: Bus) -> None:
    sink, fast = Sink(), Sink()
    bus.watch([TASK.id], WORDS, sink).release()
    bus.watch([TASK.id], WORDS, fast).release()
    sink.held_bytes = 1_000
    bus.publish(progressed(1))
    await flushed()
    sink.data = b""

    for event in (progressed(2), make.event(TASK, EventType.STAGED, 3), progressed(4), progressed(5)):
        bus.publish(event)
    await flushed()
    assert sink.data == b""
    assert fast.data == b"progressed1 progressed2 staged progressed4 progressed5 "

    sink.held_bytes = 0
    await until(lambda: sink.data)
    assert sink.data == b"staged progressed5 "


async def test_a_watcher_that_is_owed_too_much_is_cut_off(bus: Bus) -> None:
    sink = Sink()
    bus.watch([TASK.id], WORDS, sink).release()
    sink.held_bytes = 1_000
    bus.publish(progressed(1))
    await flushed()

    for ms in range(10, 16):
        bus.publish(make.event(TASK, EventType.STAGED, ms))
    await flushed()

    assert sink.over == "cut"
    assert len(bus) == 0


async def test_a_stuck_watcher_is_cut_off_at_its_deadline(bus: Bus) -> None:
    sink = Sink()
    bus.watch([TASK.id], WORDS, sink).release()
    sink.held_bytes = 1_000

    bus.publish(progressed(1))
    await until(lambda: sink.over)

    assert sink.over == "cut"
    assert bus.cut_off == 1


async def test_a_filter_of_all_tasks_takes_only_those_that_fit(bus: Bus) -> None:
    sink = Sink()
    sink.lasts = False
    bus.watch_all(lambda task: task.id == TASK.id, WORDS, sink).release()

    bus.publish(progressed(1))
    bus.publish(progressed(2, OTHER))
    bus.publish(completed())
    await flushed()

    assert sink.data == b"progressed1 completed "
    assert sink.over == ""


async def test_a_watcher_of_several_tasks_hears_of_each(bus: Bus) -> None:
    sink = Sink()
    bus.watch([TASK.id, OTHER.id], WORDS, sink).release()

    bus.publish(progressed(1))
    bus.publish(progressed(2, OTHER))
    await flushed()

    assert sink.data == b"progressed1 progressed2 "


async def test_silent_streams_show_that_they_are_alive() -> None:
    bus = Bus(Limits(heartbeat_s=0.01))
    sinks = [Sink() for _ in range(40)]
    for sink in sinks:
        bus.watch([TASK.id], WORDS, sink).release()

    await until(lambda: all(sink.data for sink in sinks))

    assert all(sink.data.startswith(b"beat ") for sink in sinks)
    bus.close()


async def test_a_watcher_hears_one_heartbeat_in_its_time_however_few_there_are(bus: Bus) -> None:
    sinks = [Sink() for _ in range(3)]
    for sink in sinks:
        bus.watch([TASK.id], WORDS, sink).release()

    for _ in range(2 * BEAT_SLICES):
        bus._send_beats()

    assert [sink.data for sink in sinks] == [b"beat beat "] * 3


async def test_closing_says_goodbye_after_what_is_pending(bus: Bus) -> None:
    sink = Sink()
    bus.watch([TASK.id], WORDS, sink).release()
    bus.publish(progressed(1))

    bus.close()

    assert (sink.data, sink.over) == (b"progressed1 goodbye ", "finished")
    late = Sink()
    bus.watch([TASK.id], WORDS, late).release()
    assert late.over == "finished"


async def test_watchers_that_leave_leave_nothing(bus: Bus) -> None:
    subscription = bus.watch([TASK.id, OTHER.id], WORDS, Sink())

    subscription.close()
    subscription.close()

    assert len(bus) == 0
    assert bus._topics == {}


async def test_who_is_told_the_past_gets_everything_that_came_meanwhile(bus: Bus) -> None:
    sink = Sink()
    subscription = bus.watch([TASK.id], WORDS, sink)

    for percent in (1, 2, 3):
        bus.publish(progressed(percent))
        await flushed()
    subscription.release()

    assert sink.data == b"progressed1 progressed2 progressed3 "


async def test_more_progress_than_there_is_room_for_while_the_past_is_told_costs_only_progress(bus: Bus) -> None:
    sink = Sink()
    subscription = bus.watch([TASK.id], WORDS, sink)

    for percent in range(20):
        bus.publish(progressed(percent))
    bus.publish(completed())
    await flushed()
    subscription.release()

    assert sink.data == b"progressed19 completed "
    assert sink.over == "finished"


async def test_what_was_published_before_the_join_and_is_still_on_its_way_does_not_come_twice(bus: Bus) -> None:
    early, late = Sink(), Sink()
    bus.watch([TASK.id], WORDS, early).release()
    bus.publish(progressed(1))

    bus.watch([TASK.id], WORDS, late).release(lambda event: event.id > progressed(1).id)
    bus.publish(progressed(2))
    await flushed()

    assert early.data == b"progressed1 progressed2 "
    assert late.data == b"progressed2 "
