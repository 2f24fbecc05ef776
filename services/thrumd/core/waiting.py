"""Bytes that wait in the door for clients that read slowly, over all of them."""

from collections.abc import Iterator, Mapping
from typing import TypeVar

WAITING_BYTES_MAX = 128 * 1024 * 1024
"""Beyond it those with most are cut, until no more than half of it waits."""
FALLEN_BYTES_MIN = 4 * 1024 * 1024
"""So much less than before is memory worth giving back."""

Client = TypeVar("Client")


class Waiting:
    """How much waits now, and how much less that is than it was."""

    def __init__(self) -> None:
        self.total = 0
        self._highest = 0

    def move(self, more: int) -> None:
        """So many more bytes wait; fewer when negative."""
        self.total += more
        self._highest = max(self._highest, self.total)

    @property
    def is_over(self) -> bool:
        """Whether more waits than may."""
        return self.total > WAITING_BYTES_MAX

    def has_fallen(self) -> bool:
        """Whether much less waits than at some moment since this was last true."""
        if self._highest - self.total < FALLEN_BYTES_MIN:
            return False
        self._highest = self.total
        return True


def worst(owed: Mapping[Client, int]) -> Iterator[Client]:
    """Whom to cut, so that what is left is half of what may wait: those with most."""
    left = sum(owed.values())
    for client in sorted(owed, key=lambda each: owed[each], reverse=True):
        if left <= WAITING_BYTES_MAX // 2:
            return
        left -= owed[client]
        yield client
