"""What bees are owed, as references into the log, and back."""

from collections.abc import Mapping

from humd.core.arrivals import Arrival
from humd.core.snapshot import Owing, Snapshot, parcel_of, reference
from humd.core.state import State
from humd.edge.bus import Bus
from humd.edge.outbox import Owed


def owing_upto(bus: Bus, state: State, seq: int) -> list[Owing]:
    """What every instance has not said it received of the events up to `seq`."""
    found: list[Owing] = []
    for instance, outbox in bus.outboxes():
        one = Owing(instance, outbox.shed_upto)
        for header, raw in ((owed.header, owed.raw) for owed in outbox.owed_upto(seq)):
            session = state.sessions.get(header.sid)
            prompt_seq = session.opened_seq if session is not None else None
            one.parcels.append(reference(prompt_seq, header, raw))
        if one.parcels or one.shed_upto:
            found.append(one)
    return found


def owe_again(bus: Bus, state: State, snapshot: Snapshot, events: Mapping[int, Arrival]) -> int:
    """Owe what a snapshot says; how many parcels could not be found again.

    A prompt whose turn is over is not handed on: the number it was handed on under is not its own.
    """
    lost = 0
    for one in snapshot.owing:
        owed: list[Owed] = []
        for parcel in one.parcels:
            arrival = events[parcel.source]
            if arrival.header.chi != parcel.header.chi:
                lost += 1
                continue
            owed.append(Owed(parcel.header, parcel_of(state, one.instance, parcel, arrival)))
        bus.outbox(one.instance).restore(owed, shed_upto=one.shed_upto)
    return lost
