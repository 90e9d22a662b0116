"""The registry: what may happen to a task, who sees it when, and what a refusing store leaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from progresshub.errors import (
    DuplicateTask,
    IdempotencyMismatch,
    InvalidField,
    NotCancellable,
    NotDeletable,
    NotReportable,
    NotRetryable,
    StorageFull,
    TooMany,
    UnknownKind,
    UnknownTask,
)
from progresshub.kinds import Outcome
from progresshub.model import Event, EventType, Failure, State, StepState, Task
from progresshub.protocol import Report, StepPlan
from progresshub.registry import journal
from progresshub.registry.hub import Hub
from progresshub.registry.submission import IdempotencyKey, Submission
from progresshub.storage.persistence import Filter, Place, short
from tests.parts import WORDS, Disk, HandClock, Sink, a_hub, kind
from tests.wait import until


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
async def disk() -> Disk:
    return Disk()


@pytest.fixture
async def hub(tmp_path: Path, clock: HandClock, disk: Disk) -> AsyncIterator[Hub]:
    async with a_hub(tmp_path, store=disk, clock=clock) as hub:
        yield hub


def asked(kind: str = "work", **given: object) -> Submission:
    return Submission(**{"kind": kind, "payload": {}, "origin": "queues", **given})  # type: ignore[arg-type]


async def submitted(hub: Hub, **given: object) -> str:
    (accepted,) = await hub.submit([asked(**given)])  # type: ignore[arg-type]
    return accepted.task_id


async def running(hub: Hub, **given: object) -> str:
    task_id = await submitted(hub, **given)
    hub.start(task_id)
    await hub.journal.committed()
    return task_id


async def ended(hub: Hub, status: str = "done", **given: object) -> str:
    task_id = await running(hub, **given)
    failure = None if status == "done" else Failure(type="t", message="m")
    hub.finish(task_id, Outcome(status=status, failure=failure, result=1), retry_at_ms=None)  # type: ignore[arg-type]
    await hub.journal.committed()
    return task_id


async def test_what_is_accepted_is_in_the_store(hub: Hub, disk: Disk) -> None:
    task_id = await submitted(hub, queue="fresh", priority=3, title="t")

    kept = await disk.load(task_id)
    assert kept == await hub.get(task_id)
    assert kept is not None
    assert (kept.spec.queue, kept.spec.priority, kept.state) == ("fresh", 3, State.PENDING)


async def test_nobody_sees_a_task_before_it_is_kept(hub: Hub, disk: Disk) -> None:
    disk.open_gate.clear()
    seen: list[Task] = []
    hub.listen(lambda event: seen.append(event.task))

    submitting = asyncio.create_task(hub.submit([asked()]))
    await until(lambda: seen)

    assert hub.find(seen[0].id) is None
    with pytest.raises(UnknownTask):
        await hub.cancel(seen[0].id)
    disk.open_gate.set()
    await submitting
    assert hub.find(seen[0].id) is not None


async def test_a_change_of_state_shows_only_when_it_is_kept(hub: Hub, disk: Disk) -> None:
    task_id = await submitted(hub)
    sink = Sink()
    hub.bus.watch([task_id], WORDS, sink).release()
    disk.open_gate.clear()

    hub.start(task_id)
    hub.progressed(task_id, Report(percent=5))
    await asyncio.sleep(0)

    assert (await hub.get(task_id)).state is State.PENDING
    assert sink.data == b""
    disk.open_gate.set()
    await hub.journal.settled(task_id)
    await asyncio.sleep(0)
    assert sink.data == b"started progressed5 "


async def test_plain_progress_waits_for_no_commit(hub: Hub, disk: Disk) -> None:
    task_id = await running(hub)
    sink = Sink()
    hub.bus.watch([task_id], WORDS, sink).release()
    disk.open_gate.clear()

    hub.progressed(task_id, Report(percent=7))
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    assert sink.data == b"progressed7 "
    disk.open_gate.set()


async def test_a_refusing_store_takes_nothing_back_but_what_is_new(hub: Hub, disk: Disk) -> None:
    task_id = await running(hub)
    disk.refusal = StorageFull()

    hub.finish(task_id, Outcome(status="done", result=42), retry_at_ms=None)
    with pytest.raises(StorageFull):
        await hub.submit([asked()])
    with pytest.raises(StorageFull):
        await hub.submit([asked()])

    assert (await hub.get(task_id)).state is State.RUNNING
    disk.refusal = None
    await hub.journal.settled(task_id)
    assert (await hub.get(task_id)).result == 42
    assert (await hub.page(Filter(), None, 50)).tasks == [await hub.get(task_id)]
    await submitted(hub)


async def test_counts_follow_what_is_kept(hub: Hub, disk: Disk) -> None:
    task_id = await ended(hub)
    await submitted(hub)

    assert +hub.journal.counts == await disk.counts()
    assert hub.journal.counts[Place("default", "work", State.COMPLETED)] == 1
    await hub.delete(task_id)
    assert +hub.journal.counts == await disk.counts()


async def test_a_batch_is_taken_whole_or_not_at_all(hub: Hub, disk: Disk) -> None:
    with pytest.raises(UnknownKind):
        await hub.submit([asked(), asked("nonsense")])

    assert await disk.live() == []
    before = disk.commits
    await hub.submit([asked() for _ in range(100)])
    assert disk.commits == before + 1


@pytest.mark.parametrize("queue", ["", "a b", "x" * 65, "../up"])
async def test_a_queue_has_a_sane_name(hub: Hub, queue: str) -> None:
    with pytest.raises(InvalidField, match="queue"):
        await submitted(hub, queue=queue)


async def test_there_is_a_bound_to_the_number_of_queues(hub: Hub) -> None:
    for n in range(9):
        await submitted(hub, queue=f"q{n}")

    with pytest.raises(TooMany):
        await submitted(hub, queue="one-more")


async def test_the_same_work_is_not_taken_twice_within_its_window(hub: Hub, clock: HandClock) -> None:
    holder = await submitted(hub, payload={"a": 1, "b": 2}, unique_ms=1_000)

    with pytest.raises(DuplicateTask) as refused:
        await submitted(hub, payload={"b": 2, "a": 1}, unique_ms=1_000)
    assert refused.value.details["task_id"] == holder
    await submitted(hub, payload={"a": 1, "b": 2}, unique_ms=1_000, queue="other")
    clock.ms += 1_000
    await submitted(hub, payload={"a": 1, "b": 2}, unique_ms=1_000)


async def test_a_task_that_has_ended_holds_nothing(hub: Hub) -> None:
    await ended(hub, unique_ms=60_000)

    await submitted(hub, unique_ms=60_000)


async def test_two_of_the_same_in_one_batch_are_one_too_many(hub: Hub) -> None:
    with pytest.raises(DuplicateTask):
        await hub.submit([asked(unique_ms=9_000), asked(unique_ms=9_000)])


async def test_a_repeated_request_is_answered_as_before(hub: Hub) -> None:
    key = IdempotencyKey("k", b"body")

    first, second, third = await asyncio.gather(*(hub.submit([asked()], key) for _ in range(3)))

    assert first == second == third
    assert len((await hub.page(Filter(), None, 50)).tasks) == 1
    with pytest.raises(IdempotencyMismatch):
        await hub.submit([asked()], IdempotencyKey("k", b"another body"))


async def test_a_refused_request_leaves_its_key_free(hub: Hub) -> None:
    key = IdempotencyKey("k", b"body")
    with pytest.raises(UnknownKind):
        await hub.submit([asked("nonsense")], key)

    assert await hub.submit([asked()], key)


async def test_a_waiting_task_is_cancelled_at_once(hub: Hub) -> None:
    task = await hub.cancel(await submitted(hub))

    assert task.state is State.CANCELLED
    assert task.error is not None


async def test_a_running_task_is_cancelled_when_it_has_stopped(hub: Hub) -> None:
    task_id = await running(hub)

    await hub.cancel(task_id)

    assert (await hub.get(task_id)).cancelling
    with pytest.raises(NotCancellable):
        await hub.cancel(task_id)
    hub.finish(task_id, Outcome(status="done"), retry_at_ms=None)
    await hub.journal.committed()
    assert (await hub.get(task_id)).state is State.CANCELLED


@pytest.mark.parametrize("status", ["done", "failed", "cancelled"])
async def test_what_has_ended_can_not_be_cancelled(hub: Hub, status: str) -> None:
    task_id = await ended(hub, status)

    with pytest.raises(NotCancellable):
        await hub.cancel(task_id)


async def test_only_what_does_not_run_can_be_deleted(hub: Hub) -> None:
    task_id = await running(hub)
    with pytest.raises(NotDeletable):
        await hub.delete(task_id)

    hub.finish(task_id, Outcome(status="done"), retry_at_ms=None)
    await hub.journal.committed()
    directory = hub.files.directory(task_id)
    directory.mkdir(parents=True)
    await hub.delete(task_id)

    with pytest.raises(UnknownTask):
        await hub.get(task_id)
    assert not directory.exists()


async def test_a_retry_by_hand_is_a_new_task_with_the_old_files(hub: Hub) -> None:
    task_id = await ended(hub, "failed", payload={"x": 1}, priority=4)
    hub.files.directory(task_id).mkdir(parents=True)
    (hub.files.directory(task_id) / "film.part").write_bytes(b"half")

    again = await hub.get((await hub.retry(task_id)).task_id)

    assert (again.spec.retry_of, again.spec.payload, again.spec.priority) == (task_id, {"x": 1}, 4)
    assert (hub.files.directory(again.id) / "film.part").read_bytes() == b"half"
    with pytest.raises(NotRetryable):
        await hub.retry(again.id)


async def test_a_task_has_what_was_staged_for_it(hub: Hub) -> None:
    folder = hub.files.stage()
    (folder / "song.mp3").write_bytes(b"la")

    task_id = await submitted(hub, staged=folder)
    hub.files.unstage(folder)

    assert (hub.files.directory(task_id) / "song.mp3").read_bytes() == b"la"
    assert hub.files.strays() == ()


async def test_what_was_staged_for_a_task_that_was_never_kept_is_gone(hub: Hub, disk: Disk) -> None:
    folder = hub.files.stage()
    (folder / "song.mp3").write_bytes(b"la")
    disk.refusal = StorageFull()

    with pytest.raises(StorageFull):
        await submitted(hub, staged=folder)

    assert hub.files.sizes() == {}


async def test_reports_move_a_running_task(hub: Hub) -> None:
    task_id = await running(hub)

    hub.progressed(task_id, Report(current=1, total=4, stage="read"))

    task = await hub.get(task_id)
    assert task.progress is not None
    assert (task.progress.percent, task.progress.stage) == (25.0, "read")


async def test_a_report_that_comes_too_late_changes_nothing(hub: Hub) -> None:
    task_id = await ended(hub)
    before = await hub.get(task_id)

    hub.progressed(task_id, Report(percent=3))

    assert await hub.get(task_id) == before


async def test_outside_work_is_reported_over_the_hub(hub: Hub) -> None:
    task_id = await running(hub, kind="outside", payload={"total": 8, "unit": "pages"})

    await hub.report(task_id, Report(current=2))
    task = await hub.get(task_id)
    assert task.progress is not None
    assert (task.progress.percent, task.progress.unit) == (25.0, "pages")
    await hub.report(task_id, Report(status="failed", error="out of paper"))

    task = await hub.get(task_id)
    assert (task.state, task.error and task.error.message) == (State.FAILED, "out of paper")
    with pytest.raises(NotReportable):
        await hub.report(task_id, Report(percent=1))


async def test_nobody_reports_for_work_that_the_server_does(hub: Hub) -> None:
    with pytest.raises(NotReportable):
        await hub.report(await running(hub), Report(percent=1))


async def test_history_is_thinned_where_it_grows_too_long(tmp_path: Path, disk: Disk, clock: HandClock) -> None:
    async with a_hub(tmp_path, store=disk, clock=clock, max_entries=20) as hub:
        task_id = await running(hub)
        for n in range(1_000):
            hub.progressed(task_id, Report(message=str(n)))
        await hub.journal.committed()

        entries = await disk.history(await hub.get(task_id), start=(0, 0), types=None, limit=1_000)  # type: ignore[arg-type]

    assert len(entries) <= 24
    last = entries[-1].task.progress
    assert last is not None
    assert last.message == "999"


async def test_event_ids_grow_even_when_the_clock_is_turned_back(hub: Hub, clock: HandClock) -> None:
    events: list[Event] = []
    hub.listen(events.append)

    await submitted(hub)
    clock.ms -= 500_000
    await submitted(hub)
    clock.ms += 900_000
    await submitted(hub)

    ids = [event.id for event in events]
    assert ids == sorted(set(ids))


async def test_old_finished_tasks_leave_memory_and_are_found_again(tmp_path: Path, disk: Disk) -> None:
    async with a_hub(tmp_path, store=disk, recent=2) as hub:
        ids = [await ended(hub) for _ in range(5)]

        assert [hub.find(task_id) is None for task_id in ids] == [True, True, True, False, False]
        assert (await hub.get(ids[0])).state is State.COMPLETED
        await hub.delete(ids[0])
        with pytest.raises(UnknownTask):
            await hub.get(ids[0])


async def test_an_unknown_id_is_unknown(hub: Hub) -> None:
    for act in (hub.get, hub.cancel, hub.delete, hub.retry):
        with pytest.raises(UnknownTask):
            await act(str(uuid4()))


async def test_a_watcher_of_everything_is_told_where_to_resume_behind_what_is_still_hidden(
    hub: Hub, disk: Disk
) -> None:
    first, second = await running(hub), await running(hub)
    seen: list[Event] = []

    def remember(event: Event) -> bytes:
        seen.append(event)
        return b"."

    hub.bus.watch_all(lambda task: True, WORDS._replace(encode=remember), Sink()).release()
    disk.open_gate.clear()
    hub.finish(first, Outcome(status="done"), retry_at_ms=None)
    hub.progressed(second, Report(percent=50))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    disk.open_gate.set()
    await hub.journal.settled(first)
    await asyncio.sleep(0)

    progressed, completed = seen
    assert (progressed.type, completed.type) == (EventType.PROGRESSED, EventType.COMPLETED)
    assert completed.id < progressed.id
    assert progressed.resume is not None
    assert progressed.resume < completed.id


async def test_what_happens_while_the_store_refuses_is_shown_when_it_takes_it(hub: Hub, disk: Disk) -> None:
    first, second = await running(hub), await running(hub)
    disk.refusal = StorageFull()
    disk.open_gate.clear()
    hub.finish(first, Outcome(status="done", result=1), retry_at_ms=None)
    await asyncio.sleep(0)
    hub.finish(second, Outcome(status="done", result=2), retry_at_ms=None)

    disk.open_gate.set()
    await until(lambda: hub.journal.trouble)
    disk.refusal = None
    async with asyncio.timeout(10):
        await asyncio.gather(hub.journal.settled(first), hub.journal.settled(second))

    assert [(await hub.get(task_id)).result for task_id in (first, second)] == [1, 2]
    assert hub.journal.trouble is None


async def test_a_hub_closes_though_its_store_refuses_to_the_end(
    tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "TRY_AGAIN_S", 0.0)
    async with asyncio.timeout(10), a_hub(tmp_path, store=disk) as hub:
        task_id = await running(hub)
        disk.refusal = StorageFull()
        hub.finish(task_id, Outcome(status="done"), retry_at_ms=None)


async def test_reading_makes_nobody_write(hub: Hub, disk: Disk) -> None:
    await submitted(hub)
    before = disk.commits

    for _ in range(10):
        await hub.kept()

    assert disk.commits == before


def going_on(hub: Hub) -> None:
    """Have tasks of kind `work` go on after the steps that have ended."""
    hub.kinds = {**hub.kinds, "work": kind("work", keeps_steps=True)}


def plan(hub: Hub, task_id: str) -> None:
    hub.progressed(task_id, Report(steps=(StepPlan(name="a"), StepPlan(name="b"))))
    hub.progressed(task_id, Report(step="a", status="done", result=1))
    hub.progressed(task_id, Report(step="b", percent=50))


async def test_steps_that_have_ended_are_kept_where_the_kind_goes_on(hub: Hub) -> None:
    going_on(hub)
    task_id = await running(hub)
    plan(hub, task_id)

    hub.recover(task_id, crashed=True)
    hub.start(task_id)
    await hub.journal.committed()

    task = await hub.get(task_id)
    assert [(step.state, step.result) for step in task.steps] == [(StepState.COMPLETED, 1), (StepState.WAITING, None)]
    assert task.progress is None


async def test_a_retry_by_hand_takes_over_the_steps_where_the_kind_goes_on(hub: Hub) -> None:
    going_on(hub)
    task_id = await running(hub)
    plan(hub, task_id)
    hub.finish(task_id, Outcome(status="failed", failure=Failure(type="t", message="m")), retry_at_ms=None)
    await hub.journal.committed()

    again = await hub.get((await hub.retry(task_id)).task_id)

    assert [step.state for step in again.steps] == [StepState.COMPLETED, StepState.WAITING]


async def test_other_kinds_begin_their_steps_anew(hub: Hub) -> None:
    task_id = await running(hub)
    plan(hub, task_id)

    hub.recover(task_id, crashed=True)
    hub.start(task_id)
    await hub.journal.committed()

    assert (await hub.get(task_id)).steps == ()


async def test_the_end_of_a_step_is_kept_before_it_is_shown_where_the_kind_goes_on(hub: Hub, disk: Disk) -> None:
    going_on(hub)
    task_id = await running(hub)
    disk.open_gate.clear()

    plan(hub, task_id)

    assert [step.state for step in (await hub.get(task_id)).steps] == [StepState.WAITING, StepState.WAITING]
    disk.open_gate.set()
    await hub.journal.settled(task_id)
    assert (await hub.get(task_id)).steps[0].state is StepState.COMPLETED


async def test_a_task_is_found_by_the_beginning_of_its_id_at_hand_or_not(tmp_path: Path) -> None:
    async with a_hub(tmp_path, recent=0) as hub:
        waiting, done = await submitted(hub), await ended(hub)

        assert (await hub.beginning(short(waiting))).id == waiting
        assert (await hub.beginning(short(done))).id == done
        with pytest.raises(UnknownTask):
            await hub.beginning("0" * 12)
