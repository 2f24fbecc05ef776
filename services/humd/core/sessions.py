"""Conversations: who drives one, who serves it, who watches, and what waits for its turn.

A session is one sid. It is *open* while a turn runs. After its last turn it is kept for a while,
so that the sid keeps its worker and its owner, and then forgotten; only how far its tones were
numbered is known for longer. Who takes part changes here only, so that the sessions of a client
are found without looking at all of them.
"""

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from humd.core.arrivals import Arrival, ClientId

SESSIONS_MAX = 20_000
"""Sessions kept. The oldest closed one goes first; when all are open a new prompt is refused."""
KEEP_MS = 600_000
"""How long a closed session keeps its owner and worker."""
IDLE_LATE_MS = 60_000
"""How late forgetting a closed session may come when nothing else happens."""
NUMBERS_MAX = 100_000
"""Forgotten sids whose numbering goes on where it was; the one forgotten first is lost first."""
PROMPTS_WAITING_MAX = 8
"""Prompts that wait for the turn of their sid to end."""
WAITING_BYTES_MAX = 256 * 1024 * 1024
"""Bodies of all prompts that wait, over all sids."""
WATCHERS_MAX = 256
"""Clients attached to one sid."""
ORPHAN_MS = 60_000
"""How long the turn of an asker that left through a door goes on, waiting for it to come back."""
SILENT_MS = 900_000
"""How long the worker of an open turn may say nothing; three times what a tool may take."""


class Numbers(NamedTuple):
    """How far the tones of a sid are counted, and where in the log counting began."""

    wane: int
    first_seq: int
    first_wane: int


class Wanes(Protocol):
    """Where the count of a conversation is kept when the conversation is not."""

    def wane_of(self, sid: str) -> int: ...

    def keep_wane(self, sid: str, wane: int) -> None: ...


@dataclass(slots=True)
class Session:
    """One conversation."""

    sid: str
    owner: ClientId | None = None
    worker: ClientId | None = None
    is_open: bool = False
    wane: int = 1
    """The number of the last event of this sid."""
    first_seq: int = 0
    """Log seq of the first event that was counted without a gap since."""
    first_wane: int = 1
    """Its number."""
    opened_seq: int = 0
    """Log seq of the prompt of the present or last turn."""
    ended_ms: int = 0
    active_ms: int = 0
    """When the worker of the open turn last said something."""
    model: str | None = None
    place: str | None = None
    """Hid of the humd that has the conversation's files; None when they are here."""
    hands: tuple[ClientId, ...] = ()
    """Which foragers of files served it, the last one last."""
    asker_tools: frozenset[str] = frozenset()
    open_tools: tuple[str, ...] = ()
    """Patterns of the foragers' tools that the key of the turn opens; empty: all."""
    watchers: dict[ClientId, bool] = field(default_factory=dict)
    """Attached clients; True when they may only listen."""
    waiting: deque[Arrival] = field(default_factory=deque)
    """Prompts for later turns."""
    prompt: Arrival | None = None
    """Of the turn that runs, while it could still be begun again."""
    cancelled: list[str | None] = field(default_factory=list)
    """Rids of prompts that were cancelled while they waited; answered when this turn ends."""

    def may_drive(self, client: ClientId) -> bool:
        """Whether `client` may prompt, cancel or answer here. A sid without an owner is free."""
        if client in self.watchers and client != self.owner:
            return self.watchers[client] is False
        return self.owner in (None, client)

    def only_hears(self, client: ClientId) -> bool:
        """Whether `client` attached to listen, and does not drive."""
        return self.owner != client and self.watchers.get(client, False)

    @property
    def is_full(self) -> bool:
        """Whether no more prompts may wait."""
        return len(self.waiting) + len(self.cancelled) >= PROMPTS_WAITING_MAX

    def listeners(self, besides: ClientId | None) -> list[ClientId]:
        """Who hears what is said here, but for the one who said it."""
        if not self.watchers:
            return [self.owner] if self.owner is not None and self.owner != besides else []
        heard = [self.owner] if self.owner is not None else []
        heard += [client for client in self.watchers if client != self.owner]
        return [client for client in heard if client != besides]


class Sessions:
    """Sessions by sid and by client, closed ones in the order they ended."""

    def __init__(self, wanes: Wanes) -> None:
        self._wanes = wanes
        self.by_sid: dict[str, Session] = {}
        self._by_client: dict[ClientId, set[str]] = {}
        self._orphans: dict[str, int] = {}
        self._closed: OrderedDict[str, None] = OrderedDict()
        self._active: OrderedDict[str, None] = OrderedDict()
        """Open sids, the one whose worker is silent for longest first."""
        self._numbers: OrderedDict[str, Numbers] = OrderedDict()
        self.waiting_bytes = 0
        """Bodies of the prompts that wait."""

    def get(self, sid: str | None) -> Session | None:
        return self.by_sid.get(sid) if sid is not None else None

    def of(self, client: ClientId) -> list[Session]:
        """The sessions that a client owns, serves or watches, in a fixed order."""
        return [self.by_sid[sid] for sid in sorted(self._by_client.get(client, ()))]

    @property
    def is_full(self) -> bool:
        """Whether a new session would have to push out an open one."""
        return len(self.by_sid) >= SESSIONS_MAX and not self._closed

    @property
    def numbers_known(self) -> int:
        """Forgotten sids whose numbering is known."""
        return len(self._numbers)

    def count(self, sid: str) -> None:
        """One more event of this sid."""
        session = self.by_sid.get(sid)
        if session is not None:
            session.wane += 1
        elif (known := self._numbers.get(sid)) is not None:
            self._numbers[sid] = known._replace(wane=known.wane + 1)

    def open_for(self, sid: str, owner: ClientId | None, *, seq: int, at_ms: int) -> Session:
        """The session of `sid`, made when there is none; a free one is taken over by `owner`.

        `seq` is the event that asks for it; the caller has counted it.
        """
        session = self.by_sid.get(sid)
        if session is None:
            if len(self.by_sid) >= SESSIONS_MAX and self._closed:
                self.drop(next(iter(self._closed)))
            known = self._numbers.pop(sid, None)
            before = self._wanes.wane_of(sid)
            if known is None or known.wane < before:
                known = Numbers(before + 1, seq, before + 1)
            session = self.by_sid[sid] = Session(
                sid,
                wane=known.wane,
                first_seq=known.first_seq,
                first_wane=known.first_wane,
                ended_ms=at_ms,
            )
            self._closed[sid] = None
        if session.owner is None and owner is not None:
            self.set_owner(session, owner)
        return session

    def set_owner(self, session: Session, owner: ClientId | None) -> None:
        """Who drives the sid."""
        before, session.owner = session.owner, owner
        self._moved(session, before, owner)

    def set_worker(self, session: Session, worker: ClientId | None) -> None:
        """Who serves the sid."""
        before, session.worker = session.worker, worker
        self._moved(session, before, worker)

    def watch(self, session: Session, client: ClientId, *, hear_only: bool) -> None:
        """Attach a client, or attach it anew."""
        session.watchers[client] = hear_only
        self._moved(session, None, client)

    def unwatch(self, session: Session, client: ClientId) -> None:
        """Detach a client."""
        session.watchers.pop(client, None)
        self._moved(session, client, None)

    def start(self, session: Session, worker: ClientId, *, seq: int, at_ms: int) -> None:
        """A turn begins."""
        self.set_worker(session, worker)
        session.is_open, session.opened_seq, session.active_ms = True, seq, at_ms
        self._orphans.pop(session.sid, None)
        self._closed.pop(session.sid, None)
        self._active[session.sid] = None
        self._active.move_to_end(session.sid)

    def wait(self, session: Session, prompt: Arrival) -> None:
        """A prompt waits for its turn."""
        session.waiting.append(prompt)
        self.waiting_bytes += len(prompt.raw)

    def next_waiting(self, session: Session) -> Arrival:
        """The prompt that waited longest waits no more."""
        prompt = session.waiting.popleft()
        self.waiting_bytes -= len(prompt.raw)
        return prompt

    def cancel_waiting(self, session: Session) -> None:
        """None of the prompts waits any more: each is answered when the turn ends."""
        while session.waiting:
            session.cancelled.append(self.next_waiting(session).header.rid)

    def heard(self, session: Session, at_ms: int) -> None:
        """The worker of an open turn is alive."""
        session.active_ms = at_ms
        self._active.move_to_end(session.sid)

    def end(self, session: Session, at_ms: int) -> None:
        """The turn is over."""
        session.is_open, session.ended_ms, session.prompt = False, at_ms, None
        self._orphans.pop(session.sid, None)
        self._active.pop(session.sid, None)
        self._closed[session.sid] = None
        self._closed.move_to_end(session.sid)

    def orphan(self, session: Session, until_ms: int) -> None:
        """The asker of an open turn left: at `until_ms` the turn is to be cancelled."""
        self._orphans[session.sid] = until_ms

    def adopt(self, session: Session) -> None:
        """The asker is back, or the cancel is on its way."""
        self._orphans.pop(session.sid, None)

    def orphans(self, now_ms: int) -> list[str]:
        """Sids whose turn is to be cancelled."""
        return [sid for sid, until_ms in self._orphans.items() if until_ms <= now_ms]

    def silent(self, now_ms: int) -> list[Session]:
        """Open sessions whose worker has said nothing for too long."""
        silent: list[Session] = []
        for sid in self._active:
            session = self.by_sid[sid]
            if session.active_ms + SILENT_MS > now_ms:
                break
            silent.append(session)
        return silent

    def has_expired(self, now_ms: int) -> bool:
        """Whether a closed session should have been forgotten some time ago."""
        oldest = next(iter(self._closed), None)
        keep_ms = KEEP_MS + IDLE_LATE_MS
        return oldest is not None and self.by_sid[oldest].ended_ms + keep_ms <= now_ms

    def expire(self, at_ms: int) -> None:
        """Forget closed sessions whose time is up."""
        while self._closed:
            sid = next(iter(self._closed))
            if self.by_sid[sid].ended_ms + KEEP_MS > at_ms:
                return
            self.drop(sid)

    def drop(self, sid: str) -> None:
        """Forget a conversation, but for how far it is numbered."""
        session = self.by_sid.pop(sid, None)
        self._orphans.pop(sid, None)
        self._closed.pop(sid, None)
        self._active.pop(sid, None)
        if session is None:
            return
        self.waiting_bytes -= _waiting_bytes(session)
        for client in {session.owner, session.worker, *session.watchers} - {None}:
            self._leave(client, sid)
        self._wanes.keep_wane(sid, session.wane)
        self._numbers[sid] = Numbers(session.wane, session.first_seq, session.first_wane)
        if len(self._numbers) > NUMBERS_MAX:
            self._numbers.popitem(last=False)

    def reindex(self) -> None:
        """Find the sessions of a client again."""
        self._by_client.clear()
        self.waiting_bytes = sum(map(_waiting_bytes, self.by_sid.values()))
        for sid, session in self.by_sid.items():
            for client in {session.owner, session.worker, *session.watchers} - {None}:
                assert client is not None
                self._by_client.setdefault(client, set()).add(sid)

    def _moved(self, session: Session, old: ClientId | None, new: ClientId | None) -> None:
        """Keep the index by client right."""
        if new is not None:
            self._by_client.setdefault(new, set()).add(session.sid)
        if old is not None and old != new:
            if old in (session.owner, session.worker) or old in session.watchers:
                return
            self._leave(old, session.sid)

    def _leave(self, client: ClientId | None, sid: str) -> None:
        if client is None or (mine := self._by_client.get(client)) is None:
            return
        mine.discard(sid)
        if not mine:
            del self._by_client[client]


def _waiting_bytes(session: Session) -> int:
    return sum(len(prompt.raw) for prompt in session.waiting)
