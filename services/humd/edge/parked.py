"""Frames that wait unread while the ledger is full, each behind what its connection sent before.

A bee may have a window of parcels on its way, and so may every other: a log that is slow for a
moment must not turn that into reconnects. What waits costs its bytes and nothing more; past
`PARKED_BYTES_MAX` a bee is told to come back and offer again.
"""

from collections import Counter, deque

from humd.edge.greeting import Connection

PARKED_BYTES_MAX = 64 * 1024 * 1024
"""Of all frames together; some 150 windows of small tones."""


class Parked:
    """See the module."""

    def __init__(self) -> None:
        self._frames: deque[tuple[Connection, bytes]] = deque()
        self._of: Counter[bytes] = Counter()
        self._bytes = 0
        self.count = 0
        """Frames that ever had to wait."""

    def __len__(self) -> int:
        return len(self._frames)

    def holds(self, connection: Connection) -> bool:
        """Whether something of this connection waits: what it sends now comes behind that."""
        return connection.id in self._of

    def put(self, connection: Connection, frame: bytes) -> bool:
        """Keep a frame for later; False when there is no room for it."""
        if self._bytes + len(frame) > PARKED_BYTES_MAX:
            return False
        self._frames.append((connection, frame))
        self._of[connection.id] += 1
        self._bytes += len(frame)
        self.count += 1
        return True

    def take(self) -> tuple[Connection, bytes]:
        """The frame that waited longest; there is one."""
        connection, frame = self._frames.popleft()
        self._bytes -= len(frame)
        self._of[connection.id] -= 1
        if not self._of[connection.id]:
            del self._of[connection.id]
        return connection, frame
