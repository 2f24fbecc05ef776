"""The two ends of an output that may be longer than anyone wants to keep."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Capture:
    """Keeps the first and the last bytes of a stream; of a short one that is all of it."""

    head_max: int
    tail_max: int
    total: int = 0
    """Bytes that came."""
    head: bytearray = field(default_factory=bytearray)
    tail: bytearray = field(default_factory=bytearray)
    """What came after `head`, or the end of it."""

    def add(self, piece: bytes) -> None:
        """Take the next bytes."""
        self.total += len(piece)
        room = self.head_max - len(self.head)
        self.head += piece[:room]
        self.tail += piece[max(room, len(piece) - self.tail_max) :]
        del self.tail[: max(0, len(self.tail) - self.tail_max)]

    @property
    def left_out(self) -> int:
        """Bytes between `head` and `tail` that are gone."""
        return self.total - len(self.head) - len(self.tail)
