"""Permission asks on their way: asked by a worker, answered by who may, or by time."""

from humd.core.arrivals import Arrival, ClientId, Effect, Emit, Refusal, Why
from humd.core.asks import TOOL_CHARS_MAX, Ask, AskState
from humd.core.said import beside, deliver
from humd.core.sessions import Session
from humd.core.state import State
from humd.core.turns import fan_out
from thrum import frames
from thrum.chi import Chi
from thrum.errors import Qualifier


def ask_id_of(arrival: Arrival) -> str:
    """The name of an ask in an ask or its answer."""
    return arrival.text("askId") or arrival.text("permitId") or ""


def ask(state: State, session: Session, arrival: Arrival, worker: ClientId) -> list[Effect]:
    """A turn waits for consent until the ask's dusk; everyone on the sid hears of it."""
    due_ms = arrival.header.dusk
    if due_ms is None:
        due_ms = arrival.at_ms + state.permission_dusk_ms
    tool = arrival.text("tool") or ""
    state.asks.add(
        Ask(
            id=arrival.seq,
            ask_id=ask_id_of(arrival),
            sid=session.sid,
            worker=worker,
            tool=tool if len(tool) <= TOOL_CHARS_MAX else "",
            asked_ms=arrival.at_ms,
            due_ms=due_ms,
        )
    )
    state.sessions.heard(session, arrival.at_ms)
    return fan_out(state, session, arrival, besides=worker, dusk=due_ms)


def judge_again(state: State, session: Session, arrival: Arrival) -> Refusal | None:
    """Why an agent is not told once more to ask again: the prompt that says so waits or runs."""
    found = state.asks.expired(session.sid, arrival.text("reaskOf") or "")
    if found is None or not found.again_seq:
        return None
    waiting = {prompt.seq for prompt in session.waiting}
    if session.is_open:
        waiting.add(session.opened_seq)
    if found.again_seq not in waiting:
        return None
    message = f"prompt: ask {found.ask_id!r} is asked again already, by {found.again_rid!r}"
    return Refusal(Qualifier.PERMIT_REASKED, message, cause=found.again_rid)


def forgotten(state: State, arrival: Arrival) -> list[Effect]:
    """The log has erased what was said on a sid; so does the state."""
    sid = arrival.header.sid
    state.erased_seq = arrival.seq
    if sid is not None:
        state.asks.blank(sid)
        state.watch.blank(sid)
    return []


def release(state: State, arrival: Arrival, client: ClientId) -> list[Effect]:
    """Someone who may says allow, or anything else; the worker gets `allow` or `deny`."""
    found = state.asks.get(arrival.header.sid, ask_id_of(arrival))
    if found is None:
        return []
    is_allowed = arrival.text("decision") == "allow"
    decided = AskState.ALLOWED if is_allowed else AskState.DENIED
    known = state.clients.get(client)
    by = known.hid if known is not None and known.hid else client
    state.asks.close(found, decided, arrival.at_ms, by)
    return [Why(f"{decided} by {by}"), *_tell(state, found, arrival)]


def own_release(state: State, arrival: Arrival) -> list[Effect]:
    """Nobody said anything in time: the worker is denied, and nobody is said to have denied it."""
    found = state.asks.get(arrival.header.sid, ask_id_of(arrival))
    if found is None:
        return []
    state.asks.close(found, AskState.EXPIRED, arrival.at_ms)
    return _tell(state, found, arrival)


def _tell(state: State, found: Ask, arrival: Arrival) -> list[Effect]:
    """The worker hears the decision under both of its names."""
    session = state.sessions.get(found.sid)
    if session is not None and session.is_open:
        state.sessions.heard(session, arrival.at_ms)
    wane = session.wane if session is not None and arrival.header.sid == found.sid else None
    header = beside(arrival, wane)._replace(sid=found.sid)
    decision = "allow" if found.state is AskState.ALLOWED else "deny"
    told = {"askId": found.ask_id, "permitId": found.ask_id, "decision": decision}
    is_plain = all(arrival.body.get(key) == value for key, value in told.items())
    raw = arrival.raw if is_plain else frames.pack_body({**arrival.body, **told})
    return [deliver(state, found.worker, header, raw)]


def expired(found: Ask) -> Emit:
    """What humd says when time is up for an ask."""
    body = {"askId": found.ask_id, "permitId": found.ask_id, "decision": "deny", "reason": "dusk"}
    return Emit(Chi.RELEASE_PERMIT, body, found.sid)
