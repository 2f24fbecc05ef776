"""Keeps the log within its bound: drops the oldest segments, and hashes when there are too many.

What `core.retention` decides, one segment at a time, when a segment was sealed or signed for, and
every `EVERY_SECONDS`. Before a segment goes its events are below a signed root and their hashes are
on disk (`edge.checkpoints`), and so is the new base of the log (`edge.log`).
"""

import logging
import sys
import time
from collections.abc import Callable

import orjson

from thehum.core.pages import PageLimits
from thehum.core.retention import Bound, Clock, Kept, Mode, Needs, hashes_gone, judge
from thehum.core.sealed import BrokenSegment
from thehum.edge.checkpoints import Checkpoints
from thehum.edge.log import Log

EVERY_SECONDS = 30.0
HASH_BYTES_EACH = 33
"""Of one event in the tree, with its part of the upper levels."""
URGENT_SEGMENTS = 2
"""With room for fewer full segments than this, what covers the oldest one is urgent."""
RESERVED_SEGMENTS = 2
"""Room kept free of events: the spare is laid out in it, and a segment compressed."""

log = logging.getLogger(__name__)


def steady_ms() -> int:
    """A clock that nobody sets, in ms; where there is one, it goes on while the machine sleeps."""
    clock = time.CLOCK_BOOTTIME if sys.platform == "linux" else time.CLOCK_MONOTONIC
    return int(time.clock_gettime(clock) * 1000)


class Retention:
    """See the module. Call `tick` now and then; `needs` is for whoever still reads."""

    def __init__(
        self,
        opened: Log,
        checkpoints: Checkpoints,
        bound: Bound,
        *,
        needs: Needs | None = None,
        beside_bytes: Callable[[], int] = lambda: 0,
        wall_ms: int,
        steady_ms: int,
    ) -> None:
        """`beside_bytes` is what takes room within the bound besides."""
        self.needs = needs or Needs()
        self._beside_bytes = beside_bytes
        self.is_over = False
        """Whether the log is larger or older than its bound, because somebody needs the events."""
        self.over_seq = 0
        """The events up to here should have gone already; 0 when none should."""
        self.urgent_seq = 0
        """There is little room: let the events up to here be covered, so that they may go. 0 when
        there is enough."""
        self.kept_bytes = 0
        """On disk for full segments, their bodies, hashes and snapshots, when last looked at."""
        self.dropped = 0
        """Segments since the start."""
        self._log = opened
        self._checkpoints = checkpoints
        self._bound = bound
        newest_ms = opened.head.ts_ms
        self._clock = Clock(wall_ms=wall_ms, steady_ms=steady_ms, newest_ms=newest_ms)
        self._due_ms = 0
        self._standing = (0, 0, 0)
        """Sealed, safe and unneeded events when last looked at."""
        self._times: dict[int, int] = {}
        """When segments began, as far as anybody asked."""
        self._can_drop_hashes = True

    def tick(self, *, wall_ms: int, steady_ms: int) -> bool:
        """Drop the oldest segment, if one is due to go; whether anything was looked at.

        Raises `DiskFull`, after which nothing went, or `WriteFailed`.
        """
        standing = self._log.sealed_seq, self._checkpoints.safe_seq, self.needs.floor_seq
        is_due = steady_ms >= self._due_ms or standing != self._standing
        if not is_due or self._log.read_only is not None:
            return False
        now_ms = self._clock.step(wall_ms=wall_ms, steady_ms=steady_ms)
        if not self._drop_one(now_ms):
            self._drop_hashes()
            self._due_ms = steady_ms + int(EVERY_SECONDS * 1000)
            self._standing = standing
        return True

    def _drop_one(self, now_ms: int) -> bool:
        kept, hash_bytes = self._log.kept(), self._checkpoints.disk_bytes
        beside_bytes = self._beside_bytes()
        self.kept_bytes = sum(each.size for each in kept) + hash_bytes + beside_bytes
        segment_bytes = self._bound.segment_bytes
        soon_bytes = self.kept_bytes + (RESERVED_SEGMENTS + URGENT_SEGMENTS) * segment_bytes
        is_rolling = self._bound.mode is Mode.ROLLING
        is_pressed = is_rolling and bool(kept) and soon_bytes > self._bound.bytes_max
        self.urgent_seq = kept[0].last_seq if is_pressed else 0
        verdict = judge(
            kept,
            self._bound,
            self.needs,
            other_bytes=RESERVED_SEGMENTS * segment_bytes + beside_bytes,
            hash_bytes=hash_bytes,
            is_old=lambda each: self._end_ms(each) < now_ms - self._bound.age_ms_max,
        )
        if verdict.is_over and not self.is_over:
            extra = {"needs": self.needs.floor_seq, "holds": dict(self.needs.holds)}
            log.warning("log.over_bound", extra=extra)
        self.is_over = verdict.is_over
        self.over_seq = kept[0].last_seq if verdict.is_over else 0
        if not verdict.count or kept[0].last_seq > self._checkpoints.safe_seq:
            return False
        base = self._checkpoints.base_at(kept[0].last_seq)
        if base is None:
            return False
        self._log.drop(base)
        self.dropped += 1
        self._times.pop(kept[0].first_seq, None)
        log.info("log.dropped", extra={"first_seq": kept[0].first_seq, "last_seq": base.seq})
        return True

    def _drop_hashes(self) -> None:
        base = self._log.base
        if base is None or not self._can_drop_hashes or self._bound.mode is Mode.ARCHIVE:
            return
        count = hashes_gone(self._bound, gone_seq=base.seq, bytes_each=HASH_BYTES_EACH)
        if count and not self._checkpoints.drop_hashes(count):
            self._can_drop_hashes = False
            log.warning("log.hashes_stay", extra={"reason": "no holes in files on this disk"})

    def _end_ms(self, each: Kept) -> int:
        """The time of the first event behind a segment."""
        seq = each.last_seq + 1
        known = self._times.get(seq)
        if known is None:
            known = self._times[seq] = self._time_of(seq)
        return known

    def _time_of(self, seq: int) -> int:
        """When an event was written; for one that cannot be read, as if it were just now."""
        try:
            lines = self._log.page(seq, PageLimits(events_max=1, bytes_max=1)).lines
        except BrokenSegment:
            lines = []
        return int(orjson.loads(lines[0])["ts_ms"]) if lines else self._clock.now_ms
