"""What passes between humds: who may begin what, and where `to` may lead.

A peer is known by the link it came over, never by what a tone says of itself. It may always answer
what it was asked; what it may begin stands in its grants, which come from the ensemble with its
hello. Nothing is relayed from one peer to another.
"""

from humd.core.arrivals import Arrival, Refusal
from humd.core.clients import Client, peer_of
from humd.core.state import State
from humd.core.tools import tool_of
from thrum.chi import ANSWER, DRIVER, OUTPUT, WORK, Chi
from thrum.errors import MalformedId, Qualifier
from thrum.ids import parse_hid

ANYTHING = "*"
_ALWAYS: frozenset[str] = OUTPUT | ANSWER | {Chi.DETACH, Chi.BEE_RETRACT, Chi.WANE_SYNC}
"""What needs no grant: answers, and what takes nothing from us."""
_NEVER: frozenset[str] = frozenset({Chi.PEER_ADD, Chi.PEER_REMOVE, Chi.SNAPSHOT})
"""What only this machine may say."""
_TRAVELS: frozenset[str] = DRIVER | WORK | {Chi.DETACH, Chi.WANE_SYNC}
"""What fails when it names a humd that is not there."""


def judge(state: State, arrival: Arrival) -> Refusal | None:
    """What this page has against a tone."""
    header = arrival.header
    assert arrival.client is not None
    peer = peer_of(arrival.client)
    if header.to is None and peer is None:
        return None
    away = state.destination(header.to)
    if peer is not None:
        return _judge_peer(state, arrival, peer, away)
    if away is not None and header.chi in _TRAVELS and state.clients.peer(away) is None:
        return Refusal(Qualifier.PEER_LOST, f"{header.chi}: there is no link to {away}")
    return None


def _judge_peer(state: State, arrival: Arrival, peer: str, away: str | None) -> Refusal | None:
    header = arrival.header
    chi = header.chi
    if _claims_another(header.sender, peer):
        return Refusal(Qualifier.AUTH_DENIED, f"{chi}: `from` is not the humd it came from")
    if away is not None:
        return Refusal(Qualifier.FEDERATION_SCOPE_DENIED, f"{chi}: nothing is relayed to {away}")
    if chi in _ALWAYS:
        return None
    assert arrival.client is not None
    known = state.clients.get(arrival.client)
    grants = known.grants if known is not None else frozenset[str]()
    if chi in _NEVER or not ({chi, ANYTHING} & grants):
        session = state.sessions.get(header.sid)
        serves = session is not None and session.worker == arrival.client
        if chi != Chi.TOOL_CALL or not serves:
            return Refusal(Qualifier.FEDERATION_SCOPE_DENIED, f"{chi}: not granted to {peer}")
    if chi == Chi.TOOL_CALL and known is not None:
        return _judge_tool(state, arrival, known)
    return None


def _judge_tool(state: State, arrival: Arrival, peer: Client) -> Refusal | None:
    """Tools of file foragers need to be allowed by name; a tool of our asker's is its to run."""
    assert arrival.client is not None
    tool = tool_of(arrival)
    offer = state.offer_of(state.sessions.get(arrival.header.sid), arrival.client, tool)
    if offer is None:
        return None
    is_granted = bool({Chi.TOOL_CALL, ANYTHING} & peer.grants)
    if peer.allowed_tools:
        may = bool({tool, ANYTHING} & peer.allowed_tools)
    else:
        may = "fs" not in offer.forager.provides
    if is_granted and may:
        return None
    return Refusal(Qualifier.FEDERATION_SCOPE_DENIED, f"tool-call: {tool!r} is not for {peer.hid}")


def _claims_another(sender: str | None, peer: str) -> bool:
    """Whether a tone says that it is from another humd than the one it came from."""
    if sender is None:
        return False
    try:
        hid = parse_hid(sender)
    except MalformedId:
        return False
    return hid.prefix == "humd" and str(hid) != peer and sender != parse_hid(peer).short
