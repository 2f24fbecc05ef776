"""Events into state and ledger: one place where an event gets its number and takes effect."""

import time
from collections.abc import Mapping

from humd.core import router
from humd.core.arrivals import Arrival, Deliver, Effect, Emit, Why
from humd.core.replay import arrival_of
from humd.core.state import State
from humd.edge.ledger import Batch, Ledger, Note
from thrum import frames
from thrum.frames import Header

WHY_CHARS_MAX = 256
"""A reason in the log; it names models and tools, whose names have no bound."""


class Recorder:
    """The state and the ledger, changed together or not at all."""

    def __init__(self, state: State, ledger: Ledger) -> None:
        self.state = state
        self.ledger = ledger

    def record(self, batch: Batch, arrival: Arrival, parcel: bytes) -> None:
        """Apply an event, and everything humd says because of it, all in one batch.

        What follows from them waits in the batch until it is durable.
        """
        ledger = self.ledger
        waiting = [(arrival, parcel)]
        for event, written in waiting:
            event.seq, event.at_ms = ledger.next_seq, batch.at_ms
            note: Note | None = None
            for effect in router.apply(self.state, event):
                if type(effect) is Deliver:
                    batch.effects.append(effect)
                elif isinstance(effect, Emit):
                    waiting.append(_said(effect))
                elif isinstance(effect, Why):
                    note = (effect.text[:WHY_CHARS_MAX], effect.is_fanned)
                else:
                    batch.effects.append(effect)
            ledger.add(batch, event.client, written, note)

    def say(self, emit: Emit) -> None:
        """Record something humd says of its own accord."""
        self.record(self.ledger.batch(now_ms()), *_said(emit))

    def replay(self, line: str, bodies: Mapping[str, bytes]) -> list[Effect]:
        """Apply a stored event; what humd said because of it is stored too, and comes by itself."""
        arrival = arrival_of(line, bodies)
        effects = router.apply(self.state, arrival)
        self.ledger.next_seq, self.ledger.last_ms = arrival.seq + 1, arrival.at_ms
        return [effect for effect in effects if not isinstance(effect, Emit | Why)]


def _said(emit: Emit) -> tuple[Arrival, bytes]:
    """An event of our own as an arrival, and the parcel that is logged."""
    header = Header(emit.chi, emit.rid, emit.sid)
    raw = frames.pack_body(emit.body)
    return Arrival(0, 0, None, header, raw), frames.pack_header(header) + raw


def now_ms() -> int:
    """The wall clock in ms."""
    return time.time_ns() // 1_000_000
