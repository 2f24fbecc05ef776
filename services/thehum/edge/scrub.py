"""Reads sealed segments again now and then, so that rot is found while copies of it still exist.

A start verifies the newest segment; older ones are walked here, a slice at a time, when there is
nothing else to do. What is wrong makes the log read-only and is named.
"""

from thehum.core.pages import PageLimits
from thehum.core.sealed import BrokenSegment
from thehum.core.verify import Walk, start_of
from thehum.edge.log import Log

FIRST_SECONDS = 600.0
"""Behind a start, until the first round begins."""
EVERY_SECONDS = 86_400.0
"""From the end of a round to the next."""
SLICE = PageLimits(events_max=1_024, bytes_max=1024 * 1024)


class Scrub:
    """See the module. Call `tick` in idle moments."""

    def __init__(self, opened: Log, *, now: float) -> None:
        self._log = opened
        self._due_at = now + FIRST_SECONDS
        self._walk: Walk | None = None
        self.verified = 0
        """Events that were read again since the start."""

    def tick(self, now: float) -> bool:
        """Go a slice further, when a round is due; whether there is more of it."""
        if now < self._due_at or self._log.read_only is not None:
            return False
        walk = self._walk or self._walk_from(self._log.first_seq)
        if walk.seq >= self._log.sealed_seq:
            self._due_at, self._walk = now + EVERY_SECONDS, None
            return False
        self._walk = walk
        self._read_on(walk)
        return self._log.read_only is None

    def _walk_from(self, first_seq: int) -> Walk:
        keys = self._log.keys
        return Walk(self._log.author, keys.first, start_of(first_seq), later=keys.events)

    def _read_on(self, walk: Walk) -> None:
        """Walk the next slice; at a gap that is known, go on behind it."""
        seq = walk.seq + 1
        try:
            page = self._log.page(seq, SLICE)
        except BrokenSegment as problem:
            self._log.suspect(seq, f"event {seq} cannot be read: {problem.message}")
            return
        gap = next((gap for gap in self._log.gaps if gap.first_seq == seq), None)
        if gap is not None:
            walk.leap(start_of(gap.last_seq + 1), self._log.keys.events)
            return
        flaw = walk.take(page.lines)
        if flaw is None and not page.lines:
            self._log.suspect(seq, f"event {seq} is not there")
        elif flaw is not None or walk.check_signature() is not None:
            reason = str(flaw) if flaw else "a signature does not verify"
            self._log.suspect(walk.seq + 1, f"event {walk.seq + 1}: {reason}")
        self.verified += len(page.lines)
        walk.signed_seqs.clear()
