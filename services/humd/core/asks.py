"""Permission asks: what a worker wants consent for, and what became of it.

    asked --> allowed     someone who drives the sid, or the operator, said allow
          --> denied      ... said anything else
          --> expired     nobody said anything in time; the worker is told deny, with reason `dusk`
          --> withdrawn   the turn ended first

An ask that is over never changes again. It is known by the log seq of the tone that asked.
"""

from collections import OrderedDict
from dataclasses import dataclass
from enum import StrEnum

from humd.core.arrivals import ClientId

PENDING_MAX = 4_096
"""Asks that wait; one more is refused."""
OVER_MAX = 1_024
"""Asks that are over and still listed; all of them are in the log."""
TOOL_CHARS_MAX = 64
"""The longest name of a tool that is kept; no model takes a longer one."""


class AskState(StrEnum):
    """See the module."""

    ASKED = "asked"
    ALLOWED = "allowed"
    DENIED = "denied"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


@dataclass(slots=True)
class Ask:
    """One permission-ask."""

    id: int
    """Log seq of the tone that asked."""
    ask_id: str
    """The worker's own name for it."""
    sid: str
    worker: ClientId
    tool: str
    """Empty when its name is too long. What else was asked is content, and only in the log."""
    asked_ms: int
    due_ms: int
    state: AskState = AskState.ASKED
    over_ms: int = 0
    """When it was decided; 0 before."""
    decided_by: str | None = None
    """Who allowed or denied it: a hid, or the client when it has none."""
    again_seq: int = 0
    """Log seq of the newest prompt that has the agent ask again; 0 when there is none."""
    again_rid: str | None = None
    """The rid of that prompt."""


class Asks:
    """Asks that wait by sid and name, and the latest that are over."""

    def __init__(self) -> None:
        self.pending: dict[tuple[str, str], Ask] = {}
        self._by_sid: dict[str, dict[str, Ask]] = {}
        self._over: OrderedDict[int, Ask] = OrderedDict()
        self.counts: dict[AskState, int] = dict.fromkeys(AskState, 0)
        """How many asks ever came to each state."""

    @property
    def is_full(self) -> bool:
        return len(self.pending) >= PENDING_MAX

    def get(self, sid: str | None, ask_id: str) -> Ask | None:
        """The ask that waits under this name; without a sid the only one of that name."""
        if sid is not None:
            return self.pending.get((sid, ask_id))
        found = [ask for ask in self.pending.values() if ask.ask_id == ask_id]
        return found[0] if len(found) == 1 else None

    def add(self, ask: Ask) -> None:
        """One more waits."""
        self.pending[ask.sid, ask.ask_id] = ask
        self._by_sid.setdefault(ask.sid, {})[ask.ask_id] = ask
        self.counts[AskState.ASKED] += 1

    def close(self, ask: Ask, state: AskState, at_ms: int, by: str | None = None) -> None:
        """It is over; what became of it stays."""
        del self.pending[ask.sid, ask.ask_id]
        mine = self._by_sid[ask.sid]
        del mine[ask.ask_id]
        if not mine:
            del self._by_sid[ask.sid]
        ask.state, ask.over_ms, ask.decided_by = state, at_ms, by
        self.counts[state] += 1
        self._over[ask.id] = ask
        if len(self._over) > OVER_MAX:
            self._over.popitem(last=False)

    def reindex(self) -> None:
        """Find what waits on a sid again."""
        self._by_sid.clear()
        for ask in self.pending.values():
            self._by_sid.setdefault(ask.sid, {})[ask.ask_id] = ask

    def hand_over(self, old: ClientId, new: ClientId) -> None:
        """What the worker `old` asked is asked by `new`."""
        for ask in self.pending.values():
            if ask.worker == old:
                ask.worker = new

    def blank(self, sid: str) -> None:
        """Keep nothing that was said in the asks of a sid: its bodies were forgotten."""
        for ask in [*self._over.values(), *self.of_sid(sid)]:
            if ask.sid == sid:
                ask.tool = ""

    def of_sid(self, sid: str) -> list[Ask]:
        """What waits on a sid."""
        return list(self._by_sid.get(sid, {}).values())

    def expired(self, sid: str, ask_id: str) -> Ask | None:
        """The newest ask of this name that nobody answered in time."""
        found = (
            ask
            for ask in reversed(self._over.values())
            if (ask.sid, ask.ask_id) == (sid, ask_id) and ask.state is AskState.EXPIRED
        )
        return next(found, None)

    def overdue(self, now_ms: int) -> list[Ask]:
        """Asks that nobody answered in time, the longest overdue first."""
        late = [ask for ask in self.pending.values() if ask.due_ms <= now_ms]
        return sorted(late, key=lambda ask: (ask.due_ms, ask.id))

    def listed(self) -> list[Ask]:
        """The latest that are over and all that wait, by age."""
        return sorted([*self._over.values(), *self.pending.values()], key=lambda ask: ask.id)
