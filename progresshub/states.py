"""The state machine: one table, and the one function that applies it.

Callers say what happened; only the table knows the next state. A cell that is missing is an
event that can't happen there, and asking for it is the error. Who moves a task:

    nobody --SUBMITTED--> pending        a client, with work that may start now
    nobody --SCHEDULED--> scheduled      a client, with work for later
    scheduled, retrying --DUE--> pending            the scheduler, when the time has come
    pending --STARTED--> running                    the scheduler, when a slot is free
    running --RETRYING--> retrying                  the scheduler, after a failure with retries left
    running --RECOVERED--> pending                  the scheduler at start, after a server's death
    running --COMPLETED, FAILED, CANCELLED--> …     the runner's outcome
    scheduled, pending, retrying --CANCELLED--> …   a client

Progress, stages, stalls and the wish to cancel leave a running task running. Final is final.
"""

from __future__ import annotations

from progresshub.errors import HubError
from progresshub.model import EventType, State

_WAITING = (State.SCHEDULED, State.PENDING, State.RETRYING)

TABLE: dict[tuple[State | None, EventType], State] = {
    (None, EventType.SUBMITTED): State.PENDING,
    (None, EventType.SCHEDULED): State.SCHEDULED,
    (State.SCHEDULED, EventType.DUE): State.PENDING,
    (State.RETRYING, EventType.DUE): State.PENDING,
    (State.PENDING, EventType.STARTED): State.RUNNING,
    (State.RUNNING, EventType.PROGRESSED): State.RUNNING,
    (State.RUNNING, EventType.STAGED): State.RUNNING,
    (State.RUNNING, EventType.STALLED): State.RUNNING,
    (State.RUNNING, EventType.REVIVED): State.RUNNING,
    (State.RUNNING, EventType.CANCELLING): State.RUNNING,
    (State.RUNNING, EventType.COMPLETED): State.COMPLETED,
    (State.RUNNING, EventType.FAILED): State.FAILED,
    (State.RUNNING, EventType.CANCELLED): State.CANCELLED,
    (State.RUNNING, EventType.RETRYING): State.RETRYING,
    (State.RUNNING, EventType.RECOVERED): State.PENDING,
    **{(state, EventType.CANCELLED): State.CANCELLED for state in _WAITING},
    **{(state, EventType.DELETED): state for state in State if state is not State.RUNNING},
}

CONFLATABLE = frozenset({EventType.PROGRESSED})
"""Events of which a slow watcher needs only a task's newest."""


class IllegalEvent(HubError):
    """{event} can't happen to a task that is {state}."""

    code = "illegal_event"


def after(state: State | None, event: EventType) -> State:
    """The state that follows `event` in `state`; None is a task that does not exist yet."""
    try:
        return TABLE[state, event]
    except KeyError:
        raise IllegalEvent(event=event, state=state or "not there yet") from None
