"""Who is connected: manifests by client, clients by hid, who is adrift.

A client is *adrift* between a loss that need not be its own (humd restarted, its door died) and
its return or its deadline. Replay never makes a bee eligible: after a boot everyone is adrift
until it says hello.
"""

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Any

from humd.core.arrivals import ClientId
from thrum.errors import MalformedId
from thrum.ids import parse_hid
from thrum.tones import Body

ADRIFT_MS = 15_000
"""How long a client may take to come back after humd or its door was lost."""
RIDS_MAX = 8_192
"""Recent rids remembered for each hid behind a door."""
HIDS_MAX = 512
"""Hids behind doors whose rids are remembered; the one silent for longest is forgotten first."""
LINKS_MAX = 4_096
"""Instances that left whose last link number is remembered."""
TOOLS_MAX = 1_024
"""Tools in one hello; later ones are not offered."""
NAMES_MAX = 1_024
"""Models, capabilities or roles in one hello."""


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
    manifest: Body = field(default_factory=dict)
    since_ms: int = 0
    is_connected: bool = True
    adrift_until_ms: int = 0
    link: int = 0
    """Highest link number of this instance in the log; for a door, over all its clients."""
    turns_open: int = 0
    known_rids: frozenset[str] = frozenset()
    """Rids logged on earlier connections of this hid."""

    @property
    def is_worker(self) -> bool:
        return "worker" in self.roles

    def serves(self, model: str | None) -> bool:
        """Whether this is a worker that may be asked for `model` now."""
        return self.is_connected and self.is_worker and model in self.models

    @property
    def rank(self) -> tuple[str, str]:
        """For choices that must come out the same on every run."""
        return self.hid or "", self.id


class Clients:
    """The table of clients. Registering and dropping here changes nothing elsewhere."""

    def __init__(self) -> None:
        self.by_id: dict[ClientId, Client] = {}
        self.rids: OrderedDict[str, deque[str]] = OrderedDict()
        """Recent rids by hid, the one silent for longest first."""
        self.links: dict[ClientId, int] = {}
        """Last link numbers of instances that left, the oldest first."""
        self.generation = 0
        """Rises whenever who is listed may have changed."""
        self.offers = 0
        """Rises whenever the tools or capabilities on offer may have changed."""

    def get(self, client: ClientId) -> Client | None:
        return self.by_id.get(client)

    def touch(self, client: ClientId) -> Client:
        """The client, made when it has not spoken before (behind a door nothing forces a hello)."""
        known = self.by_id.get(client)
        if known is None:
            link = self.links.pop(client, 0)
            known = self.by_id[client] = Client(client, door_of(client), link=link)
        return known

    def register(self, client: ClientId, body: Body, sender: str | None, at_ms: int) -> Client:
        """Take over what a hello says; fields that do not fit are ignored, as the wire promises."""
        known = self.touch(client)
        self._note_offer(known)
        known.hid = _hid(body.get("hid"))
        known.name = _text(body.get("hive")) or sender
        known.is_connected, known.adrift_until_ms, known.since_ms = True, 0, at_ms
        if known.door is not None and known.hid is not None:
            known.known_rids = frozenset(self.rids.get(known.hid, ()))
        if known.name is None:
            return known
        known.roles = frozenset(_texts(body.get("bee")))
        known.models = tuple(_texts(body.get("models")))
        known.tools = tuple(_tools(body.get("tools")))
        known.provides = tuple(_texts(body.get("provides")))
        known.manifest = _manifest(known, body)
        self.generation += 1
        self._note_offer(known)
        return known

    def drop(self, client: ClientId) -> Client | None:
        """Forget a client, but for what it must not offer twice should it come back."""
        self.generation += 1
        left = self.by_id.pop(client, None)
        if left is not None:
            self._note_offer(left)
        if left is not None and left.link:
            self.links[client] = left.link
            if len(self.links) > LINKS_MAX:
                del self.links[next(iter(self.links))]
        return left

    def set_adrift(self, client: Client, at_ms: int) -> None:
        """Its connection is gone, but not through its own fault."""
        client.is_connected = False
        client.adrift_until_ms = at_ms + ADRIFT_MS
        self.generation += 1
        self._note_offer(client)

    def back_behind(self, door: ClientId) -> None:
        """A door came back as the same process: so did the clients it still holds."""
        for client in self.behind(door):
            client.is_connected, client.adrift_until_ms = True, 0
            self._note_offer(client)

    def overdue(self, now_ms: int) -> list[Client]:
        """Adrift clients whose time is up."""
        return [
            client
            for client in self.by_id.values()
            if not client.is_connected and client.adrift_until_ms <= now_ms
        ]

    def behind(self, door: ClientId) -> list[Client]:
        """The clients of a door."""
        return [client for client in self.by_id.values() if client.door == door]

    def with_hid(self, hid: str) -> list[Client]:
        """All clients of one hid, newest last."""
        same = [client for client in self.by_id.values() if client.hid == hid]
        return sorted(same, key=lambda client: (client.since_ms, client.id))

    def remember_rid(self, client: Client, rid: str) -> None:
        """Note a logged rid of a client behind a door, for its next connection."""
        if client.hid is not None:
            self.rids.setdefault(client.hid, deque(maxlen=RIDS_MAX)).append(rid)
            self.rids.move_to_end(client.hid)
            if len(self.rids) > HIDS_MAX:
                self.rids.popitem(last=False)

    def _note_offer(self, client: Client) -> None:
        """It comes or goes: what is on offer changes only when it offers something."""
        if client.tools or client.provides:
            self.offers += 1

    def bees(self) -> list[Client]:
        """Named clients, the newest of each hid, in a fixed order."""
        newest: dict[str, Client] = {}
        for client in sorted(self.by_id.values(), key=lambda client: (client.since_ms, client.id)):
            if client.name is not None:
                newest[_identity(client)] = client
        return sorted(newest.values(), key=lambda client: client.rank)


def _identity(client: Client) -> str:
    """What makes two clients one bee. A hid that only a door vouches for shadows no proven one."""
    if client.hid is None:
        return client.id
    return client.hid if client.door is None else f"door:{client.hid}"


def door_of(client: ClientId) -> ClientId | None:
    """The door that a client is behind."""
    return client.rpartition("/")[0] or None


def _manifest(client: Client, body: Body) -> Body:
    """The manifest as kept in `bees.json`; keys as on the wire."""
    propensity = body.get("propensity")
    manifest: Body = {
        "name": client.name,
        "version": _text(body.get("version")) or "0.0.0",
        "proto_version": _text(body.get("protoVersion")) or "",
        "propensity": propensity if isinstance(propensity, dict) else {},
        "chis": _texts(body.get("chis")),
        "bee": sorted(client.roles),
        "models": list(client.models),
        "tools": list(client.tools),
        "provides": list(client.provides),
        "nestlerId": _text(body.get("nestlerId")) or client.id,
    }
    for key, value in (
        ("hid", client.hid),
        ("source", _text(body.get("source"))),
        ("bind", body.get("bind")),
    ):
        if value:
            manifest[key] = value
    return manifest


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _hid(value: object) -> str | None:
    """A well-formed hid in its full text; anything else is no identity."""
    try:
        return str(parse_hid(value)) if isinstance(value, str) else None
    except MalformedId:
        return None


def _texts(value: object) -> list[str]:
    """A list of strings; a single string counts as a list of one."""
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list):
        return []
    return [item for item in value if isinstance(item, str)][:NAMES_MAX]


def _tools(value: object) -> list[Body]:
    """Tool definitions with a name; a schema that is no object becomes an empty one."""
    tools: list[Body] = []
    for entry in value if isinstance(value, list) else []:
        if isinstance(entry, dict) and isinstance(name := entry.get("name"), str):
            schema: Any = entry.get("inputSchema")
            tools.append(
                {
                    "name": name,
                    "description": _text(entry.get("description")) or "",
                    "inputSchema": schema if isinstance(schema, dict) else EMPTY_SCHEMA,
                }
            )
    return tools[:TOOLS_MAX]


EMPTY_SCHEMA: Body = {"type": "object", "properties": {}}
"""One entry without a schema makes a model's harness reject the whole list."""
