"""Which client waits for an echo of which link number."""

from collections import deque
from collections.abc import Iterator, Mapping
from typing import NamedTuple

BYTES_MAX = 32 * 1024 * 1024
"""Line bytes that may wait for humd, over all clients; then no more is read."""


class Receipt(NamedTuple):
    """A tone on its way to the log."""

    number: int
    client: str
    rid: str | None
    """None when the client gave none and is told nothing."""
    size: int


class Receipts:
    """Tones that humd has not settled, in the order of their link numbers."""

    def __init__(self) -> None:
        self._waiting: deque[Receipt] = deque()
        self._bytes = 0

    @property
    def has_room(self) -> bool:
        """Whether one more line may wait."""
        return self._bytes < BYTES_MAX

    def expect(self, receipt: Receipt) -> None:
        """Remember a tone; numbers only rise."""
        self._waiting.append(receipt)
        self._bytes += receipt.size

    def settle(self, upto: int, refused: Mapping[int, str]) -> Iterator[tuple[Receipt, str | None]]:
        """Forget all up to a number; what wants an echo comes out, with why it was refused."""
        while self._waiting and self._waiting[0].number <= upto:
            receipt = self._waiting.popleft()
            self._bytes -= receipt.size
            if receipt.rid is not None:
                yield receipt, refused.get(receipt.number)
