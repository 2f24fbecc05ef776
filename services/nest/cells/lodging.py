"""Which conversation has a cell, who loses its own, and when. Decisions only: time is passed in.

Rules:

- A sid has one cell at most, and keeps it between its prompts.
- Never more than `places_max` cells, those that are being ended among them: a place is free only
  when nothing is left of who had it.
- A cell that is working is never taken from its sid. Of those that rest, the one that has rested
  for longest goes first.
- One that has rested for `idle_seconds` goes by itself.
"""

from dataclasses import dataclass
from enum import Enum, StrEnum, auto


class Ending(StrEnum):
    """Why a cell was ended; the values are labels of metrics."""

    CANCELLED = "cancelled"
    """What it worked on was given up, or its state is not known any more."""
    LRU = "lru"
    """Another sid needed the place, and this one had rested for longest."""
    IDLE = "idle"
    """It had rested for too long."""
    CHANGED = "changed"
    """Its sid wants another one: another model, other tools."""
    FORGOTTEN = "forgotten"
    """Its conversation is over."""
    STOPPED = "stopped"
    """The worker stops."""


EVICTIONS = frozenset({Ending.LRU, Ending.IDLE})
"""Endings that take a resting cell from a sid that may come back."""


class State(Enum):
    """What a cell is doing."""

    WORKING = auto()
    RESTING = auto()
    LEAVING = auto()


@dataclass(slots=True)
class Place:
    """A cell's place."""

    like: object
    """What the cell was started for; a prompt that wants something else gets another cell."""
    state: State
    since: float
    """When it began to rest."""


@dataclass(frozen=True, slots=True)
class Enter:
    """The sid has a cell that rests: it works from now on."""


@dataclass(frozen=True, slots=True)
class Spawn:
    """There is room, and the place is taken: start a cell."""


@dataclass(frozen=True, slots=True)
class End:
    """End this cell first; it is leaving from now on. Ask again when it is gone."""

    sid: str
    ending: Ending


@dataclass(frozen=True, slots=True)
class Wait:
    """Ask again when a cell is gone or rests."""


Answer = Enter | Spawn | End | Wait


class Lodging:
    """The places of one worker."""

    def __init__(self, *, places_max: int, idle_seconds: float) -> None:
        self._places_max = places_max
        self._idle_seconds = idle_seconds
        self._places: dict[str, Place] = {}

    def __len__(self) -> int:
        return len(self._places)

    def ask(self, sid: str, like: object, now: float) -> Answer:
        """Decide what a prompt of `sid` does; see the answers for what has changed then."""
        own = self._places.get(sid)
        if own is not None and own.state is State.RESTING:
            if own.like == like:
                own.state = State.WORKING
                return Enter()
            return self._leave(sid, own, Ending.CHANGED)
        if own is not None:
            return Wait()
        if len(self._places) < self._places_max:
            self._places[sid] = Place(like, State.WORKING, now)
            return Spawn()
        resting = [(place.since, sid) for sid, place in self._resting()]
        if not resting or any(place.state is State.LEAVING for place in self._places.values()):
            return Wait()  # one that leaves makes room already
        oldest = min(resting)[1]
        return self._leave(oldest, self._places[oldest], Ending.LRU)

    def rest(self, sid: str, now: float) -> None:
        """The work of this sid's cell is done; it stays."""
        place = self._places[sid]
        if place.state is State.WORKING:
            place.state, place.since = State.RESTING, now

    def leave(self, sid: str) -> bool:
        """The cell of this sid is being ended; whether it was not before."""
        place = self._places.get(sid)
        if place is None or place.state is State.LEAVING:
            return False
        place.state = State.LEAVING
        return True

    def gone(self, sid: str) -> None:
        """Nothing of the cell is left: its place is free."""
        del self._places[sid]

    def overdue(self, now: float) -> list[End]:
        """The cells that have rested for too long; they are leaving from now on."""
        late = [sid for sid, place in self._resting() if now - place.since >= self._idle_seconds]
        return [self._leave(sid, self._places[sid], Ending.IDLE) for sid in late]

    def look_in(self, now: float) -> float | None:
        """Seconds until the next cell can be overdue; None when none rests."""
        since = min((place.since for _, place in self._resting()), default=None)
        return None if since is None else max(0.0, since + self._idle_seconds - now)

    def resting(self) -> list[str]:
        """The sids whose cells rest."""
        return [sid for sid, _ in self._resting()]

    def _resting(self) -> list[tuple[str, Place]]:
        return [(sid, place) for sid, place in self._places.items() if place.state is State.RESTING]

    def _leave(self, sid: str, place: Place, ending: Ending) -> End:
        place.state = State.LEAVING
        return End(sid, ending)
