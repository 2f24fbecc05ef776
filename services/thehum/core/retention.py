"""Which of the oldest events may go, and which must stay: the log's bound on the disk.

| mode | keeps |
|---|---|
| `archive` | everything |
| `rolling` | what fits into a number of bytes and is not older than a number of days |
| `light` | what is behind the older of the two newest snapshots of the state |

Only whole segments that are full go, the oldest first, and never an event that somebody still
needs: who starts again reads on from the newest snapshot, a projector from its cursor, an anchor
from the event it is about. They say so in `Needs`, and it wins over the bound.

The hashes of events that went stay in the tree, so that whoever holds an event can have it proven.
When they take more than a quarter of the bound, the oldest of them go too, but no hash of an event
that is kept, and none of the upper levels: every event that is kept can be proven for ever.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

HASHES_SHARE = 4
"""One part in so many of the bound is for hashes of events that went."""
SEGMENTS_MIN = 4
"""A bound holds at least so many segments: one is open, one waits to be, one is compressed."""
SKEW_MS_MAX = 60_000
"""A wall clock that goes further than this from the steady one was set, and is not followed."""
AWAY_MS_MAX = 7 * 86_400_000
"""How much time without a running log counts towards the age of its events."""


class Mode(StrEnum):
    """How much of the log is kept."""

    ARCHIVE = "archive"
    ROLLING = "rolling"
    LIGHT = "light"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """What the settings say."""

    mode: Mode
    bytes_max: int
    age_ms_max: int
    segment_bytes: int

    @property
    def hashes_bytes_max(self) -> int:
        """For hashes of events that went."""
        return self.bytes_max // HASHES_SHARE


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A segment that is full."""

    first_seq: int
    last_seq: int
    size: int
    """Bytes on disk of its events, with their bodies beside the log."""


@dataclass(slots=True)
class Needs:
    """Who still needs which events. Before there is a snapshot, everybody needs all of them."""

    holds: dict[str, int] = field(default_factory=dict)
    _snapshots: list[int] = field(default_factory=list)

    def hold(self, name: str, seq: int) -> None:
        """`name` needs every event behind `seq`, from now on and until it says otherwise."""
        self.holds[name] = seq

    def release(self, name: str) -> None:
        """`name` needs nothing any more."""
        self.holds.pop(name, None)

    def snapshot(self, seq: int) -> None:
        """There is a durable snapshot of the state at `seq`."""
        self._snapshots = sorted({*self._snapshots, seq})[-2:]

    @property
    def floor_seq(self) -> int:
        """Nobody needs the events up to here."""
        return min([*self.holds.values(), *self._snapshots[-1:]]) if self._snapshots else 0

    @property
    def light_seq(self) -> int:
        """The older of the two newest snapshots; 0 when there are not two."""
        return self._snapshots[0] if len(self._snapshots) == 2 else 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """The `count` oldest segments go. `is_over`: more should, but somebody needs them."""

    count: int
    is_over: bool = False


def judge(
    kept: Sequence[Kept],
    bound: Bound,
    needs: Needs,
    *,
    other_bytes: int,
    hash_bytes: int,
    is_old: Callable[[Kept], bool],
) -> Verdict:
    """How many of the segments in `kept`, the oldest first, go.

    `hash_bytes` is what the tree takes, `other_bytes` everything else beside the segments. `is_old`
    says of a segment whether all of its events are; it is asked of no more than it has to be.
    """
    if bound.mode is Mode.ARCHIVE:
        return Verdict(0)
    total = sum(each.size for each in kept) + other_bytes
    for count, each in enumerate(kept):
        if bound.mode is Mode.LIGHT:
            goes = each.last_seq <= needs.light_seq
        else:
            hashes = _hashes_with(bound, hash_bytes, each.first_seq - 1, kept[-1].last_seq)
            goes = total + hashes > bound.bytes_max or is_old(each)
        if not goes:
            return Verdict(count)
        if each.last_seq > needs.floor_seq:
            return Verdict(count, is_over=True)
        total -= each.size
    return Verdict(len(kept))


def _hashes_with(bound: Bound, hash_bytes: int, gone_seq: int, last_seq: int) -> int:
    """What the tree takes when the events up to `gone_seq` went, and those hashes that may."""
    of_gone = hash_bytes * gone_seq // max(last_seq, 1)
    return hash_bytes - of_gone + min(of_gone, bound.hashes_bytes_max)


def hashes_gone(bound: Bound, *, gone_seq: int, bytes_each: int) -> int:
    """The hashes of how many of the oldest events go, when the events up to `gone_seq` went."""
    if bound.mode is Mode.ARCHIVE:
        return 0
    return max(gone_seq - bound.hashes_bytes_max // bytes_each, 0)


class Clock:
    """The time by which events get old: the wall clock, unless somebody sets it.

    A clock that is set ten years ahead must not empty the log. So the steady clock of the machine
    counts, which no one can set, and the wall clock only where it agrees.
    """

    def __init__(self, *, wall_ms: int, steady_ms: int, newest_ms: int) -> None:
        """Begin at the wall's time, but not long after that of the newest event."""
        self.now_ms = min(wall_ms, newest_ms + AWAY_MS_MAX) if newest_ms else wall_ms
        self._steady_ms = steady_ms

    def step(self, *, wall_ms: int, steady_ms: int) -> int:
        """The time now, by both clocks."""
        self.now_ms += steady_ms - self._steady_ms
        self._steady_ms = steady_ms
        if abs(wall_ms - self.now_ms) <= SKEW_MS_MAX:
            self.now_ms = wall_ms
        return self.now_ms
