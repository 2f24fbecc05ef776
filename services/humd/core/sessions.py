"""Conversations: who drives one, who serves it, who watches, and which tool calls wait.

A session is one sid. It is *open* while a turn runs. After its last turn it is kept for a while,
so that the sid keeps its worker and its owner, and then forgotten.
"""

from collections import OrderedDict, deque
from dataclasses import dataclass, field

from humd.core.arrivals import Arrival, ClientId

SESSIONS_MAX = 20_000
"""Sessions kept. The oldest closed one goes first; when all are open a new prompt is refused."""
KEEP_MS = 600_000
"""How long a closed session keeps its owner and worker."""
PROMPTS_WAITING_MAX = 8
"""Prompts that wait for the turn of their sid to end."""
ORPHAN_MS = 60_000
"""How long the turn of an asker that left through a door goes on, waiting for it to come back."""
CALLS_MAX = 65_536
"""Tool calls that wait for an answer."""
CALL_MS = 310_000
"""How long a tool call may take; workers give up after 300 s."""


@dataclass(slots=True)
class Session:
    """One conversation."""

    sid: str
    owner: ClientId | None
    worker: ClientId | None = None
    is_open: bool = False
    wane: int = 0
    opened_seq: int = 0
    """Log seq of the prompt of the present or last turn."""
    ended_ms: int = 0
    model: str | None = None
    asker_tools: frozenset[str] = frozenset()
    watchers: dict[ClientId, bool] = field(default_factory=dict)
    """Attached clients; True when they may only listen."""
    waiting: deque[Arrival] = field(default_factory=deque)

    def may_drive(self, client: ClientId) -> bool:
        """Whether `client` may prompt, cancel or answer here. A sid without an owner is free."""
        if client in self.watchers and client != self.owner:
            return self.watchers[client] is False
        return self.owner in (None, client)

    def listeners(self, besides: ClientId | None) -> list[ClientId]:
        """Who hears what is said here, but for the one who said it."""
        heard = [self.owner] if self.owner is not None else []
        heard += [client for client in self.watchers if client != self.owner]
        return [client for client in heard if client != besides]


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call on its way: `callee` alone may answer it."""

    call_id: str
    caller: ClientId
    callee: ClientId
    sid: str | None
    tool: str
    due_ms: int


class Sessions:
    """Sessions by sid, closed ones in the order they ended."""

    def __init__(self) -> None:
        self.by_sid: dict[str, Session] = {}
        self.orphaned: dict[str, int] = {}
        """Open turns whose asker left, and when each is to be cancelled."""
        self.closed: OrderedDict[str, None] = OrderedDict()
        """Sids without a turn, in the order they ended."""

    def get(self, sid: str | None) -> Session | None:
        return self.by_sid.get(sid) if sid is not None else None

    @property
    def is_full(self) -> bool:
        """Whether a new session would have to push out an open one."""
        return len(self.by_sid) >= SESSIONS_MAX and not self.closed

    def open_for(self, sid: str, owner: ClientId | None, at_ms: int) -> Session:
        """The session of `sid`, made when there is none; a free one is taken over by `owner`."""
        self._expire(at_ms)
        session = self.by_sid.get(sid)
        if session is None:
            if len(self.by_sid) >= SESSIONS_MAX and self.closed:
                del self.by_sid[self.closed.popitem(last=False)[0]]
            session = self.by_sid[sid] = Session(sid, owner, ended_ms=at_ms)
            self.closed[sid] = None
        elif session.owner is None:
            session.owner = owner
        return session

    def start(self, session: Session, worker: ClientId, seq: int) -> None:
        """A turn begins."""
        session.worker, session.is_open, session.opened_seq = worker, True, seq
        self.orphaned.pop(session.sid, None)
        self.closed.pop(session.sid, None)

    def end(self, session: Session, at_ms: int) -> None:
        """The turn is over."""
        session.is_open, session.ended_ms = False, at_ms
        self.orphaned.pop(session.sid, None)
        self.closed[session.sid] = None
        self.closed.move_to_end(session.sid)

    def orphan(self, session: Session, until_ms: int) -> None:
        """The asker of an open turn left: at `until_ms` the turn is to be cancelled."""
        self.orphaned[session.sid] = until_ms

    def adopt(self, session: Session) -> None:
        """The asker is back, or the cancel is on its way."""
        self.orphaned.pop(session.sid, None)

    def orphans(self, now_ms: int) -> list[str]:
        """Sids whose turn is to be cancelled."""
        return [sid for sid, until_ms in self.orphaned.items() if until_ms <= now_ms]

    def drop(self, sid: str) -> None:
        """Forget a conversation."""
        self.by_sid.pop(sid, None)
        self.orphaned.pop(sid, None)
        self.closed.pop(sid, None)

    def _expire(self, at_ms: int) -> None:
        while self.closed:
            sid = next(iter(self.closed))
            if self.by_sid[sid].ended_ms + KEEP_MS > at_ms:
                return
            self.drop(sid)


class Calls:
    """Waiting tool calls, by who was asked and the id the caller chose."""

    def __init__(self) -> None:
        self.waiting: dict[tuple[ClientId, str], Call] = {}
        self._by_caller: dict[ClientId, dict[str, Call]] = {}

    def get(self, callee: ClientId, call_id: str) -> Call | None:
        return self.waiting.get((callee, call_id))

    def add(self, call: Call) -> None:
        self.waiting[call.callee, call.call_id] = call
        self._by_caller.setdefault(call.caller, {})[call.call_id] = call

    def remove(self, call: Call) -> None:
        self.waiting.pop((call.callee, call.call_id), None)
        mine = self._by_caller.get(call.caller, {})
        mine.pop(call.call_id, None)
        if not mine:
            self._by_caller.pop(call.caller, None)

    @property
    def is_full(self) -> bool:
        return len(self.waiting) >= CALLS_MAX

    def made(self, caller: ClientId, call_id: str) -> Call | None:
        """The call that `caller` made under this id."""
        return self._by_caller.get(caller, {}).get(call_id)

    def of_callee(self, client: ClientId) -> list[Call]:
        return [call for call in self.waiting.values() if call.callee == client]

    def of_caller(self, client: ClientId) -> list[Call]:
        return list(self._by_caller.get(client, {}).values())

    def overdue(self, now_ms: int) -> list[Call]:
        """Calls past their time; they were added in the order they fall due."""
        late: list[Call] = []
        for call in self.waiting.values():
            if call.due_ms > now_ms:
                break
            late.append(call)
        return late
