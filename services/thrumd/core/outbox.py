"""What waits for a client that reads slowly.

Rules:

- Nothing but timing samples, heartbeats and log lines is dropped while the connection goes on.
- While lines wait, the text deltas of one sid become one: a slow reader gets fewer, longer chunks.
- A box is full at `LINES_MAX` or `BYTES_MAX`. The edge cuts a client whose box stays full for
  `FULL_SECONDS_MAX`, and at once when it has `overflowed`, at `HARD_FACTOR` times that.
- What is counted is what is held: lines, and beside them the text that more may join, as long as
  any may. That is one entry of a sid at most, and none whose text is as long as it may get.
"""

import sys
from collections import deque
from dataclasses import dataclass, field

from thrum.chi import Chi
from thrum.tones import Body, Tone
from thrumd.core.outbound import delta_of, lines_of, with_delta

LINES_MAX = 1_024
BYTES_MAX = 8 * 1024 * 1024
HARD_FACTOR = 4
FULL_SECONDS_MAX = 10.0
DELTA_CHARS_MAX = 16 * 1024
"""Joined text grows up to this; then the next delta starts a chunk of its own."""
DROPPABLE = frozenset({Chi.PERF_MARK, Chi.DRONE, Chi.LOG})


@dataclass(slots=True)
class _Entry:
    lines: bytes
    size: int = 0
    """Bytes of everything in it, as it is counted."""
    tone: Tone | None = None
    """Set while more text may join."""
    deltas: list[str] = field(default_factory=list)
    chars: int = 0
    """Of the deltas together."""


class Outbox:
    """See the module."""

    def __init__(self) -> None:
        self._entries: deque[_Entry] = deque()
        self._open: dict[str, _Entry] = {}
        self.waiting_bytes = 0
        """Bytes held for the client."""

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def is_full(self) -> bool:
        return len(self._entries) >= LINES_MAX or self.waiting_bytes >= BYTES_MAX

    @property
    def overflowed(self) -> bool:
        """Whether the reader is hopelessly behind. One huge line alone does not count."""
        if len(self._entries) == 1:
            return False
        return (
            len(self._entries) >= LINES_MAX * HARD_FACTOR
            or self.waiting_bytes >= BYTES_MAX * HARD_FACTOR
        )

    def put(self, tone: Tone) -> bool:
        """Queue a tone; False when it was dropped because the box is full.

        Raises `MalformedTone` when JSON cannot express its body.
        """
        if self.is_full and tone.chi in DROPPABLE:
            return False
        if not self._join(tone):
            entry = _Entry(b"".join(lines_of(tone)))
            self._add(entry)
            if tone.sid is not None:
                self._close(tone.sid)
                self._keep_open(entry, tone.sid, tone)
        return True

    def clear(self) -> int:
        """Drop everything; how many entries that were."""
        dropped = len(self._entries)
        self._entries.clear()
        self._open.clear()
        self.waiting_bytes = 0
        return dropped

    def put_lines(self, lines: bytes) -> None:
        """Queue lines that are rendered already."""
        self._add(_Entry(lines))

    def take(self, bytes_max: int) -> bytes:
        """The next lines, together about `bytes_max` long; empty when nothing waits."""
        taken: list[bytes] = []
        size = 0
        while self._entries and size < bytes_max:
            entry = self._entries[0]
            if entry.tone is not None:
                self._close(entry.tone.sid or "")
            self._entries.popleft()
            self.waiting_bytes -= entry.size
            taken.append(entry.lines)
            size += len(entry.lines)
        return b"".join(taken)

    def _add(self, entry: _Entry) -> None:
        self._entries.append(entry)
        self._weigh(entry, len(entry.lines))

    def _weigh(self, entry: _Entry, size: int) -> None:
        self.waiting_bytes += size - entry.size
        entry.size = size

    def _keep_open(self, entry: _Entry, sid: str, tone: Tone) -> None:
        """Let more text join, if it is a text that may grow."""
        delta = delta_of(tone)
        if delta is None or len(delta) >= DELTA_CHARS_MAX:
            return
        entry.tone, entry.deltas, entry.chars = tone, [delta], len(delta)
        self._weigh(entry, entry.size + sys.getsizeof(delta))
        self._open[sid] = entry

    def _join(self, tone: Tone) -> bool:
        """Append the text of `tone` to the waiting chunk of its sid, if it reads the same then."""
        entry = self._open.get(tone.sid) if tone.sid is not None else None
        delta = delta_of(tone)
        if entry is None or entry.tone is None or delta is None:
            return False
        if entry.chars + len(delta) > DELTA_CHARS_MAX or _shape(entry.tone) != _shape(tone):
            return False
        entry.deltas.append(delta)
        entry.tone.wane = tone.wane
        entry.chars += len(delta)
        self._weigh(entry, entry.size + sys.getsizeof(delta))
        return True

    def _close(self, sid: str) -> None:
        """No more text joins the waiting chunk of a sid: of it only its lines are kept."""
        entry = self._open.pop(sid, None)
        if entry is None or entry.tone is None:
            return
        if len(entry.deltas) > 1:
            entry.lines = b"".join(lines_of(with_delta(entry.tone, "".join(entry.deltas))))
        entry.tone, entry.deltas = None, []
        self._weigh(entry, len(entry.lines))


def _shape(tone: Tone) -> tuple[int, Body]:
    """What two chunks must share to become one: everything but their text, time and number."""
    own = ("delta", "partialJson", "part", "sentAt")
    return tone.fan, {key: value for key, value in tone.body.items() if key not in own}
