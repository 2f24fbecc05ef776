"""What humd stands on, for a start that makes it and a snapshot that takes it.

This is the rest of humd as `edge.boot` and `edge.snapshots` see it: they decide when, this does.
"""

import logging
from collections.abc import Callable, Iterable

from humd.core.arrivals import Arrival, CatchUp, Effect, Emit
from humd.core.snapshot import Owing, Snapshot
from humd.core.state import State
from humd.edge.bus import Bus
from humd.edge.catchups import CatchUps
from humd.edge.owing import owe_again, owing_upto
from humd.edge.projections import Projections
from humd.recording import Recorder, now_ms
from humd.release import Release
from thrum.tones import Body

log = logging.getLogger("humd.boot")


class Standing:
    """See the module."""

    def __init__(
        self,
        bus: Bus,
        recorder: Recorder,
        *,
        release: Release,
        catch_ups: CatchUps,
        projections: Projections,
        send_log: Callable[[bytes], bool],
    ) -> None:
        self._bus, self._recorder, self._release = bus, recorder, release
        self._catch_ups, self._projections = catch_ups, projections
        self.send_log = send_log

    @property
    def state(self) -> State:
        return self._recorder.state

    @property
    def newest(self) -> tuple[int, int]:
        """Seq and time of the newest event."""
        ledger = self._recorder.ledger
        return ledger.next_seq - 1, ledger.last_ms

    @property
    def durable_seq(self) -> int:
        return self._recorder.ledger.oldest_seq - 1

    def stand_on(self, state: State, *, at_seq: int, at_ms: int) -> None:
        """Go on from this state, and owe nothing."""
        ledger = self._recorder.ledger
        self._recorder.state, ledger.next_seq, ledger.last_ms = state, at_seq + 1, at_ms
        self._bus.start_over()
        self._catch_ups.start_over()

    def owe_again(self, snapshot: Snapshot, events: dict[int, Arrival]) -> None:
        """Owe what the snapshot says, and go on with its catch-ups."""
        lost = owe_again(self._bus, self.state, snapshot, events)
        self.follow(snapshot.catch_ups)
        if lost:
            log.warning("boot.not_owed_again", extra={"parcels": lost})

    def replay(self, line: str, bodies: Body) -> list[Effect]:
        """Apply a stored event."""
        return self._recorder.replay(line, bodies)

    def follow(self, effects: Iterable[Effect]) -> None:
        """Do what the core decided."""
        for effect in effects:
            self._release.follow(effect)

    def hold_back(self, behind_seq: int | None) -> None:
        """Give the log nothing behind this event for now; None: go on."""
        self._recorder.ledger.hold_back(behind_seq)

    def say(self, emit: Emit) -> None:
        """Record something humd says of its own accord."""
        self._recorder.say(emit)

    def owing(self, upto_seq: int) -> list[Owing]:
        """What bees have not said they received of the events up to a seq."""
        return owing_upto(self._bus, self.state, upto_seq)

    def catch_ups(self) -> list[CatchUp]:
        """Late listeners that have not heard everything."""
        return self._catch_ups.under_way()

    def drift(self) -> tuple[int, int]:
        """Seq and time of the newest timing record that is on disk."""
        return self._projections.drift_written()

    def has_drift(self, seq: int, ended_ms: int) -> bool:
        """Whether timing records up to this one are on disk, or too old to be."""
        return self._projections.has_drift(seq, ended_ms, now_ms())
