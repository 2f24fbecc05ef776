"""What this humd leaves to another: prompts that nobody here can take, and files that are there.

*Overflow*: a local prompt whose model nobody here serves, or all who do are full, goes to the humd
that can host our kind of nest and has the most room. A prompt of another humd is never passed on.

*Place*: a prompt whose `cwd` is `hum://<host>/<path>` works on the files of that humd: calls of its
worker for tools of files go there, and so does any tool that only that humd has. The worker gets
the path alone; another humd gets the address with the host's hid, which means the same everywhere.
"""

from collections.abc import Sequence
from typing import NamedTuple

from humd.core.arrivals import Arrival, ClientId, Refusal
from humd.core.catalogue import Offer
from humd.core.clients import Client
from humd.core.sessions import Session
from humd.core.state import State
from thrum.errors import MalformedId, Qualifier
from thrum.ids import Hid, parse_hum_address
from thrum.tones import Body

FILES = "fs"
"""Foragers that provide this work on files."""
ADDRESS_BYTES_MAX = 240
"""Of a `hum://` address: the log keeps one of that length even when the prompt is forgotten."""
REFUSES = "refuse"
_PRESSURES: Sequence[str] = ("cool", "warm", "hot")
_SHORTENED = "0" * 52
"""How the text of a short hid ends."""
_UNBOUNDED = 2**31
"""Slots of a humd that has not said how many."""


class Place(NamedTuple):
    """Where a conversation's files are."""

    host: str | None
    """Hid of the other humd; None for this one."""
    path: str
    """Absolute."""

    def cwd_for(self, worker: Client, ours: str) -> str:
        """The `cwd` that the worker of a turn gets."""
        if worker.peer is None:
            return self.path
        return f"hum://{self.host or ours}{self.path}"


def overflow(state: State) -> Client | None:
    """The humd that is asked when nobody here has room; the last resort is one that is full."""
    able = [
        peer
        for peer in state.clients.peers()
        if state.basis.default_hive in peer.nests and peer.pressure != REFUSES
    ]
    return min(able, key=_reluctance, default=None)


def _reluctance(peer: Client) -> tuple[bool, int, int, str]:
    slots = _UNBOUNDED if peer.free_slots is None else peer.free_slots - peer.turns_open
    pressure = _PRESSURES.index(peer.pressure) if peer.pressure in _PRESSURES else 0
    return slots <= 0, pressure, -slots, peer.id


def place_of(state: State, body: Body) -> Place | Refusal | None:
    """Where a prompt's files are; None when it does not say, a refusal when that means nothing."""
    cwd = body.get("cwd")
    if not isinstance(cwd, str):
        return None
    try:
        address = parse_hum_address(cwd)
    except MalformedId as problem:
        return Refusal(Qualifier.TONE_MALFORMED, f"prompt: cwd: {problem.message}")
    if address is None:
        return None
    if len(cwd.encode("utf-8", "surrogatepass")) > ADDRESS_BYTES_MAX:
        message = f"prompt: cwd: an address has at most {ADDRESS_BYTES_MAX} bytes"
        return Refusal(Qualifier.TONE_MALFORMED, message)
    host = _hid_of(state, address.host)
    if host is None:
        return Refusal(Qualifier.PEER_LOST, f"prompt: cwd: there is no humd {address.host!s:.80}")
    here = state.destination(host) is None
    return Place(None if here else host, f"/{address.path}")


def _hid_of(state: State, host: Hid | str) -> str | None:
    """The hid of a host by alias, hid or short hid; None when that names no humd we know."""
    linked = state.clients.peers()
    if not isinstance(host, Hid):
        return next((peer.hid for peer in linked if peer.alias == host), None)
    if host.prefix != "humd":
        return None
    if not str(host).endswith(_SHORTENED):
        return str(host)
    known = [state.humd, *(peer.hid for peer in linked if peer.hid is not None)]
    return next((hid for hid in known if hid.startswith(host.short)), None)


def callee(
    state: State, session: Session | None, caller: ClientId, tool: str, offer: Offer | None
) -> Client | Refusal | None:
    """The humd that a worker's call goes to because the files are there.

    None when it stays here; a refusal when it may not: the files are elsewhere, and no link is up.
    """
    if session is None or session.place is None or session.worker != caller:
        return None
    is_of_files = offer is not None and FILES in offer.forager.provides
    peer = state.clients.peer(session.place)
    if peer is None:
        message = f"the files of {session.sid!r} are on {session.place}, and no link is up"
        return Refusal(Qualifier.PEER_LOST, message) if is_of_files else None
    return peer if is_of_files or any(tool == own["name"] for own in peer.tools) else None


def judge(state: State, arrival: Arrival) -> Refusal | None:
    """What this page has against a prompt."""
    place = place_of(state, arrival.body)
    return place if isinstance(place, Refusal) else None
