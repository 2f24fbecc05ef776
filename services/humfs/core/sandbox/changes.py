"""What became of protected names while a command ran.

A mount stands on what had a name when the command began. What gets that name later is not protected
from the command, which is ended then; what it may have done meanwhile is told.
"""

from dataclasses import dataclass

TOLD_MAX = 20
"""Protected names of one kind that are told about one command."""


@dataclass(frozen=True, slots=True)
class Since:
    """Protected names that changed since a command began; of each kind the first `TOLD_MAX`."""

    made: tuple[str, ...] = ()
    """They were not there: a command made them, where none could be held."""
    replaced: tuple[str, ...] = ()
    """Somebody outside replaced, removed or renamed them."""
    removed: tuple[str, ...] = ()
    """They must not come to be, came, and were removed."""

    def __or__(self, other: "Since") -> "Since":
        """What either tells."""
        return Since(
            _both(self.made, other.made),
            _both(self.replaced, other.replaced),
            _both(self.removed, other.removed),
        )

    def __sub__(self, other: "Since") -> "Since":
        """What the other does not tell."""
        return Since(
            _without(self.made, other.made),
            _without(self.replaced, other.replaced),
            _without(self.removed, other.removed),
        )


def _both(ours: tuple[str, ...], theirs: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*ours, *theirs)))[:TOLD_MAX]


def _without(ours: tuple[str, ...], theirs: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(path for path in ours if path not in theirs)
