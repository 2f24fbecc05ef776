"""Pages of stored lines, cut out of a segment's bytes."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

import orjson

from thrum.canonical import dumps

PAGE_EVENTS_MAX = 256
PAGE_BYTES_MAX = 48 * 1024
"""A page for anyone; a single larger event goes alone."""
BULK_EVENTS_MAX = 4_096
BULK_BYTES_MAX = 4 * 1024 * 1024
"""A page for humd, which replays the log at its start."""
SCAN_BYTES_MAX = 16 * 1024 * 1024
"""What one filtered page may read; then it ends early, and `next_seq` says where to go on."""
PROBE_BYTES = 64 * 1024
"""Read at each step of looking for a seq, and left to be read through at the end."""
_SEQ = re.compile(rb',"seq":([1-9][0-9]{0,18}),"sid":')


@dataclass(frozen=True, slots=True, kw_only=True)
class PageLimits:
    """How much a page may hold."""

    events_max: int = PAGE_EVENTS_MAX
    bytes_max: int = PAGE_BYTES_MAX

    @classmethod
    def bulk(cls) -> "PageLimits":
        return cls(events_max=BULK_EVENTS_MAX, bytes_max=BULK_BYTES_MAX)

    def at_most(self, events: int) -> "PageLimits":
        """The same with no more than `events`."""
        return PageLimits(events_max=min(self.events_max, events), bytes_max=self.bytes_max)


@dataclass(slots=True)
class Page:
    """Lines (without newline) in order. `take` until it says that no more goes in."""

    limits: PageLimits
    sid: str | None = None
    """Keep only events of this sid."""
    lines: list[bytes] = field(default_factory=list)
    size: int = 0
    seen_bytes: int = 0
    next_seq: int = 0
    """The seq after the last one looked at."""

    def __post_init__(self) -> None:
        self._needle = b"" if self.sid is None else needle_of(self.sid)

    _needle: bytes = field(init=False, repr=False, default=b"")

    @property
    def is_full(self) -> bool:
        return (
            len(self.lines) >= self.limits.events_max
            or self.size >= self.limits.bytes_max
            or self.seen_bytes >= SCAN_BYTES_MAX
        )

    def take(self, line: bytes, seq: int) -> bool:
        """Take the line of `seq`, or pass over it; False when it belongs on the next page."""
        length = len(line)
        if self.lines and self.size + length > self.limits.bytes_max:
            return False
        self.seen_bytes += length
        self.next_seq = seq + 1
        if not self._needle or has_sid(line, self._needle):
            self.lines.append(line)
            self.size += length
        return not self.is_full

    def cut(self, at: int) -> None:
        """Leave the lines from index `at` on, of which there is one, for the next page."""
        self.next_seq = seq_of(self.lines[at]) or self.next_seq
        del self.lines[at:]


def lines_of(segment: bytes) -> list[bytes]:
    """The whole lines of a segment's bytes, up to the zeros that were laid ahead."""
    end = segment.find(b"\0")
    lines = (segment if end < 0 else segment[:end]).split(b"\n")
    return lines[:-1]


def offset_near(
    read: Callable[[int, int], bytes], size: int, *, first_seq: int, seq: int
) -> tuple[int, int]:
    """A seq at or before `seq`, and the offset of its line, by bisecting a plain segment.

    `read` returns bytes of the file by offset and length. What has no whole line within
    `PROBE_BYTES`, zeros and damage among it, is taken for something behind `seq`.
    """
    low, found = 0, (first_seq, 0)
    high = size
    while high - low > PROBE_BYTES:
        middle = (low + high) // 2
        probe = read(middle, PROBE_BYTES)
        begin = probe.find(b"\n") + 1
        end = probe.find(b"\n", begin)
        at = seq_of(probe[begin:end]) if begin and end > 0 else None
        if at is None or at > seq:
            high = middle
        else:
            low, found = middle + begin, (at, middle + begin)
    return found


def seq_of(line: bytes) -> int | None:
    """The event's own seq: the last of that name, see `core.verify`; None when it has none."""
    match = _SEQ.match(line, max(line.rfind(b',"seq":'), 0))
    return int(match[1]) if match else None


def needle_of(sid: str) -> bytes:
    """How a line ends that is about `sid`, up to its signature."""
    return b',"sid":' + dumps(sid) + b',"sig":'


def sid_of(line: bytes) -> str | None:
    """The event's own sid."""
    begin = line.rfind(b',"sid":') + len(b',"sid":')
    sid: str | None = orjson.loads(line[begin : line.rfind(b',"sig":')])
    return sid


def has_sid(line: bytes, needle: bytes) -> bool:
    """Whether the event's own sid is the one of `needle`, which is of `needle_of`.

    A body may hold such keys too, but nothing behind the event's sid can: strings escape quotes.
    """
    return needle in line and line.startswith(needle, line.rfind(b',"sid":'))
