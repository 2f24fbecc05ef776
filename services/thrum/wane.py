"""Lamport counters by sigil (docs/wire.md, section 3)."""

from collections import OrderedDict
from collections.abc import Mapping

WANE_MAX = 2**63 - 1
WANE_STEP_MAX = 2**32
"""A merged value further ahead than this is refused: one hostile snapshot must not pin a
counter."""
SIGILS_MAX = 100_000
"""Sigils remembered; the one that was not touched for longest is forgotten first."""


class WaneTracker:
    """Sigil to counter; only ever rises."""

    def __init__(self, counters: Mapping[str, int] | None = None) -> None:
        self._counters = OrderedDict(counters or {})
        self.forgotten = 0
        """Sigils that had to go because there were too many."""

    def __len__(self) -> int:
        return len(self._counters)

    def get(self, sigil: str) -> int:
        """The counter, 0 when the sigil is unknown."""
        return self._counters.get(sigil, 0)

    def tick(self, sigil: str) -> int:
        """Raise by one and return the new value."""
        value = self.get(sigil) + 1
        self._keep(sigil, value)
        return value

    def rise(self, sigil: str, value: int) -> bool:
        """Raise the counter to `value`, heard elsewhere; whether that was plausible.

        A value below the counter changes nothing; one that is negative or implausibly far ahead is
        refused.
        """
        here = self.get(sigil)
        if not 0 <= value <= min(WANE_MAX, here + WANE_STEP_MAX):
            return False
        self._keep(sigil, max(here, value))
        return True

    def behind(self, sigil: str, remote: int) -> bool:
        """Whether `remote` has seen more than we have."""
        return remote > self.get(sigil)

    def snapshot(self) -> dict[str, int]:
        """Every counter, the one touched last at the end."""
        return dict(self._counters)

    def merge(self, remote: Mapping[str, object]) -> int:
        """Take the maximum of each counter; return how many strictly advanced.

        A sigil seen for the first time is created even at 0. Values that are not integers,
        negative, or implausibly far ahead are skipped.
        """
        advanced = 0
        for sigil, value in remote.items():
            if type(value) is not int:
                continue
            here = self.get(sigil)
            advanced += self.rise(sigil, value) and value > here
        return advanced

    def _keep(self, sigil: str, value: int) -> None:
        self._counters[sigil] = value
        self._counters.move_to_end(sigil)
        if len(self._counters) > SIGILS_MAX:
            self._counters.popitem(last=False)
            self.forgotten += 1
