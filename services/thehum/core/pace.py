"""When housekeeping may go on: a slice of it is followed by a rest of twice its length.

So it takes a third of the time at most, and what arrives is answered in the rests.
"""

from dataclasses import dataclass

RESTS = 2.0
"""The rest after a slice, in lengths of the slice."""


@dataclass(slots=True)
class Pace:
    """See the module. Times are those of one steady clock."""

    _due_at: float = 0.0

    def is_rested(self, now: float) -> bool:
        """Whether a slice may begin."""
        return now >= self._due_at

    def worked(self, began: float, now: float) -> None:
        """A slice was done, and there is more to do."""
        self._due_at = now + RESTS * (now - began)

    def wait_ms(self, now: float) -> int:
        """How long the rest goes on; 0 when it is over."""
        return max(0, int((self._due_at - now) * 1000 + 0.999))
