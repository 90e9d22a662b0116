"""Who is next in line: by weight among queues, by priority and age within one, and never past a bound."""

from __future__ import annotations

from collections import Counter

import pytest
from msgspec.structs import replace

from progresshub.line import Line
from progresshub.queues import Queue, Queues
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
        line.give_back(turn[0])
        order.append(turn[0])
    return order


def test_nobody_waits_in_an_empty_line(queues: Queues) -> None:
    assert Line(queues, 5).take() is None


def test_no_more_are_let_in_than_there_are_places(queues: Queues) -> None:
    line = Line(queues, 2)
    filled(line, "light", 3)

    let_in = [line.take(), line.take(), line.take()]
    line.give_back("light")

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
