"""What humd owes a bus bee: kept until the bee's cursor passes it, sent as far as its credit goes.

One outbox per instance, which outlives connections and, through replay, humd itself. Parcels of a
door's clients are in the door's outbox.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from thrum import frames
from thrum.frames import Header

CREDIT_PARCELS = 2_048
"""Parcels sent ahead of what the bee has said it received."""
CONGESTED_PARCELS = 4_096
CONGESTED_BYTES = 8 * 1024 * 1024
"""Past either, who feeds this outbox gets no credit until half of it is gone."""
OUTBOX_PARCELS_MAX = 65_536
OUTBOX_BYTES_MAX = 64 * 1024 * 1024
"""What may wait for one bee; past either the bee is cut off."""
STALL_SECONDS = 10.0
"""How long a congested bee may take nothing before it is cut off."""
FRAME_PARCELS_MAX = 1_024
FRAME_BYTES_SOFT_MAX = 1024 * 1024
FRAME_BYTES_WHOLE_MAX = 12 * 1024 * 1024
"""A frame is closed at this size even within one event: what a client inherits is of one."""


class Owed(NamedTuple):
    """One parcel. `header.client` names the client behind a door."""

    header: Header
    raw: bytes

    @property
    def is_from_log(self) -> bool:
        """Whether it was read to a late listener: it has no seq, and stays owed all the same."""
        header = self.header
        return header.seq == 0 and header.fan == 1 and header.wane is not None


class Outbox:
    """See the module."""

    def __init__(self) -> None:
        self._flying: deque[Owed] = deque()
        """Sent on this connection, not yet received."""
        self._waiting: deque[Owed] = deque()
        self._bytes = 0
        self._received = 0
        """The bee's count of parcels received on this connection."""
        self._sent_last = 0
        self._was_here = False
        """Whether its bee was connected since this humd started."""
        self._shed_upto = 0
        self.read_from_log = 0
        """Parcels of a catch-up that the bee has not confirmed."""
        self.shed_count = 0

    def put(self, owed: Owed) -> None:
        """Owe one more parcel."""
        self._waiting.append(owed)
        self._bytes += len(owed.raw)
        if not owed.header.seq:
            self.read_from_log += owed.is_from_log

    @property
    def is_over(self) -> bool:
        """Whether more waits than we are ready to keep."""
        return len(self) > OUTBOX_PARCELS_MAX or self._bytes > OUTBOX_BYTES_MAX

    @property
    def is_congested(self) -> bool:
        """Whether those who feed it should pause."""
        return len(self) > CONGESTED_PARCELS or self._bytes > CONGESTED_BYTES

    @property
    def is_relieved(self) -> bool:
        """Whether those who paused may go on."""
        return len(self) <= CONGESTED_PARCELS // 2 and self._bytes <= CONGESTED_BYTES // 2

    def __len__(self) -> int:
        return len(self._flying) + len(self._waiting)

    def shed(self) -> None:
        """Let go of the oldest beyond what we keep, while the bee is away.

        In replay those are what it received long ago; if it did not, `resume` finds out.
        """
        while self.is_over:
            owed = (self._flying or self._waiting).popleft()
            self._bytes -= len(owed.raw)
            self.read_from_log -= owed.is_from_log
            self._shed_upto = max(self._shed_upto, owed.header.seq)
            self.shed_count += 1

    def resume(self, cursor: int) -> bool:
        """Start over on a new connection of the same instance, after what it has seen.

        Parcels that are not in the log (seq 0) were for the old connection, but for those of a
        catch-up. False when something that it has not seen was let go of.
        """
        unseen = (owed for owed in self._all() if owed.header.seq > cursor or owed.is_from_log)
        self._keep((), unseen)
        self._received, self._was_here = 0, True
        return self._shed_upto <= cursor

    def credit(self, count: int) -> None:
        """The bee has received `count` parcels on this connection: they are no longer owed."""
        for _ in range(min(count - self._received, len(self._flying))):
            owed = self._flying.popleft()
            self._bytes -= len(owed.raw)
            if not owed.header.seq:
                self.read_from_log -= owed.is_from_log
        self._received = max(self._received, count)

    def owed_upto(self, seq: int) -> list[Owed]:
        """What is owed of the events up to `seq`."""
        return [owed for owed in self._all() if 0 < owed.header.seq <= seq]

    @property
    def shed_upto(self) -> int:
        """The newest event of which something was let go of."""
        return self._shed_upto

    def restore(self, owed: Iterable[Owed], *, shed_upto: int) -> None:
        """Begin with what an earlier humd owed."""
        self._shed_upto = shed_upto
        for one in owed:
            self.put(one)

    def next_frame(self) -> bytes | None:
        """The next run of parcels within the credit; None when there is nothing to send.

        Parcels of one event are not split over two frames, up to a size. The caller calls `unsent`
        when it could not send.
        """
        room = min(CREDIT_PARCELS - len(self._flying), FRAME_PARCELS_MAX)
        if room <= 0 or not self._waiting:
            return None
        parts: list[bytes] = []
        size, seq = 0, -1
        while self._waiting:
            owed = self._waiting[0]
            is_new = owed.header.seq != seq
            if is_new and (room <= 0 or size >= FRAME_BYTES_SOFT_MAX):
                break
            if parts and size + len(owed.raw) > FRAME_BYTES_WHOLE_MAX:
                break
            parts += (frames.pack_header(owed.header), owed.raw)
            size, seq, room = size + len(owed.raw), owed.header.seq, room - 1
            self._flying.append(self._waiting.popleft())
        self._sent_last = len(parts) // 2
        return b"".join(parts)

    def unsent(self) -> None:
        """The frame of the last `next_frame` did not leave."""
        for _ in range(self._sent_last):
            self._waiting.appendleft(self._flying.pop())

    def take_for(self, client: str) -> list[tuple[Owed, bool]]:
        """Remove and return what waits for one client behind this door, which is gone.

        Beside each whether it may have been told: it was on its way to the door, or waits since
        before this start of humd, which does not know how far the one before it had come.
        """
        mine = [(owed, True) for owed in self._flying if owed.header.client == client]
        mine += [
            (owed, not self._was_here) for owed in self._waiting if owed.header.client == client
        ]
        self._keep(
            (owed for owed in self._flying if owed.header.client != client),
            (owed for owed in self._waiting if owed.header.client != client),
        )
        return mine

    def _all(self) -> Iterator[Owed]:
        yield from self._flying
        yield from self._waiting

    def _keep(self, flying: Iterable[Owed], waiting: Iterable[Owed]) -> None:
        self._flying, self._waiting = deque(flying), deque(waiting)
        self._bytes = sum(len(owed.raw) for owed in self._all())
        self.read_from_log = sum(owed.is_from_log for owed in self._all())
