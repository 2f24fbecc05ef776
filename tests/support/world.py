"""The router's core with a clock and a log of its own: what humd's loop does, without a socket.

    world = World()
    world.joins("W", "worker", models=["m"])
    world.joins("A", "asker")
    world.says("A", "prompt", sid="s", modelId="m")
    assert [heard.chi for heard in world.hears("W")] == ["prompt"]

A client of a door is named `D/a`. Every event is also written as the line that thehum would store,
so `world.replayed()` is the state that a new humd would have.
"""

import base64
import hashlib
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import orjson

from humd.core import authority, router, sentinel
from humd.core.arrivals import (
    Arrival,
    ClientId,
    Deliver,
    Duplicate,
    Effect,
    Emit,
    Refusal,
)
from humd.core.basis import Basis
from humd.core.clients import door_of
from humd.core.leaves import DERIVED, freeze, leaves, prompts_in, restore
from humd.core.replay import arrival_of
from humd.core.state import State
from thrum import frames
from thrum.canonical import NotCanonical, dumps
from thrum.frames import Header
from thrum.ids import hid_of
from thrum.snapshots import Leaf

START_MS = 1_700_000_000_000
MODEL = "m"
NO_SLOTS: Mapping[str, Any] = {}
BEAT_MS = 5_000
"""How long a worker may be silent before it is asked for a sign of life."""


class Heard(NamedTuple):
    """A parcel as a client gets it."""

    chi: str
    header: Header
    body: dict[str, Any]


class World:
    """See the module."""

    def __init__(self, default_hive: str = "scout") -> None:
        self.basis = Basis(humd=OURS, default_hive=default_hive)
        self.state = self._new_state()
        self.now_ms = START_MS
        self.seq = 0
        self.lines: list[bytes] = []
        self.events: list[Arrival] = []
        self.effects: list[tuple[Arrival, Effect]] = []
        self._mail: dict[ClientId, list[Heard]] = defaultdict(list)
        self._links: dict[ClientId, int] = defaultdict(int)
        self._rids = 0
        self.keeps_log = True
        """False where a test is long and never asks for a replay."""

    def joins(self, client: ClientId, *roles: str, hid: str = "", **body: Any) -> None:
        """A bee says hello: a proven one on the bus, anyone behind a door."""
        hello = {"hid": hid_named(hid or client), "bee": list(roles), "hive": client, **body}
        if door_of(client) is not None:
            assert self.says(client, "hello", **hello) is None
            return
        self._links[client] = max(self._links[client], self._known_link(client))
        self.record(client, Header("hello", sender=hello["hid"]), frames.pack_body(hello))

    def says(
        self,
        client: ClientId,
        chi: str,
        *,
        sid: str | None = None,
        rid: str | None = None,
        link: int | None = None,
        raw: bytes | None = None,
        slots: Mapping[str, Any] = NO_SLOTS,
        **body: Any,
    ) -> Refusal | Duplicate | None:
        """A tone from a client; None when it was taken. `slots` are those of its header."""
        if rid is None:
            self._rids += 1
            rid = f"r-{self._rids}"
        instance = door_of(client) or client
        if link is None:
            link = self._links[instance] + 1
        name = client[len(instance) + 1 :] if instance != client else None
        header = Header(chi, rid, sid, seq=link, client=name, **slots)
        raw = frames.pack_body(body) if raw is None else raw
        arrival = Arrival(self.seq + 1, self.now_ms, client, header, raw)
        verdict = authority.judge(self.state, arrival)
        self._links[instance] = max(self._links[instance], link)
        if verdict is None:
            self.record(client, header, raw)
        return verdict

    def emits(self, emit: Emit) -> None:
        """Humd says something of its own accord."""
        self.record(None, Header(emit.chi, sid=emit.sid), frames.pack_body(emit.body))

    def loses(self, client: ClientId) -> None:
        """The connection of a bus bee ends."""
        known = self.state.clients.get(client)
        self.emits(router.lost(client, is_door=known is not None and known.is_door))

    def boots(self) -> None:
        """Humd was killed and has replayed its log."""
        self.state = self.replayed()
        self.emits(router.booted(self.basis))

    def waits(self, milliseconds: int) -> None:
        """Time passes, and humd looks at its clock."""
        self.now_ms += milliseconds
        for emit in router.due(self.state, self.now_ms):
            self.emits(emit)
        for emit in sentinel.due(self.state, self.now_ms, beat_ms=BEAT_MS):
            self.emits(emit)

    def hears(self, client: ClientId) -> list[Heard]:
        """What was delivered to a client since the last call."""
        return self._mail.pop(client, [])

    def chis(self, client: ClientId) -> list[str]:
        """As `hears`, only what kinds of tones."""
        return [heard.chi for heard in self.hears(client)]

    def replayed(self, lines: Iterable[bytes] | None = None) -> State:
        """The state after a replay of the log, or of other lines."""
        return self.replayed_from(self._new_state(), self.lines if lines is None else lines)

    def replayed_from(self, state: State, lines: Iterable[bytes]) -> State:
        """The same state once the events of these lines were applied to it."""
        for line in lines:
            router.apply(state, arrival_of(line))
        return state

    def snapshot(self) -> list[Leaf]:
        """The leaves of the state, as they come back from a file."""
        stored = [dumps(leaf) for leaf in leaves(freeze(self.state))]
        return [(key, value) for key, value in map(orjson.loads, stored)]

    def restored(self, found: list[Leaf]) -> State:
        """The state that has these leaves; what waits is read from the log."""
        return restore(found, {seq: arrival_of(self.lines[seq - 1]) for seq in prompts_in(found)})

    def record(self, client: ClientId | None, header: Header, raw: bytes) -> None:
        """Log and apply one event, and what humd says because of it."""
        waiting = [(client, header, raw)]
        for client, header, raw in waiting:
            self.seq += 1
            event = Arrival(self.seq, self.now_ms, client, header, raw)
            if self.keeps_log:
                self._store(event)
            for effect in router.apply(self.state, event):
                if self.keeps_log:
                    self.effects.append((event, effect))
                if isinstance(effect, Emit):
                    said = Header(effect.chi, effect.rid, effect.sid)
                    waiting.append((None, said, frames.pack_body(effect.body)))
                else:
                    self._follow(effect)

    def _follow(self, effect: Effect) -> None:
        if isinstance(effect, Deliver):
            body = frames.read_body(effect.raw)
            self._mail[effect.client].append(Heard(effect.header.chi, effect.header, body))

    def _store(self, event: Arrival) -> None:
        """Write the line that thehum would (docs/wire.md, section 1.5)."""
        header = event.header
        via: dict[str, Any] = {"batch": "e.1", "client": event.client, "peer": None}
        if header.seq:
            via["link"] = header.seq
        slots = {"from": header.sender, "to": header.to, "dusk": header.dusk, "wane": header.wane}
        present = {key: value for key, value in slots.items() if value is not None}
        line = {
            "seq": event.seq,
            "ts_ms": event.at_ms,
            "chi": header.chi,
            "rid": header.rid or f"minted-{event.seq}",
            "sid": header.sid,
            "body": {**event.body, **present, "@via": via},
        }
        try:
            dumps(line)
        except NotCanonical:
            packed = base64.b64encode(event.raw).decode()
            line["body"] = {"@msgpack": packed, **present, "@via": via}
        self.lines.append(dumps(line))
        self.events.append(event)

    def _new_state(self) -> State:
        return State(self.basis)

    def _known_link(self, client: ClientId) -> int:
        known = self.state.clients.get(client)
        return known.links.upto if known is not None else 0


def hid_named(name: str, *, prefix: str = "wbee") -> str:
    """A well-formed hid that depends on nothing but `name`."""
    return str(hid_of(prefix, hashlib.sha256(name.encode()).digest()))


OURS = hid_named("ours", prefix="humd")
"""The hid of this world's own humd."""


def tables(state: State) -> Any:
    """Everything in a state but what is made of the rest, as plain values that compare.

    Whatever is added to the state is in here without a word, in the order it is kept in.
    """
    return _plain(state)


BODIES = ("manifest", "tools", "thrums")
"""Attributes that hold JSON as a bee sent it: the order of its keys means nothing."""


def _plain(value: Any) -> Any:
    if isinstance(value, Arrival):
        return (value.seq, value.client, value.header.rid, value.body)
    if isinstance(value, dict):
        return [(_plain(key), _plain(item)) for key, item in value.items()]
    if isinstance(value, list | tuple | deque):
        return [_plain(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted(value)
    if is_ours(type(value)):
        return [
            (name, item if name in BODIES else _plain(item))
            for name, item in attributes(value).items()
            if f"{type(value).__name__}.{name}" not in DERIVED
        ]
    return value


def is_ours(kind: type) -> bool:
    """Whether a class holds part of the state."""
    return kind.__module__ in _OURS or kind.__module__.startswith("humd.core.")


def attributes(of: object) -> dict[str, Any]:
    """What an object holds, in slots or not."""
    slots = getattr(type(of), "__slots__", ())
    return {name: getattr(of, name) for name in slots} or vars(of)


_OURS = ("thrum.wane",)


def described(line: bytes) -> str:
    """A stored line, short enough for a message."""
    event = orjson.loads(line)
    return f"{event['seq']} {event['chi']} {event['sid']} {event['body']}"
