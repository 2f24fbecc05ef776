"""penny: what was used over the whole life of this humd, counted from the log.

Counters only rise. A delta that is no plausible amount is ignored, so that nobody pins a counter
at its end; at the end it stays there.
"""

from collections.abc import Mapping

COUNTER_MAX = 2**64 - 1
DELTA_MAX = 2**32
"""The largest amount that one event may add."""
NAMES_MAX = 256
"""Counters; further names that askers bring are ignored."""
NAME_CHARS_MAX = 64
DELTAS_MAX = 24
"""Counters that one prompt may bring: the first ones by name. The log keeps as many of a body that
is beside it, so that a replay counts the same."""

BLOOMS = "blooms"
TASKS = "taskExecutions"
CURATES = "curateEvents"
WITHERS = "droneWithers"
USAGE: Mapping[str, str] = {
    "input_tokens": "totalInputTokens",
    "output_tokens": "totalOutputTokens",
    "cache_read_input_tokens": "totalCacheReadTokens",
    "cache_creation_input_tokens": "totalCacheWriteTokens",
}
"""Keys of a terminal tone's `usage`, and the counters they go to."""


class Penny:
    """Counters by name."""

    def __init__(self, counters: Mapping[str, object] | None = None) -> None:
        """Take over stored counters: integers, and the whole part of numbers; nothing else."""
        self.counters: dict[str, int] = {}
        self.ignored = 0
        """Deltas that were no plausible amount, or had a name too many."""
        for name, value in (counters or {}).items():
            whole = _whole(value)
            if whole is not None and len(self.counters) < NAMES_MAX and _is_name(name):
                self.counters[name] = min(whole, COUNTER_MAX)

    def add(self, name: str, amount: int = 1) -> None:
        """Raise a counter; it stays at its end when it gets there."""
        self.counters[name] = min(self.counters.get(name, 0) + amount, COUNTER_MAX)

    def spend(self, usage: object) -> int:
        """Count the tokens of a terminal tone's `usage`; return how many there were."""
        tokens = 0
        for key, name in USAGE.items():
            amount = usage.get(key) if isinstance(usage, dict) else None
            tokens += self._take(name, amount)
        return tokens

    def merge(self, delta: object) -> None:
        """Count what an asker brings in `pennyDelta`."""
        items = delta.items() if isinstance(delta, dict) else ()
        brought = sorted((name, amount) for name, amount in items if _is_count(name, amount))
        self.ignored += len(items) - len(brought[:DELTAS_MAX])
        for name, amount in brought[:DELTAS_MAX]:
            if self._has_room(name):
                self._take(name, amount)
            else:
                self.ignored += 1

    def _take(self, name: str, amount: object) -> int:
        """Add what is plausible; the amount that was added."""
        if amount is None or amount == 0:
            return 0
        if type(amount) is not int or not 0 < amount <= DELTA_MAX:
            self.ignored += 1
            return 0
        self.add(name, amount)
        return amount

    def _has_room(self, name: str) -> bool:
        return name in self.counters or (len(self.counters) < NAMES_MAX and _is_name(name))


def _is_name(name: str) -> bool:
    return 0 < len(name) <= NAME_CHARS_MAX


def _is_count(name: object, amount: object) -> bool:
    return isinstance(name, str) and _is_name(name) and type(amount) is int


def _whole(value: object) -> int | None:
    """A stored value as a counter; None for what is none."""
    if type(value) is int and value >= 0:
        return value
    if type(value) is float and 0 <= value < float("inf"):
        return int(value)
    return None
