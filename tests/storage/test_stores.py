"""What both stores promise, and what only the one on disk can."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from msgspec.structs import replace

from progresshub.errors import StoreLocked, StoreTooNew, StoreUnreadable, Unavailable
from progresshub.model import FIRST, EventId, EventType, State, Task
from progresshub.storage import statements
from progresshub.storage.memory import MemoryStore
from progresshub.storage.persistence import (
    ENTRIES,
    Accepted,
    Answer,
    Batch,
    Change,
    Extent,
    Filter,
    Place,
    Reach,
    Store,
    short,
)
from progresshub.storage.sqlite import SqliteStore
from tests import make


@pytest.fixture(params=["sqlite", "memory"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    store: Store = SqliteStore(tmp_path / "hub.db") if request.param == "sqlite" else MemoryStore()
    await store.open(now_ms=1)
    yield store
    await store.close(now_ms=2)


async def reopened(path: Path, store: SqliteStore) -> SqliteStore:
    await store.close(now_ms=10)
    again = SqliteStore(path)
    await again.open(now_ms=11)
    return again


async def test_a_committed_task_is_found_again_as_it_was(store: Store) -> None:
    task = make.task(payload={"عنوان": "مرحبا"}, progress=make.progress(12.5, message="…"), attempt=2)

    await store.commit(make.batch(task))

    assert await store.load(task.id) == task


@pytest.mark.parametrize("unknown", ["", "x", str(uuid4()), "F47AC10B-58CC-4372-A567-0E02B2C3D479", "a" * 4_000])
async def test_an_id_that_names_no_task_finds_none(store: Store, unknown: str) -> None:
    assert await store.load(unknown) is None


async def test_a_change_replaces_the_task_and_moves_its_count(store: Store) -> None:
    before = make.task()
    after = replace(before, state=State.RUNNING)
    await store.commit(make.batch(before))

    await store.commit(Batch(changes={before.id: Change(before, after, None)}))

    assert await store.load(before.id) == after
    assert await store.counts() == {Place("default", "demo", State.RUNNING): 1}


async def test_only_tasks_that_are_not_final_are_live(store: Store) -> None:
    waiting, done = make.task(1), make.task(2, State.COMPLETED)

    await store.commit(make.batch(waiting, done))

    assert await store.live() == [waiting]


async def test_pages_go_from_the_newest_to_the_oldest_without_gap_or_repetition(store: Store) -> None:
    tasks = [make.task(seq, State.COMPLETED if seq % 3 else State.FAILED, queue=f"q{seq % 4}") for seq in range(1, 24)]
    await store.commit(make.batch(*tasks))

    seen: list[Task] = []
    before = None
    while True:
        page = await store.page(Filter(), before, limit=5)
        seen += page.tasks
        before = page.before_seq
        if before is None:
            break

    assert seen == tasks[::-1]


@pytest.mark.parametrize("merged", [100, 0])
async def test_a_list_goes_on_after_so_many_wherever_they_are(
    store: Store, monkeypatch: pytest.MonkeyPatch, merged: int
) -> None:
    monkeypatch.setattr(statements, "MERGED", merged)
    tasks = [make.task(seq, queue=f"q{seq % 3}", kind=f"k{seq % 2}") for seq in range(1, 21)]
    await store.commit(make.batch(*tasks))

    every = Filter()
    odd = Filter(without_kind="k0")

    assert [await store.after_newest(every, count) for count in (1, 7, 20, 21)] == [20, 14, 1, 0]
    assert [await store.after_newest(odd, count) for count in (1, 7, 10, 11)] == [19, 7, 1, 0]
    assert await store.after_newest(Filter(queue="none"), 1) == 0


async def test_a_task_is_found_by_the_beginning_of_its_id(store: Store) -> None:
    task = make.task()
    await store.commit(make.batch(task, make.task(2)))

    assert await store.beginning(short(task.id), 2) == [task]
    assert await store.beginning("0" * 12, 2) == []


@pytest.mark.parametrize("digits", ["", "a", "ab", "abc", "abcdef0123456789abcdef012345678"])
async def test_tasks_whose_ids_begin_alike_are_found_together_up_to_a_limit(store: Store, digits: str) -> None:
    tasks = [make.task(n, id=f"abcdef01-2345-6789-abcd-ef012345678{n}") for n in range(1, 4)]
    await store.commit(make.batch(*tasks))

    assert await store.beginning(digits, 10) == tasks
    assert await store.beginning(digits, 2) == tasks[:2]
    assert await store.beginning("abd", 10) == []


async def test_tasks_of_a_name_are_found_newest_first_until_they_are_forgotten(store: Store) -> None:
    first, second = make.task(1, names=("tea", "green tea")), make.task(2, names=("tea", "tea"))
    await store.commit(make.batch(first, second, make.task(3), make.task(4, names=("coffee",))))

    assert await store.named("tea", 10) == [second, first]
    assert await store.named("tea", 1) == [second]
    assert await store.named("green tea", 10) == [first]
    assert await store.named("", 10) == await store.named("te", 10) == []

    await store.commit(Batch(forgotten=[second]))

    assert await store.named("tea", 10) == [first]


async def test_a_filter_takes_only_what_fits_all_of_it(store: Store) -> None:
    wanted = make.task(1, State.FAILED, queue="low", kind="download")
    others = [
        make.task(2, State.COMPLETED, queue="low", kind="download"),
        make.task(3, State.FAILED, queue="high", kind="download"),
        make.task(4, State.FAILED, queue="low", kind="demo"),
    ]
    await store.commit(make.batch(wanted, *others))

    page = await store.page(Filter(queue="low", kind="download", states=frozenset({State.FAILED})), None, limit=50)

    assert page.tasks == [wanted]
    assert page.before_seq is None


@pytest.mark.parametrize("looked_at", [0, 500])
@pytest.mark.parametrize("indexed", [0, 2, 100])
async def test_a_search_finds_words_by_their_beginnings_indexed_or_not(
    store: Store, indexed: int, looked_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statements, "LOOKED_AT", looked_at)
    tasks = [
        make.task(1, title="Big Buck Bunny", payload={"url": "http://films.example/bunny.mp4"}),
        make.task(2, title="أغنية جميلة", payload={"url": "http://music.example/song.mp3"}),
        make.task(4, title="한국 영화"),
        make.task(3, title="Bunniès of the North", payload={"tags": ["hare"]}),
    ]
    await store.commit(make.batch(*tasks))
    await store.index(indexed)

    async def found(text: str) -> list[int]:
        return [task.spec.seq for task in (await store.page(Filter(text=text), None, limit=50)).tasks]

    assert await found("bunn") == [3, 1]
    assert await found("bunnies") == await found("Bünnies") == [3]
    assert await found("bunny films") == [1]
    assert await found("أغنية") == [2]
    assert await found("hare") == [3]
    assert await found("한국") == [4]
    assert await found('" OR NEAR( *') == []
    assert await found("?!") == []
    assert await found("UNNIES") == []


async def test_a_search_goes_on_where_its_page_ended(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "hub.db")
    await store.open(now_ms=1)
    await store.commit(make.batch(*(make.task(seq, title="film" if seq % 2 else "song") for seq in range(1, 2_001))))
    await store.index(1_900)

    seen: list[int] = []
    before = None
    while True:
        tasks, before = await store.page(Filter(text="fil"), before, limit=70)
        seen += [task.spec.seq for task in tasks]
        if before is None:
            break

    assert seen == list(range(1_999, 0, -2))
    await store.close(now_ms=2)


async def test_history_is_oldest_first_from_its_start_and_of_the_asked_types(store: Store) -> None:
    task = make.task(state=State.RUNNING)
    kinds = [EventType.SUBMITTED, EventType.STARTED, EventType.PROGRESSED, EventType.STAGED, EventType.COMPLETED]
    events = [make.event(task, kind, ms=100, n=n) for n, kind in enumerate(kinds)]
    await store.commit(make.batch(task, make.task(2), events=events))

    assert await store.history(task, start=FIRST, types=None, limit=100) == events
    assert await store.history(task, start=EventId(100, 3), types=ENTRIES, limit=100) == events[3:]
    assert await store.history(task, start=FIRST, types=ENTRIES, limit=1) == [events[2]]
    assert await store.extent(task, ENTRIES) == Extent(3, EventId(100, 2), EventId(100, 4))
    assert await store.since(EventId(100, 3), limit=10) == events[4:]


async def test_the_latest_events_are_the_last_ones_of_the_asked_types(store: Store) -> None:
    task = make.task(state=State.RUNNING)
    events = [make.event(task, EventType.STARTED, 1), *(make.event(task, EventType.PROGRESSED, n) for n in range(2, 6))]
    await store.commit(make.batch(task, make.task(2), events=events))

    assert await store.latest(task, ENTRIES, 2) == events[-2:]
    assert await store.latest(task, {EventType.STARTED}, 10) == events[:1]
    assert await store.latest(task, ENTRIES, 10) == events[1:]


async def test_it_is_counted_how_far_tasks_came_that_were_not_completed(store: Store) -> None:
    running = make.task(1, State.RUNNING, progress=make.progress(32.3))
    failed = make.replaced(running, state=State.FAILED)
    at_once = make.task(2, State.CANCELLED)
    done = make.task(3, State.COMPLETED, progress=make.progress(100.0))
    await store.commit(make.batch(running, at_once, done))
    await store.commit(Batch(changes={failed.id: Change(running, failed, None)}))

    before = await store.reached()
    await store.commit(Batch(forgotten=[failed]))

    assert before == {Reach(State.FAILED, 323): 1, Reach(State.CANCELLED, 0): 1}
    assert await store.reached() == {Reach(State.CANCELLED, 0): 1}


async def test_an_empty_history_has_no_ends(store: Store) -> None:
    task = make.task()
    await store.commit(make.batch(task))

    assert await store.extent(task, ENTRIES) == Extent(0, None, None)


async def test_thinning_takes_every_second_progress_entry_and_no_other_event(store: Store) -> None:
    task = make.task(state=State.RUNNING)
    events = [make.event(task, EventType.STARTED, 1)]
    events += [make.event(task, EventType.PROGRESSED, 2 + n) for n in range(10)]
    await store.commit(make.batch(task, events=events))

    await store.commit(Batch(thinned=[task]))

    kept = await store.history(task, start=FIRST, types=None, limit=100)
    assert [event.id.ms for event in kept] == [1, 2, 4, 6, 8, 10]


async def test_forgetting_takes_the_task_its_events_and_its_count(store: Store) -> None:
    task, other = make.task(1, State.COMPLETED), make.task(2, State.COMPLETED)
    await store.commit(make.batch(task, other, events=[make.event(task, EventType.COMPLETED, 5)]))
    await store.index(10)

    await store.commit(Batch(forgotten=[task]))

    assert await store.load(task.id) is None
    assert await store.history(task, start=FIRST, types=None, limit=10) == []
    assert (await store.page(Filter(text="demo"), None, 10)).tasks == [other]
    assert sum((await store.counts()).values()) == 1


async def test_expired_tasks_are_those_whose_time_has_come(store: Store) -> None:
    early, late, never = (make.task(seq, State.COMPLETED) for seq in (1, 2, 3))
    await store.commit(make.batch(early, expires_ms=100))
    await store.commit(make.batch(late, expires_ms=200))
    await store.commit(make.batch(never))

    assert await store.expired(now_ms=150, limit=10) == [early]


async def test_an_answer_is_kept_under_its_key(store: Store) -> None:
    answer = Answer("k1", b"digest", (Accepted("a", "low", State.PENDING),), expires_ms=9)

    await store.commit(Batch(answers=[answer]))

    assert await store.answer("k1") == answer
    assert await store.answer("k2") is None


async def test_an_answer_whose_time_is_over_goes(store: Store) -> None:
    await store.commit(Batch(answers=[Answer("old", b"", (), expires_ms=5), Answer("new", b"", (), expires_ms=6)]))

    await store.commit(Batch(answers_until_ms=5))

    assert await store.answer("old") is None
    assert await store.answer("new") is not None


async def test_a_store_opens_where_the_last_one_stopped(tmp_path: Path) -> None:
    path = tmp_path / "hub.db"
    store = SqliteStore(path)
    first = await store.open(now_ms=1)
    task = make.task(7)
    await store.commit(make.batch(task, events=[make.event(task, EventType.SUBMITTED, 50, 3)]))
    await store.close(now_ms=2)

    again = SqliteStore(path)
    second = await again.open(now_ms=60)

    assert second.incarnation > first.incarnation
    assert second.last_event == EventId(50, 3)
    assert second.last_seq == 7
    assert await again.live() == [task]
    await again.close(now_ms=61)


async def test_a_setting_that_becomes_empty_goes(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "hub.db")
    await store.open(now_ms=1)
    await store.commit(Batch(settings={"a": "1", "b": "2"}))
    await store.commit(Batch(settings={"a": ""}))

    await store.close(now_ms=2)
    again = SqliteStore(tmp_path / "hub.db")
    opening = await again.open(now_ms=3)
    await again.close(now_ms=4)

    assert opening.settings == {"b": "2"}


class Meddled:
    """A connection on which something happens before the second question is asked."""

    def __init__(self, db: sqlite3.Connection, meddle: Callable[[], object]) -> None:
        self._db = db
        self._meddle = meddle
        self._questions = 0

    def execute(self, statement: str, *given: Any) -> sqlite3.Cursor:
        if "place = ?" in statement:
            self._questions += 1
            if self._questions == 2:
                self._meddle()
        return self._db.execute(statement, *given)


async def test_a_task_that_moves_while_the_list_is_read_is_in_it(tmp_path: Path) -> None:
    path = tmp_path / "hub.db"
    store = SqliteStore(path)
    await store.open(now_ms=1)
    await store.commit(make.batch(make.task(1), make.task(2, State.RUNNING)))
    await store.close(now_ms=2)
    with closing(sqlite3.connect(path, isolation_level=None)) as ours:
        places = dict(ours.execute("SELECT state, id FROM places"))
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            move = partial(other.execute, "UPDATE tasks SET place = ? WHERE seq = 1", (places["running"],))

            meddled: Any = Meddled(ours, move)
            with statements.snapshot(meddled):
                page = statements.listed(meddled, [places["running"], places["pending"]], 9, 5)

    assert [task.spec.seq for task in page.tasks] == [2, 1]


async def test_numbers_of_forgotten_tasks_are_not_given_again(tmp_path: Path) -> None:
    path = tmp_path / "hub.db"
    store = SqliteStore(path)
    await store.open(now_ms=1)
    task = make.task(7, State.COMPLETED)
    await store.commit(make.batch(task))
    await store.commit(Batch(forgotten=[task]))
    await store.close(now_ms=2)

    again = SqliteStore(path)
    opening = await again.open(now_ms=3)

    assert opening.last_seq == 7
    await again.close(now_ms=4)


async def test_a_second_server_is_told_who_holds_the_data(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "hub.db")
    await store.open(now_ms=1)
    second = SqliteStore(tmp_path / "hub.db")

    with pytest.raises(StoreLocked, match=r"process \d+"):
        await second.open(now_ms=2)

    await second.close(now_ms=3)
    await store.close(now_ms=3)


@pytest.mark.parametrize("garbage", [b"not a database at all" * 100, b"SQLite format 3\0" + b"\xff" * 4_000])
async def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path, garbage: bytes) -> None:
    path = tmp_path / "hub.db"
    path.write_bytes(garbage)

    with pytest.raises(StoreUnreadable, match="backup"):
        await SqliteStore(path).open(now_ms=1)

    assert path.read_bytes() == garbage


async def test_a_database_of_an_older_version_is_brought_up_to_date(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, old, new = tmp_path / "hub.db", make.task(1), make.task(2, names=("tea",))
    with monkeypatch.context() as earlier:
        earlier.setattr(statements, "SCRIPTS", statements.SCRIPTS[:1])
        earlier.setattr(statements, "SCHEMA", 1)
        store = SqliteStore(path)
        await store.open(now_ms=1)
        with pytest.raises(Unavailable):
            await store.commit(make.batch(new))
        await store.close(now_ms=2)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (1,)

    store = await reopened(path, SqliteStore(path))
    await store.commit(make.batch(old, new))

    assert await store.named("tea", 10) == [new]
    await store.close(now_ms=12)


async def test_a_database_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "hub.db"
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    before = path.read_bytes()

    with pytest.raises(StoreTooNew, match="99"):
        await SqliteStore(path).open(now_ms=1)

    assert path.read_bytes() == before


async def test_a_foreign_lock_refuses_the_whole_batch_and_lets_go_when_it_ends(tmp_path: Path) -> None:
    path = tmp_path / "hub.db"
    store = SqliteStore(path, busy_timeout_ms=1)
    await store.open(now_ms=1)
    foreign = sqlite3.connect(path, isolation_level=None)
    foreign.execute("BEGIN IMMEDIATE")
    task = make.task(queue="never-seen-before")

    with pytest.raises(Unavailable, match="locked"):
        await store.commit(make.batch(task))
    foreign.execute("ROLLBACK")
    foreign.close()
    await store.commit(make.batch(task))

    assert await store.load(task.id) == task
    store = await reopened(path, store)
    assert await store.counts() == {Place("never-seen-before", "demo", State.PENDING): 1}
    await store.close(now_ms=12)


async def test_a_batch_that_is_refused_half_way_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "hub.db"
    store = SqliteStore(path)
    await store.open(now_ms=1)
    task = make.task(1, queue="fresh")
    twice = [make.event(task, EventType.SUBMITTED, 5)] * 2

    with pytest.raises(Unavailable):
        await store.commit(make.batch(task, events=twice))

    assert await store.load(task.id) is None
    assert await store.counts() == {}
    await store.commit(make.batch(task))
    store = await reopened(path, store)
    assert await store.live() == [task]
    await store.close(now_ms=12)
