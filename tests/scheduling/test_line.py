"""Who is next in line: by weight among queues, by priority and age within one, and never past a bound."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from progresshub.kinds import Lane
from progresshub.registry.queues import Queue, Queues
from progresshub.scheduling.line import Line, Turn
from tests import make


@pytest.fixture
def queues() -> Queues:
    names = {
        "heavy": Queue(name="heavy", weight=3),
        "light": Queue(name="light"),
        "narrow": Queue(name="narrow", slots=1),
    }
    return Queues(names, default_weight=1, most=10)


def filled(line: Line, queue: str, count: int, first: int = 1) -> None:
    for seq in range(first, first + count):
        line.join(make.spec(seq, queue=queue))


def taken(line: Line, count: int) -> list[str]:
    """The queues of the next ones, each giving its place back at once."""
    order = []
    for _ in range(count):
        turn = line.take()
        assert turn is not None
        line.give_back(turn)
        order.append(turn[0])
    return order


def test_nobody_waits_in_an_empty_line(queues: Queues) -> None:
    assert Line(queues, 5).take() is None


def test_no_more_are_let_in_than_there_are_places(queues: Queues) -> None:
    line = Line(queues, 2)
    filled(line, "light", 3)

    let_in = [line.take(), line.take(), line.take()]
    assert let_in[0] is not None
    line.give_back(let_in[0])

    assert [turn is None for turn in let_in] == [False, False, True]
    assert line.take() is not None


def test_the_higher_priority_goes_first_and_then_the_older(queues: Queues) -> None:
    line = Line(queues, 9)
    specs = [make.spec(seq, queue="light", priority=priority) for seq, priority in ((4, 0), (2, 5), (3, 5), (1, 0))]
    for spec in specs:
        line.join(spec)

    order = [turn[1] for _ in specs if (turn := line.take()) is not None]

    assert order == [specs[1].id, specs[2].id, specs[3].id, specs[0].id]


def test_queues_share_by_weight_while_both_wait(queues: Queues) -> None:
    line = Line(queues, 1)
    filled(line, "heavy", 30)
    filled(line, "light", 30)

    assert Counter(taken(line, 40)) == {"heavy": 30, "light": 10}


def test_a_queue_that_waits_alone_gets_everything(queues: Queues) -> None:
    line = Line(queues, 1)
    filled(line, "light", 5)

    assert taken(line, 5) == ["light"] * 5


def test_a_queue_that_was_empty_can_not_claim_the_past(queues: Queues) -> None:
    line = Line(queues, 1)
    filled(line, "heavy", 100)
    taken(line, 60)

    filled(line, "light", 40)

    assert Counter(taken(line, 20))["light"] in (5, 6)


def test_a_queue_takes_no_more_than_its_own_slots(queues: Queues) -> None:
    line = Line(queues, 5)
    filled(line, "narrow", 2)
    filled(line, "light", 1)

    turns = [line.take(), line.take(), line.take()]

    assert Counter(turn[0] for turn in turns if turn) == {"narrow": 1, "light": 1}


def test_a_paused_queue_stands_still_and_goes_on(queues: Queues) -> None:
    line = Line(queues, 5)
    filled(line, "light", 1)
    queues.change(replace(queues["light"], paused=True))

    paused = line.take()
    queues.change(replace(queues["light"], paused=False))

    assert paused is None
    assert line.take() is not None


NARROW = Lane("one host", 1)


def seqs(line: Line) -> list[str]:
    """Who is let in, with nothing given back."""
    found = []
    while (turn := line.take()) is not None:
        found.append(turn.task_id)
    return found


def test_no_more_are_under_way_in_a_lane_than_it_holds_whatever_their_queue(queues: Queues) -> None:
    line = Line(queues, 9)
    first, second, other = make.spec(1, queue="heavy"), make.spec(2, queue="light"), make.spec(3, queue="light")
    line.join(first, NARROW)
    line.join(second, NARROW)
    line.join(other)

    assert set(seqs(line)) == {first.id, other.id}

    line.give_back(Turn("heavy", first.id, NARROW))

    assert seqs(line) == [second.id]


def test_those_who_stepped_aside_keep_their_order(queues: Queues) -> None:
    line = Line(queues, 9)
    specs = [make.spec(seq, queue="light", priority=priority) for seq, priority in ((1, 9), (2, 0), (3, 5), (4, 5))]
    for spec in specs:
        line.join(spec, NARROW)

    order = []
    while (turn := line.take()) is not None:
        order.append(turn.task_id)
        assert line.take() is None
        line.give_back(turn)

    assert order == [specs[0].id, specs[2].id, specs[3].id, specs[1].id]


def test_a_queue_that_stands_still_does_not_keep_a_lane_from_others(queues: Queues) -> None:
    line = Line(queues, 9)
    first, still, other = (
        make.spec(1, queue="light"),
        make.spec(2, queue="heavy", priority=9),
        make.spec(3, queue="light"),
    )
    line.join(first, NARROW)
    assert seqs(line) == [first.id]
    line.join(still, NARROW)
    line.join(other, NARROW)
    assert seqs(line) == []
    queues.change(replace(queues["heavy"], paused=True))

    line.give_back(Turn("light", first.id, NARROW))

    assert seqs(line) == [other.id]


@given(st.lists(st.tuples(st.sampled_from(["heavy", "light", "narrow"]), st.sampled_from("abc")), max_size=60))
def test_everybody_gets_through_in_the_end_and_no_lane_is_ever_too_full(waiting: list[tuple[str, str]]) -> None:
    names = {name: Queue(name=name, weight=weight) for name, weight in (("heavy", 3), ("light", 1), ("narrow", 1))}
    line = Line(Queues(names, default_weight=1, most=10), 4)
    for seq, (queue, lane) in enumerate(waiting, 1):
        line.join(make.spec(seq, queue=queue), Lane(lane, 2))

    done = 0
    under_way: list[Turn] = []
    while under_way or done < len(waiting):
        while (turn := line.take()) is not None:
            under_way.append(turn)
        assert all(count <= 2 for count in Counter(turn.lane for turn in under_way).values())
        assert under_way
        line.give_back(under_way.pop(0))
        done += 1

    assert done == len(waiting)
