"""Whether the log holds back what it is offered, since when, why, and what mends it.

    away        thehum is not connected
    readOnly    it is connected and reads, but may not write
    silent      it owes an answer for `SILENT_SECONDS` and more
    replaying   humd has started and reads it, and takes nothing before it is through
    full        it had no room for what it was last offered
    ok          none of these

The first that holds counts. Times are seconds of a clock that never goes back.
"""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePath

SILENT_SECONDS = 2.0
"""How long the log may owe an answer before it is called silent."""
AWAY_SECONDS = 2.0
"""How long it may be away or full before new work is refused."""


class State(StrEnum):
    """How the log is, seen from humd."""

    AWAY = "away"
    READ_ONLY = "readOnly"
    SILENT = "silent"
    REPLAYING = "replaying"
    FULL = "full"
    OK = "ok"


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """The state of the log in words."""

    state: State
    since: float | None = None
    why: str = ""
    mend: str = ""

    @property
    def sentence(self) -> str:
        """For whoever is refused because of it."""
        return f"{self.why} (mend: {self.mend})" if self.mend else self.why


@dataclass(slots=True)
class Signs:
    """What humd knows of its log. `folder` is where the log is."""

    folder: PurePath
    away_since: float | None
    """None while thehum is connected."""
    booted: bool = False
    began_at: float = 0.0
    """When the replay began, or the log was found to be read-only."""
    next_seq: int = 1
    """While it is replayed: what comes next, and the last event there is."""
    head_seq: int = 0
    read_only: tuple[str, str] | None = None
    """Why nothing can be written, and what mends it."""
    full_since: float | None = None
    """When thehum began to refuse batches for want of room; None while it takes them."""
    full_reason: str = ""
    asked_at: float | None = None
    """When the log was first asked something that it has not answered."""

    def asked(self, now: float) -> None:
        """Something was sent that the log answers."""
        if self.asked_at is None:
            self.asked_at = now

    def heard(self, now: float, *, owes: bool) -> None:
        """The log said something; whether it `owes` more answers."""
        self.asked_at = now if owes else None

    def refused(self, now: float, reason: str) -> bool:
        """It had no room. True when it had some before."""
        self.full_reason = reason
        if self.full_since is not None:
            return False
        self.full_since = now
        return True

    def takes_work(self, now: float) -> bool:
        """Whether what is taken now can be expected to reach the disk."""
        since = self.full_since if self.away_since is None else self.away_since
        return self.read_only is None and (since is None or now - since < AWAY_SECONDS)

    def holding(self, now: float) -> Holding:
        """How the log is."""
        if self.away_since is not None:
            mend = "hum status; hum logs thehum"
            return _holding(State.AWAY, self.away_since, "thehum is not connected", mend)
        if self.read_only is not None:
            reason, mend = self.read_only
            return _holding(State.READ_ONLY, self.began_at, f"the log is read-only: {reason}", mend)
        if self.asked_at is not None and now - self.asked_at >= SILENT_SECONDS:
            why = f"thehum owes an answer for {now - self.asked_at:.0f} s"
            mend = "hum logs thehum; hum ctl restart thehum"
            return _holding(State.SILENT, self.asked_at, why, mend)
        if not self.booted:
            why = f"humd reads the log after its start: event {self.next_seq} of {self.head_seq}"
            return _holding(State.REPLAYING, self.began_at, why, "wait, and look again: hum status")
        if self.full_since is not None:
            mend = f"make room: df -h {self.folder}; df -i {self.folder}"
            return _holding(State.FULL, self.full_since, self.full_reason, mend)
        return Holding(state=State.OK)


def _holding(state: State, since: float, why: str, mend: str) -> Holding:
    return Holding(state=state, since=since, why=why, mend=mend)
