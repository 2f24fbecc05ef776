"""Tool calls: to who owns the tool, back to who called, and an error in every other case."""

from humd.core import peers, said, sharing
from humd.core.arrivals import Arrival, ClientId, Effect, Refusal, Why
from humd.core.calls import CALL_MS, ID_CHARS_MAX, Call
from humd.core.catalogue import Offer
from humd.core.clients import Client
from humd.core.hellos import TOOL_SECONDS
from humd.core.said import beside, deliver
from humd.core.sessions import Session
from humd.core.state import State
from humd.core.turns import fan_out, open_session, speak
from thrum import frames
from thrum.errors import Qualifier


def tool_of(arrival: Arrival) -> str:
    """The tool that a call names."""
    return arrival.text("toolName") or arrival.text("name") or ""


def call(state: State, arrival: Arrival, client: ClientId) -> list[Effect]:
    """To the forager that owns the tool, or the asker when it is the asker's, or an error."""
    header, tool = arrival.header, tool_of(arrival)
    session = state.sessions.get(header.sid)
    if session is None and header.sid:
        session = open_session(state, arrival, client)
    wane = session.wane if session is not None else None
    away = state.destination(header.to)
    if away is not None and (peer := state.clients.peer(away)) is not None:
        state.calls.add(_call(arrival, client, peer.id, tool, seconds=peer.seconds_for(tool)))
        why = Why(f"{tool!r} to {away}: the call names that humd")
        return [why, deliver(state, peer.id, beside(arrival, wane), arrival.raw)]
    offer = state.offer_of(session, client, tool)
    there = peers.callee(state, session, client, tool, offer)
    if there is not None:
        return _call_there(state, arrival, client, there, offer)
    if offer is not None:
        hand = sharing.chosen(state, session, arrival, offer)
        if isinstance(hand, Refusal):
            return _nowhere(state, arrival, client, hand)
        sharing.remember(session, hand, arrival.seq)
        seconds = hand.seconds_for(offer.name)
        state.calls.add(_call(arrival, client, hand.id, tool, seconds=seconds))
        why = Why(f"{tool!r} to {hand.label}: it offers {offer.name!r}")
        raw = arrival.raw if offer.name == tool else _renamed(arrival, offer)
        return [why, deliver(state, hand.id, beside(arrival, wane), raw)]
    callee = state.callee_of(session, client, tool)
    if session is not None and callee is not None:
        state.calls.add(_call(arrival, client, callee, tool))
        why = Why(f"{tool!r} to the asker: it came with the prompt", is_fanned=True)
        return [why, *fan_out(state, session, arrival, besides=client)]
    message = f"no connected bee has a tool {tool[:ID_CHARS_MAX]!r}"
    return _nowhere(state, arrival, client, Refusal(Qualifier.TOOL_UNKNOWN, message))


def _nowhere(state: State, arrival: Arrival, caller: ClientId, refusal: Refusal) -> list[Effect]:
    """Nobody can take a call, and its caller is told why."""
    lost = _call(arrival, caller, caller, tool_of(arrival))
    state.calls.add(lost)
    return [
        Why(f"{lost.tool!r} to nobody"),
        said.call_error(lost, refusal.qualifier, refusal.message),
    ]


def _call_there(
    state: State, arrival: Arrival, caller: ClientId, there: Client | Refusal, offer: Offer | None
) -> list[Effect]:
    """The files are on another humd, so that is where the call goes; or it cannot go anywhere."""
    tool = tool_of(arrival)
    if isinstance(there, Refusal):
        return _nowhere(state, arrival, caller, there)
    session = state.sessions.get(arrival.header.sid)
    own = tool if offer is None else offer.name
    state.calls.add(_call(arrival, caller, there.id, tool, seconds=there.seconds_for(own)))
    raw = arrival.raw if offer is None or own == tool else _renamed(arrival, offer)
    header = beside(arrival, session.wane if session is not None else None)
    why = Why(f"{tool!r} to {there.hid}: the files of this conversation are there")
    return [why, deliver(state, there.id, header, raw)]


def _renamed(arrival: Arrival, offer: Offer) -> bytes:
    """The call as the forager understands it: under the tool's own name."""
    return frames.pack_body({**arrival.body, "toolName": offer.name, "name": offer.name})


def _call(
    arrival: Arrival,
    caller: ClientId,
    callee: ClientId,
    tool: str,
    *,
    seconds: int = TOOL_SECONDS,
) -> Call:
    call_id = arrival.text("callId")
    assert call_id is not None
    extra_ms = (seconds - TOOL_SECONDS) * 1_000
    due_ms = arrival.at_ms + CALL_MS + extra_ms
    return Call(call_id, caller, callee, arrival.header.sid, tool[:ID_CHARS_MAX], due_ms, extra_ms)


def reach(state: State, session: Session, arrival: Arrival, worker: ClientId) -> list[Effect]:
    """A worker asks for a sub-agent: everyone hears it, and the owner of the sid answers."""
    call_id = arrival.text("callId")
    if call_id is not None and session.owner is not None:
        tool = arrival.text("tool") or tool_of(arrival)
        state.calls.add(_call(arrival, worker, session.owner, tool))
    return speak(state, session, arrival, worker)


def result(state: State, arrival: Arrival, client: ClientId) -> list[Effect]:
    """An answer of who was asked."""
    asked = state.calls.get(client, arrival.text("callId") or "")
    if asked is None:
        return []
    _note_late(state, client, is_late=False)
    return answer(state, arrival, asked)


def _note_late(state: State, client: ClientId, *, is_late: bool) -> None:
    callee = state.clients.get(client)
    if callee is not None:
        callee.is_late = is_late


def answer(state: State, arrival: Arrival, asked: Call) -> list[Effect]:
    """Hand an answer to who called, unchanged, and forget the call."""
    state.calls.remove(asked)
    session = state.sessions.get(asked.sid) if arrival.header.sid == asked.sid else None
    header = beside(arrival, session.wane if session is not None else None)
    return [deliver(state, asked.caller, header, arrival.raw)]


def overheard(state: State, arrival: Arrival, asked: Call) -> list[Effect]:
    """What a tool prints while it runs: to everyone who listens, and to who called.

    Not to the worker of the sid: models get results, and nothing before.
    """
    session = state.sessions.get(asked.sid)
    if session is None:
        return [deliver(state, asked.caller, beside(arrival, None), arrival.raw)]
    effects = fan_out(state, session, arrival, besides=asked.callee)
    if asked.caller in (session.worker, *session.listeners(asked.callee)):
        return effects
    return [*effects, deliver(state, asked.caller, beside(arrival, session.wane), arrival.raw)]


def own_error(state: State, arrival: Arrival) -> list[Effect]:
    """Our own answer to a call."""
    body = arrival.body
    asked = state.calls.get(str(body.get("callee")), str(body["callId"]))
    if asked is None:
        return []
    if body.get("qualifier") == Qualifier.TOOL_TIMEOUT:
        _note_late(state, asked.callee, is_late=True)
    return answer(state, arrival, asked)
