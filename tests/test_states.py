"""The state machine: every cell of the table, and every one that is not there."""

from __future__ import annotations

import itertools

import pytest

from progresshub.model import FINAL, EventType, State
from progresshub.states import TABLE, IllegalEvent, after

CELLS = list(itertools.product([None, *State], EventType))


@pytest.mark.parametrize(("state", "event"), CELLS)
def test_a_cell_leads_on_or_is_refused(state: State | None, event: EventType) -> None:
    if (state, event) in TABLE:
        assert after(state, event) is TABLE[state, event]
    else:
        with pytest.raises(IllegalEvent):
            after(state, event)


def test_final_is_final() -> None:
    assert {event for state, event in TABLE if state in FINAL} == {EventType.DELETED}


def test_every_state_can_be_reached() -> None:
    reached: set[State | None] = {None}
    while more := {TABLE[cell] for cell in TABLE if cell[0] in reached} - reached:
        reached |= more

    assert reached == {None, *State}


def test_only_a_running_task_reports() -> None:
    assert {state for state, event in TABLE if event in (EventType.PROGRESSED, EventType.STAGED)} == {State.RUNNING}
