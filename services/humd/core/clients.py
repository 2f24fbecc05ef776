"""Who is connected: clients by id, door and hid, who is adrift, what each offers.

A client is *adrift* between a loss that need not be its own (humd restarted, its door died) and
its return or its deadline. Replay never makes a bee eligible: after a boot everyone is adrift
until it says hello. The humds that the bee of role `ensemble` speaks for are clients behind it,
each under its own hid.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from functools import lru_cache

from humd.core.arrivals import ClientId
from humd.core.hellos import (
    TOOL_SECONDS,
    capacity_of,
    count_of,
    hid_of_hello,
    manifest_of,
    pressure_of,
    text_of,
    texts_of,
    tools_of,
)
from humd.core.links import Links
from humd.core.roots import Files, files_of
from thrum.tones import Body

ADRIFT_MS = 15_000
"""How long a client may take to come back after humd or its door was lost."""
CLIENTS_MAX = 65_536
"""Clients at once, those adrift included; one more is refused."""
RIDS_MAX = 4_096
"""Recent rids remembered for each hid behind a door: what a client may hold unsettled, and more."""
HIDS_MAX = 256
"""Hids behind doors whose rids are remembered; the one silent for longest is forgotten first."""
LINKS_MAX = 4_096
"""Instances that left whose link numbers are remembered."""
NAMES_KEPT = 8_192
"""Client ids whose parts are remembered; each is asked for several times with every tone."""
ENSEMBLE = "ensemble"
"""Role of the bee that speaks for other humds."""
PEER_PREFIX = "humd_"
_ONLY_PROVEN = frozenset({"door", "log", "operator", "sidecar", ENSEMBLE})
"""Roles that need a proven hid; nobody behind a door has them."""


SEE_ASKS = frozenset({"operator", "sidecar"})
"""Roles that may list every permission-ask."""


@dataclass(slots=True)
class Client:
    """One connection of a bee, or what is left of it while adrift."""

    id: ClientId
    door: ClientId | None
    hid: str | None = None
    name: str | None = None
    """None until a hello named it; only then is it a bee."""
    roles: frozenset[str] = frozenset()
    models: tuple[str, ...] = ()
    tools: tuple[Body, ...] = ()
    provides: tuple[str, ...] = ()
    capacity: int | None = None
    """Turns that a worker takes at once; None for as many as come."""
    grants: frozenset[str] = frozenset()
    """What a peer may ask of us: chis, or `*`."""
    allowed_tools: frozenset[str] = frozenset()
    """Tools of file foragers that a peer may call: names, or `*`."""
    nests: tuple[str, ...] = ()
    """Kinds of bees that a peer can host."""
    free_slots: int | None = None
    """Turns that a peer can take beside ours; None when it did not say."""
    pressure: str = ""
    """How busy a peer says it is: `cool`, `warm`, `hot`, `refuse`, or nothing."""
    files: Files | None = None
    """Its roots, when it shares tools of files with others that have some (`core.sharing`)."""
    asked_seq: int = 0
    """Of one with `files`: log seq of the last call that went to it."""
    is_late: bool = False
    """Whether a call of it ran out of time, and it has answered none since."""
    alias: str | None = None
    """What a peer is called here, in `hum://` addresses."""
    manifest: Body = field(default_factory=dict)
    since_ms: int = 0
    hello_seq: int = 0
    """Log seq of its last hello; 0 before."""
    is_connected: bool = True
    adrift_until_ms: int = 0
    links: Links = field(default_factory=Links)
    """Link numbers of this instance in the log; for a door, over all its clients."""
    turns_open: int = 0

    @property
    def is_worker(self) -> bool:
        return "worker" in self.roles

    @property
    def is_door(self) -> bool:
        """Whether others speak through it."""
        return "door" in self.roles or ENSEMBLE in self.roles

    @property
    def is_operator(self) -> bool:
        """Whether it proved to hold the operator's key."""
        return "operator" in self.roles

    @property
    def sees_asks(self) -> bool:
        """Whether it may list every permission-ask: the operator, and the page that shows them."""
        return bool(self.roles & SEE_ASKS)

    @property
    def peer(self) -> str | None:
        """The hid of the humd that this client is."""
        return peer_of(self.id)

    @property
    def has_room(self) -> bool:
        """Whether one more turn fits what it said it takes."""
        return self.capacity is None or self.turns_open < self.capacity

    def serves(self, model: str | None) -> bool:
        """Whether this is a worker that may be asked for `model` now."""
        return self.is_connected and self.is_worker and model in self.models

    @property
    def rank(self) -> tuple[str, str]:
        """For choices that must come out the same on every run."""
        return self.hid or "", self.id

    def seconds_for(self, tool: str) -> int:
        """How long a tool of this client may take."""
        own = (one.get("seconds", TOOL_SECONDS) for one in self.tools if one["name"] == tool)
        return next(own, TOOL_SECONDS)

    @property
    def lead(self) -> tuple[bool, str, str, str]:
        """Which of several foragers with roots comes first: the first by name that has some."""
        has_roots = self.files is not None and bool(self.files.roots)
        return not has_roots, self.name or "", *self.rank

    @property
    def label(self) -> str:
        """Its name for people: the hive, and enough of the hid to tell two apart."""
        return f"{self.name or 'unnamed'} {(self.hid or self.id)[:17]}"


def _hear_peer(known: Client, body: Body) -> None:
    """What the ensemble says of a humd: what it may ask of us, and what it has itself."""
    known.roles = frozenset({"peer"})
    known.grants = frozenset(texts_of(body.get("grants")))
    known.allowed_tools = frozenset(texts_of(body.get("allowTools")))
    known.nests = tuple(texts_of(body.get("nests")))
    known.free_slots = count_of(body.get("free_slots"))
    known.pressure = pressure_of(body.get("headroom"))
    known.alias = text_of(body.get("alias"))
    known.tools = tuple(tools_of(body.get("tools")))


class Clients:
    """The table of clients. Registering and dropping here changes nothing elsewhere."""

    def __init__(self) -> None:
        self.by_id: dict[ClientId, Client] = {}
        self._behind: dict[ClientId, dict[ClientId, Client]] = {}
        self._by_hid: dict[str, dict[ClientId, Client]] = {}
        self._adrift: dict[ClientId, int] = {}
        """Until when, in the order in which time runs out."""
        self._rids: OrderedDict[str, OrderedDict[str, int]] = OrderedDict()
        """By hid: rid to the log seq of its last use."""
        self._links: dict[ClientId, Links] = {}
        self._bees: tuple[Client, ...] = ()
        self._bees_generation = -1
        self.generation = 0
        """Rises whenever who is listed may have changed."""
        self.offers = 0
        """Rises whenever the tools or capabilities on offer may have changed."""

    def get(self, client: ClientId) -> Client | None:
        return self.by_id.get(client)

    @property
    def is_full(self) -> bool:
        return len(self.by_id) >= CLIENTS_MAX

    @property
    def rids_known(self) -> int:
        """Rids that are remembered, over all hids."""
        return sum(map(len, self._rids.values()))

    @property
    def links_known(self) -> int:
        """Instances that left and whose link numbers are remembered."""
        return len(self._links)

    def touch(self, client: ClientId) -> Client:
        """The client, made when it has not spoken before (behind a door nothing forces a hello)."""
        known = self.by_id.get(client)
        if known is None:
            links = self._links.pop(client, None) or Links()
            known = Client(client, door_of(client), links=links)
            self._set_hid(known, peer_of(client))
            self.by_id[client] = known
            if known.door is not None:
                self._behind.setdefault(known.door, {})[client] = known
        return known

    def register(
        self, client: ClientId, body: Body, sender: str | None, *, seq: int, at_ms: int
    ) -> Client:
        """Take over what a hello says; fields that do not fit are ignored, as the wire promises."""
        known = self.touch(client)
        self._note_offer(known)
        self._set_hid(known, known.peer or hid_of_hello(body))
        known.since_ms, known.hello_seq = at_ms, seq
        self._set_connected(known)
        self.generation += 1
        if known.peer is not None:
            _hear_peer(known, body)
            return known
        known.name = text_of(body.get("hive")) or sender
        if known.name is None:
            return known
        known.roles = frozenset(texts_of(body.get("bee")))
        if known.door is not None:
            known.roles -= _ONLY_PROVEN
        known.models = tuple(texts_of(body.get("models")))
        known.tools = tuple(tools_of(body.get("tools")))
        known.provides = tuple(texts_of(body.get("provides")))
        known.capacity = capacity_of(body.get("capacity"))
        known.files = files_of(body.get("files")) if known.door is None else None
        known.manifest = manifest_of(
            body,
            client=client,
            name=known.name,
            hid=known.hid,
            roles=sorted(known.roles),
            tools=list(known.tools),
            files=known.files,
        )
        self._note_offer(known)
        return known

    def retract(self, client: ClientId) -> None:
        """It is no bee any more, and goes on as a client."""
        known = self.touch(client)
        self._note_offer(known)
        known.name, known.capacity, known.manifest = None, None, {}
        known.roles = known.roles & _ONLY_PROVEN
        known.models, known.tools, known.provides = (), (), ()
        known.files = None
        self.generation += 1

    def drop(self, client: ClientId) -> Client | None:
        """Forget a client, but for what it must not offer twice should it come back."""
        self.generation += 1
        left = self.by_id.pop(client, None)
        if left is None:
            return None
        self._adrift.pop(client, None)
        self._note_offer(left)
        self._set_hid(left, None)
        if left.door is not None:
            siblings = self._behind[left.door]
            del siblings[client]
            if not siblings:
                del self._behind[left.door]
        if left.links.upto:
            self._links[client] = left.links
            if len(self._links) > LINKS_MAX:
                del self._links[next(iter(self._links))]
        return left

    def set_adrift(self, client: Client, at_ms: int) -> None:
        """Its connection is gone, but not through its own fault."""
        client.is_connected = False
        client.adrift_until_ms = at_ms + ADRIFT_MS
        self._adrift.pop(client.id, None)
        self._adrift[client.id] = client.adrift_until_ms
        self.generation += 1
        self._note_offer(client)

    def back_behind(self, door: ClientId) -> None:
        """A door came back as the same process: so did the clients it still holds."""
        for client in self.behind(door):
            self._set_connected(client)
            self._note_offer(client)

    def overdue(self, now_ms: int) -> list[Client]:
        """Adrift clients whose time is up."""
        late: list[Client] = []
        for client, until_ms in self._adrift.items():
            if until_ms > now_ms:
                break
            late.append(self.by_id[client])
        return late

    def behind(self, door: ClientId) -> list[Client]:
        """The clients of a door."""
        return list(self._behind.get(door, {}).values())

    def with_hid(self, hid: str) -> list[Client]:
        """All clients of one hid, newest last."""
        same = self._by_hid.get(hid, {}).values()
        return sorted(same, key=lambda client: (client.since_ms, client.hello_seq, client.id))

    def peer(self, hid: str) -> Client | None:
        """The humd of this hid, when it is connected."""
        here = (client for client in self.with_hid(hid) if client.peer and client.is_connected)
        return next(here, None)

    def peers(self) -> list[Client]:
        """The humds that are connected, in a fixed order."""
        found = [peer for bee in self.ensembles() for peer in self.behind(bee.id)]
        return sorted((peer for peer in found if peer.is_connected), key=lambda peer: peer.id)

    def ensembles(self) -> list[Client]:
        """The bees that speak for other humds."""
        return [bee for bee in self.bees() if ENSEMBLE in bee.roles and bee.is_connected]

    def remember_rid(self, client: Client, rid: str, seq: int) -> None:
        """Note a logged rid of a client behind a door, for its next connection."""
        if client.hid is None:
            return
        rids = self._rids.get(client.hid)
        if rids is None:
            rids = self._rids[client.hid] = OrderedDict()
            if len(self._rids) > HIDS_MAX:
                self._rids.popitem(last=False)
        self._rids.move_to_end(client.hid)
        rids[rid] = seq
        rids.move_to_end(rid)
        if len(rids) > RIDS_MAX:
            rids.popitem(last=False)

    def has_logged(self, client: Client, rid: str | None) -> bool:
        """Whether an earlier connection of this hid got a tone of this rid into the log."""
        if rid is None or client.door is None or client.hid is None:
            return False
        rids = self._rids.get(client.hid)
        seq = rids.get(rid) if rids is not None else None
        return seq is not None and seq < client.hello_seq

    def bees(self) -> tuple[Client, ...]:
        """Named clients, the newest of each hid, in a fixed order."""
        if self._bees_generation != self.generation:
            newest: dict[str, Client] = {}
            named = (client for client in self.by_id.values() if client.name is not None)
            for client in sorted(named, key=lambda one: (one.since_ms, one.hello_seq, one.id)):
                newest[_identity(client)] = client
            self._bees = tuple(sorted(newest.values(), key=lambda client: client.rank))
            self._bees_generation = self.generation
        return self._bees

    def reindex(self) -> None:
        """Find clients by door and by hid again."""
        self._behind.clear()
        self._by_hid.clear()
        for client in self.by_id.values():
            if client.door is not None:
                self._behind.setdefault(client.door, {})[client.id] = client
            if client.hid is not None:
                self._by_hid.setdefault(client.hid, {})[client.id] = client
        self.generation += 1
        self.offers += 1

    def _set_connected(self, client: Client) -> None:
        client.is_connected, client.adrift_until_ms = True, 0
        self._adrift.pop(client.id, None)
        self.generation += 1

    def _set_hid(self, client: Client, hid: str | None) -> None:
        if client.hid == hid:
            return
        if client.hid is not None:
            same = self._by_hid[client.hid]
            del same[client.id]
            if not same:
                del self._by_hid[client.hid]
        client.hid = hid
        if hid is not None:
            self._by_hid.setdefault(hid, {})[client.id] = client

    def _note_offer(self, client: Client) -> None:
        """It comes or goes: what is on offer changes only when it offers something."""
        if client.tools or client.provides:
            self.offers += 1


def _identity(client: Client) -> str:
    """What makes two clients one bee. A hid that only a door vouches for shadows no proven one."""
    if client.hid is None:
        return client.id
    return client.hid if client.door is None else f"door:{client.hid}"


@lru_cache(NAMES_KEPT)
def door_of(client: ClientId) -> ClientId | None:
    """The door that a client is behind."""
    return client.rpartition("/")[0] or None


@lru_cache(NAMES_KEPT)
def peer_of(client: ClientId) -> str | None:
    """The hid of the humd that a client is: only the ensemble's are named so."""
    name = client.rpartition("/")[2]
    return name if name.startswith(PEER_PREFIX) else None
