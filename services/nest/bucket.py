"""How fast something may happen: connections let in, lines of a log."""

from dataclasses import dataclass


@dataclass(slots=True)
class Bucket:
    """A token bucket: `rate` per second, `burst` at once after a rest. Time is an argument."""

    rate: float
    burst: float
    _filled: float = 0.0
    _at: float | None = None

    def take(self, now: float, count: int = 1) -> float:
        """Take so many tokens and return 0, or none and return the seconds until there are."""
        if self._at is None:
            self._filled = self.burst
        else:
            self._filled = min(self.burst, self._filled + (now - self._at) * self.rate)
        self._at = now
        if self._filled < count:
            return (count - self._filled) / self.rate
        self._filled -= count
        return 0.0
