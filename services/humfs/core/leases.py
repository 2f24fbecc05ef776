"""Leases: who asked the others to leave a file, or a directory with all below, alone until when.

They are advisory: an edit tool refuses what another session has leased, a command in the shell does
not ask. A lease ends at its dusk, whatever became of its holder. Nothing here knows the time.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import orjson

from humfs.core import paths

LEASES_MAX = 1_024
"""Leases at once; one more is refused."""
LEASES_OF_ONE_MAX = 64
"""Of one session."""
SECONDS_MAX = 3_600
SECONDS_DEFAULT = 600


@dataclass(frozen=True, slots=True)
class Lease:
    """One lease."""

    path: str
    """Physical and absolute."""
    holder: str
    """The session."""
    dusk_ms: int
    """When it ends, in milliseconds of wall-clock time."""


class TooMany(Exception):
    """There is no room for another lease."""


@dataclass(slots=True)
class Leases:
    """The leases that hold at some moment."""

    held: list[Lease] = field(default_factory=list)

    def against(self, holder: str | None, path: str) -> Lease | None:
        """The lease of another session that an edit of `path` would ignore."""
        return next(
            (one for one in self.held if one.holder != holder and paths.contains(one.path, path)),
            None,
        )

    def taken(self, new: Lease) -> Lease | None:
        """Take a lease, or lengthen it; the one of another session that stands against it.

        Raises `TooMany`.
        """
        for one in self.held:
            meets = paths.contains(one.path, new.path) or paths.contains(new.path, one.path)
            if one.holder != new.holder and meets:
                return one
        kept = [one for one in self.held if (one.path, one.holder) != (new.path, new.holder)]
        own = sum(one.holder == new.holder for one in kept)
        if len(kept) >= LEASES_MAX or own >= LEASES_OF_ONE_MAX:
            raise TooMany
        self.held = [*kept, new]
        return None

    def released(self, holder: str, path: str) -> bool:
        """Give a lease back; whether there was one."""
        kept = [one for one in self.held if (one.path, one.holder) != (path, holder)]
        is_changed = len(kept) < len(self.held)
        self.held = kept
        return is_changed


def encoded(leases: Iterable[Lease]) -> bytes:
    """Leases as a file holds them."""
    return orjson.dumps([[one.path, one.holder, one.dusk_ms] for one in leases])


def decoded(content: bytes, now_ms: int) -> Leases:
    """Those of a file that hold now; of one that a crash tore, none: they are advice."""
    try:
        rows = orjson.loads(content)
    except orjson.JSONDecodeError:
        return Leases()
    if not isinstance(rows, list):
        return Leases()
    return Leases([lease for row in rows[:LEASES_MAX] if (lease := _lease(row, now_ms))])


def _lease(row: object, now_ms: int) -> Lease | None:
    match row:
        case [str() as path, str() as holder, int() as dusk_ms] if dusk_ms > now_ms:
            return Lease(path, holder, dusk_ms)
    return None
