"""Nothing leaves humd before it is durable: batches to thehum, and what waits for each.

Batches are numbered within this start of humd (`epoch`) and pipelined: while one is being written
the next fills up. thehum appends each (epoch, batch) exactly once, however often it is offered, so
after a loss we simply offer again what it has not confirmed. Holds at most `HELD_PARCELS_MAX`;
then what comes waits unread (`parked`).
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import chain

from humd.core.arrivals import ClientId, Effect
from humd.core.clients import peer_of
from humd.edge.greeting import Connection
from thrum import frames
from thrum.chi import LinkChi
from thrum.frames import Header

BATCHES_IN_FLIGHT_MAX = 64
"""Batches sent and not confirmed; then the next one fills up instead."""
BATCH_PARCELS_MAX = 4_096
BATCH_BYTES_MAX = 4 * 1024 * 1024
"""A batch is sent once it is this large, or as soon as one may be."""
HELD_PARCELS_MAX = 65_536
HELD_BYTES_MAX = 64 * 1024 * 1024
"""What may wait to be durable."""


Note = tuple[str, bool]
"""What humd adds to an event: why it decided as it did, and whether everyone on the sid heard it
though its chi alone does not say so."""


@dataclass(slots=True)
class Section:
    """Parcels of one client in a row, as received."""

    client: ClientId | None
    parcels: list[bytes] = field(default_factory=list)
    notes: dict[str, Note] = field(default_factory=dict)
    """By the place of a parcel; most have none."""

    def packed(self) -> list[object]:
        """As it stands in an `append`."""
        peer = peer_of(self.client) if self.client is not None else None
        parcels = b"".join(self.parcels)
        section: list[object] = [self.client, peer, len(self.parcels), parcels]
        return [*section, self.notes] if self.notes else section


@dataclass(slots=True)
class Batch:
    """A run of events and what follows once they are on disk."""

    number: int
    first_seq: int
    at_ms: int
    sections: list["Section"] = field(default_factory=list)
    count: int = 0
    size: int = 0
    effects: list[Effect] = field(default_factory=list)
    settled: dict[bytes, int] = field(default_factory=dict)
    """Connection to the highest link number that this batch settles."""
    hellos: list[ClientId] = field(default_factory=list)
    """Clients behind a door whose hello is in this batch; each gets its second breath."""
    joins: list[tuple[Connection, int]] = field(default_factory=list)
    """Connections whose hello is in this batch, and the cursor each came with."""

    def add(self, client: ClientId | None, parcel: bytes, note: "Note | None" = None) -> None:
        """Append one event's parcel; events of one client in a row share a section."""
        section = self.sections[-1] if self.sections else None
        if section is None or section.client != client:
            section = Section(client)
            self.sections.append(section)
        if note is not None:
            section.notes[str(len(section.parcels))] = note
        section.parcels.append(parcel)
        self.count += 1
        self.size += len(parcel)

    def settle(self, connection: bytes, number: int) -> None:
        """Settle everything up to a link number of a connection with this batch."""
        if number > self.settled.get(connection, 0):
            self.settled[connection] = number

    def frame(self, epoch: str) -> bytes:
        """The `append` link tone (docs/wire.md, section 1.5)."""
        body = {
            "epoch": epoch,
            "batch": self.number,
            "first_seq": self.first_seq,
            "at_ms": self.at_ms,
            "sections": [section.packed() for section in self.sections],
        }
        return frames.pack(Header(LinkChi.APPEND), body)


class Ledger:
    """See the module. `send` hands a frame to thehum and says whether it was taken."""

    def __init__(self, epoch: str) -> None:
        self.epoch = epoch
        self.next_seq = 1
        self.last_ms = 0
        self.send: Callable[[bytes], bool] | None = None
        """None while thehum is away."""
        self._held_behind: int | None = None
        """Batches behind this event are not sent for now."""
        self._flying: deque[Batch] = deque()
        self._ready: deque[Batch] = deque()
        self._filling: Batch | None = None
        self._number = 0
        self.held_parcels = 0
        self.held_bytes = 0

    @property
    def is_over(self) -> bool:
        """Whether nothing more can be held."""
        return self.held_parcels >= HELD_PARCELS_MAX or self.held_bytes >= HELD_BYTES_MAX

    def batch(self, now_ms: int, size: int = 0) -> Batch:
        """The batch to add the next event to, of about `size` bytes. Its time never goes back."""
        filling = self._filling
        if filling and (
            filling.count >= BATCH_PARCELS_MAX or filling.size + size > BATCH_BYTES_MAX
        ):
            self._close()
        if self._filling is None:
            self._number += 1
            self._filling = Batch(self._number, self.next_seq, self.last_ms)
        if not self._filling.count:
            self._filling.at_ms = self.last_ms = max(self.last_ms, now_ms)
        return self._filling

    def add(
        self, batch: Batch, client: ClientId | None, parcel: bytes, note: "Note | None" = None
    ) -> None:
        """Put one event into `batch`, which is the one that fills."""
        batch.add(client, parcel, note)
        self.next_seq += 1
        self.held_parcels += 1
        self.held_bytes += len(parcel)

    def flush(self) -> None:
        """Send whatever may be sent now."""
        if len(self._flying) + len(self._ready) < BATCHES_IN_FLIGHT_MAX:
            self._close()
        while self.send is not None and self._ready and len(self._flying) < BATCHES_IN_FLIGHT_MAX:
            if self._held_behind is not None and self._ready[0].first_seq > self._held_behind:
                return
            if not self.send(self._ready[0].frame(self.epoch)):
                return
            self._flying.append(self._ready.popleft())

    def hold_back(self, behind_seq: int | None) -> None:
        """Send nothing behind this event until told otherwise, by None: the log has to catch up."""
        if behind_seq is not None:
            self._close()
        self._held_behind = behind_seq

    def is_flying(self, number: int) -> bool:
        """Whether thehum has yet to answer this batch."""
        return any(batch.number == number for batch in self._flying)

    @property
    def is_waiting(self) -> bool:
        """Whether thehum has yet to answer a batch."""
        return bool(self._flying)

    def durable(self, number: int) -> list[Batch]:
        """Take the batches up to this number, in order: they are on disk."""
        done: list[Batch] = []
        while self._flying and self._flying[0].number <= number:
            batch = self._flying.popleft()
            self.held_parcels -= batch.count
            self.held_bytes -= batch.size
            done.append(batch)
        return done

    def lost(self) -> None:
        """Thehum is away: everything unconfirmed will be offered again."""
        self.send = None
        self._ready.extendleft(reversed(self._flying))
        self._flying.clear()

    def back(self, send: Callable[[bytes], bool], epoch: str | None, number: int) -> list[Batch]:
        """Thehum is back and names the last batch it has. Returns what turns out to be durable."""
        done: list[Batch] = []
        if epoch == self.epoch:
            self._flying.extend(batch for batch in self._ready if batch.number <= number)
            self._ready = deque(batch for batch in self._ready if batch.number > number)
            done = self.durable(number)
        self.send = send
        self.flush()
        return done

    @property
    def newest(self) -> Batch | None:
        """The last batch that is not on disk yet. One without events never will be."""
        if self._filling is not None and self._filling.count:
            return self._filling
        return self._ready[-1] if self._ready else self._flying[-1] if self._flying else None

    @property
    def oldest_seq(self) -> int:
        """The first seq that is not confirmed."""
        oldest = self._oldest
        return oldest.first_seq if oldest is not None else self.next_seq

    def lag_ms(self, now_ms: int) -> int:
        """How long the oldest event that is not on disk has waited; 0 when everything is."""
        oldest = self._oldest
        return max(0, now_ms - oldest.at_ms) if oldest is not None and oldest.count else 0

    @property
    def _oldest(self) -> Batch | None:
        return next(chain(self._flying, self._ready), self._filling)

    def _close(self) -> None:
        if self._filling is not None and self._filling.count:
            self._ready.append(self._filling)
            self._filling = None
