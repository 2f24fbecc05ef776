"""Which link numbers of an instance are in the log.

Link numbers rise by one for each parcel. The log has most of them; those between that it has not
were refused. Whoever sent one may not have heard so (humd died before it said so), and then offers
it again: it is judged anew, while one that the log has is a duplicate.
"""

from dataclasses import dataclass, field

WINDOW = 4_096
"""How far back numbers may still be offered again: what a bee may hold unsettled."""


@dataclass(slots=True)
class Links:
    """See the module."""

    upto: int = 0
    """The highest number in the log."""
    gaps: list[tuple[int, int]] = field(default_factory=list)
    """Runs below it, first and last, that the log does not have; ascending, within the window."""

    def has(self, number: int) -> bool:
        """Whether the log has this number, or could."""
        return number <= self.upto and not any(first <= number <= last for first, last in self.gaps)

    def add(self, number: int) -> None:
        """The log has this number now."""
        if number == self.upto + 1:
            self.upto = number
            return
        if number > self.upto:
            self.gaps.append((max(self.upto + 1, number - WINDOW), number - 1))
            self.upto = number
        else:
            self.gaps = [part for gap in self.gaps for part in _without(gap, number)]
        while self.gaps and self.gaps[0][1] <= self.upto - WINDOW:
            del self.gaps[0]

    @property
    def settled(self) -> int:
        """Everything up to here is settled for certain."""
        oldest = self.upto - WINDOW
        for first, last in self.gaps:
            if last > oldest:
                return first - 1
        return self.upto


def _without(gap: tuple[int, int], number: int) -> list[tuple[int, int]]:
    first, last = gap
    if not first <= number <= last:
        return [gap]
    return [part for part in ((first, number - 1), (number + 1, last)) if part[0] <= part[1]]
