"""Progress that is shown ahead of a change of state still being written never sends a watcher back."""

from __future__ import annotations

from progresshub.bus import Bus, Encoding
from progresshub.model import Event, EventId, EventType
from tests import make
from tests.parts import Sink

TOLD = Encoding(lambda event: f"{event.resume or event.id} ".encode(), bytes, b"", b"")
STARTED, PROGRESSED = EventId(10, 1), EventId(10, 2)


async def test_a_watcher_that_was_told_the_change_is_not_sent_back_before_it() -> None:
    bus, sink = Bus(), Sink()
    subscription = bus.watch_all(lambda task: True, TOLD, sink)
    bus.publish(Event(PROGRESSED, EventType.PROGRESSED, make.task(), resume=STARTED.before()))
    bus.publish(make.event(make.task(2), EventType.STARTED, *STARTED))
    bus._flush()

    subscription.release(lambda event: event.id > STARTED, told=STARTED)

    assert sink.data == b"10-1 "
    bus.close()


async def test_a_watcher_that_was_not_told_it_goes_on_before_it() -> None:
    bus, sink = Bus(), Sink()
    subscription = bus.watch_all(lambda task: True, TOLD, sink)
    bus.publish(Event(PROGRESSED, EventType.PROGRESSED, make.task(), resume=STARTED.before()))
    bus._flush()

    subscription.release(told=EventId(9, 0))

    assert sink.data == b"10-0 "
    bus.close()
