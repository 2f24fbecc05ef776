"""What a client of a killed door is owed, once it came back through another door."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from humd.core.arrivals import Deliver, Inherit
from humd.edge.bus import Bus
from thrum import frames
from thrum.frames import Header

pytestmark = pytest.mark.process

OLD, NEW = "door-1/a", "door-2/a"
HELLO_SEQ = 9
"""Of the hello by which the client came back."""


@pytest.fixture
def bus(scratch: Path) -> Iterator[Bus]:
    """Three tones wait for the client of the first door; the second door has seen event 7."""
    bus = Bus(f"ipc://{scratch}/bus", lambda connection: None, silence_ms=0)
    for seq, wane in ((3, 1), (4, 2), (5, 3)):
        heard = Header("chunk", sid="s", wane=wane, seq=seq, fan=1)
        bus.owe(Deliver(OLD, heard, frames.pack_body({"n": wane})))
    yield bus
    bus.close()


def offered_after(bus: Bus, cursor: int) -> list[tuple[int, int | None]]:
    """The seq and the number in the sid of what the second door is offered when it comes back."""
    outbox = bus._outboxes["door-2"]
    assert outbox.resume(cursor)
    frame = outbox.next_frame()
    return [(header.seq, header.wane) for header, _ in frames.read_frame(frame or b"")]


def test_a_door_that_has_seen_later_events_is_offered_it_all_the_same(bus: Bus) -> None:
    bus.inherit(Inherit(OLD, NEW, HELLO_SEQ, {}))

    assert offered_after(bus, 7) == [(HELLO_SEQ, 1), (HELLO_SEQ, 2), (HELLO_SEQ, 3)]


def test_a_door_that_has_seen_the_hello_has_seen_it(bus: Bus) -> None:
    bus.inherit(Inherit(OLD, NEW, HELLO_SEQ, {}))

    assert offered_after(bus, HELLO_SEQ) == []


def test_what_the_client_says_it_has_heard_is_not_offered(bus: Bus) -> None:
    bus.inherit(Inherit(OLD, NEW, HELLO_SEQ, {"s": 2}))

    assert offered_after(bus, 7) == [(HELLO_SEQ, 3)]


def told(bus: Bus) -> list[tuple[str, int | None]]:
    """What the second door is offered, and its number in the sid."""
    outbox = bus._outboxes["door-2"]
    assert outbox.resume(0)
    return [
        (header.chi, header.wane) for header, _ in frames.read_frame(outbox.next_frame() or b"")
    ]


def test_one_that_does_not_say_what_it_heard_is_told_nothing_twice(bus: Bus) -> None:
    """What was on its way to the killed door is not told again; an `error` stands for it."""
    first = bus._outboxes["door-1"]
    first.resume(3)
    first.next_frame()
    for wane, seq in ((4, 6), (5, 7)):
        later = Header("chunk", sid="s", wane=wane, seq=seq, fan=1)
        bus.owe(Deliver(OLD, later, frames.pack_body({"n": wane})))

    bus.inherit(Inherit(OLD, NEW, HELLO_SEQ, None))

    assert told(bus) == [("error", None), ("chunk", 4), ("chunk", 5)]
    assert bus.undelivered["told-perhaps"] == 2


def test_what_never_left_is_told_whole(bus: Bus) -> None:
    bus._outboxes["door-1"].resume(0)

    bus.inherit(Inherit(OLD, NEW, HELLO_SEQ, None))

    assert told(bus) == [("chunk", 1), ("chunk", 2), ("chunk", 3)]


def test_a_humd_that_has_just_started_does_not_know_what_was_told(bus: Bus) -> None:
    bus.owe(Deliver(OLD, Header("tool-call", sid="s", seq=6), frames.pack_body({"callId": "c"})))

    bus.inherit(Inherit(OLD, NEW, HELLO_SEQ, None))

    assert told(bus) == [("error", None), ("tool-call", None)]
