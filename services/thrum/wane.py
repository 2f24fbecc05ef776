"""Lamport counters by sigil (docs/wire.md, section 3)."""

from collections.abc import Mapping

WANE_MAX = 2**63 - 1
WANE_STEP_MAX = 2**32
"""A merged value further ahead than this is refused: one hostile snapshot must not pin a
counter."""


class WaneTracker:
    """Sigil to counter; only ever rises."""

    def __init__(self, counters: Mapping[str, int] | None = None) -> None:
        self._counters = dict(counters or {})

    def get(self, sigil: str) -> int:
        """The counter, 0 when the sigil is unknown."""
        return self._counters.get(sigil, 0)

    def tick(self, sigil: str) -> int:
        """Raise by one and return the new value."""
        value = self.get(sigil) + 1
        self._counters[sigil] = value
        return value

    def set(self, sigil: str, value: int) -> None:
        self._counters[sigil] = value

    def behind(self, sigil: str, remote: int) -> bool:
        """Whether `remote` has seen more than we have."""
        return remote > self.get(sigil)

    def snapshot(self) -> dict[str, int]:
        return dict(self._counters)

    def merge(self, remote: Mapping[str, object]) -> int:
        """Take the maximum of each counter; return how many strictly advanced.

        A sigil seen for the first time is created even at 0. Values that are not integers,
        negative, or implausibly far ahead are skipped.
        """
        advanced = 0
        for sigil, value in remote.items():
            here = self.get(sigil)
            if type(value) is not int or not 0 <= value <= min(WANE_MAX, here + WANE_STEP_MAX):
                continue
            self._counters[sigil] = max(here, value)
            advanced += value > here
        return advanced
