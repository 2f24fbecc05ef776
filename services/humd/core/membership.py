"""Who comes and who goes: hellos, retracts, attachments, and what a loss means for the others."""

from humd.core import said
from humd.core.arrivals import (
    Arrival,
    CatchUp,
    CaughtUp,
    ClientId,
    Effect,
    Forget,
    Inherit,
)
from humd.core.basis import basis_of
from humd.core.clients import Client, door_of, peer_of
from humd.core.hellos import heard_of
from humd.core.said import beside, deliver
from humd.core.sessions import ORPHAN_MS, Session
from humd.core.state import State
from humd.core.turns import open_session
from thrum.errors import Qualifier

SLOW_READER = "slow-reader"
"""Why a door gave up a client that will not go on where it stopped: its turns end at once."""


def hello(state: State, arrival: Arrival, client: ClientId) -> list[Effect]:
    """Register a bee. One that comes back under its hid takes over what it left."""
    known = state.clients.register(
        client, arrival.body, arrival.header.sender, seq=arrival.seq, at_ms=arrival.at_ms
    )
    effects: list[Effect] = []
    if known.is_door:
        state.clients.back_behind(client)
    if known.hid is None:
        return effects
    for older in state.clients.with_hid(known.hid):
        if older.id == client or older.peer != known.peer:
            continue  # who only says that it has the hid of another humd is not that humd
        if older.door is not None and not older.is_connected:
            _hand_over(state, older, known)
            state.clients.drop(older.id)
            heard = heard_of(arrival.body.get("heard"))
            effects.append(Inherit(older.id, client, arrival.seq, heard))
            effects += _forget(state, older.door)
        elif older.door is None and known.door is None:
            scope = "door" if older.is_door else "client"
            effects.append(said.retract(older.id, "replaced", scope=scope))
    return effects


def _hand_over(state: State, old: Client, new: Client) -> None:
    """Every session, call and ask of `old` is `new`'s from now on."""
    sessions = state.sessions
    new.turns_open += old.turns_open
    for session in sessions.of(old.id):
        if old.id in session.watchers:
            sessions.watch(session, new.id, hear_only=session.watchers[old.id])
            sessions.unwatch(session, old.id)
        if session.worker == old.id:
            sessions.set_worker(session, new.id)
        if session.owner == old.id:
            sessions.set_owner(session, new.id)
            sessions.adopt(session)
    state.calls.hand_over(old.id, new.id)
    state.asks.hand_over(old.id, new.id)


def attach(state: State, arrival: Arrival, client: ClientId) -> list[Effect]:
    """Listen on a sid from now on; with a `wane`, first to what came after that number."""
    header = arrival.header
    if not header.sid:
        return []
    session = open_session(state, arrival, None)
    hear_only = arrival.body.get("hearOnly") is True
    state.sessions.watch(session, client, hear_only=hear_only)
    state.sessions.adopt(session)
    if session.is_open and session.owner is None and not hear_only:
        state.sessions.set_owner(session, client)
    away = state.destination(header.to)
    if away is not None and (peer := state.clients.peer(away)) is not None:
        if session.worker is None:
            state.sessions.set_worker(session, peer.id)
        return [deliver(state, peer.id, beside(arrival, None), arrival.raw)]
    if header.wane is None:
        return []
    return [
        CatchUp(
            client, session.sid, session.first_seq, session.first_wane, header.wane, arrival.seq
        )
    ]


def detach(state: State, arrival: Arrival, client: ClientId) -> list[Effect]:
    """Listen no more; who owns the sid still hears it."""
    header = arrival.header
    session = state.sessions.get(header.sid)
    effects: list[Effect] = []
    away = state.destination(header.to)
    if away is not None and (peer := state.clients.peer(away)) is not None:
        effects.append(deliver(state, peer.id, beside(arrival, None), arrival.raw))
    if session is not None:
        was_here = bool(session.listeners(None))
        state.sessions.unwatch(session, client)
        effects.append(CaughtUp(client, session.sid))
        if session.is_open and was_here and not session.listeners(None):
            state.sessions.orphan(session, arrival.at_ms + ORPHAN_MS)
    return effects


def caught_up(state: State, arrival: Arrival) -> list[Effect]:
    """Humd noted that a client has heard everything that it had missed."""
    client, sid, begun = arrival.text("client"), arrival.header.sid, arrival.body.get("begun")
    if client is None or sid is None:
        return []
    return [CaughtUp(client, sid, begun if isinstance(begun, int) else None)]


def bee_retract(state: State, arrival: Arrival, client: ClientId) -> list[Effect]:
    """A bee withdraws its announcement, or a door says that one of its clients is gone."""
    if arrival.body.get("scope") == "client" and door_of(client) is not None:
        return gone(state, client, arrival)
    state.clients.retract(client)
    return []


def own_retract(state: State, arrival: Arrival) -> list[Effect]:
    """Connections ended: all at boot, those behind a `door`, one `adrift` or gone `client`."""
    scope, about = arrival.body.get("scope"), arrival.text("client")
    if scope == "all":
        state.stand_on(basis_of(arrival, state.basis))
        for client in state.clients.by_id.values():
            state.clients.set_adrift(client, arrival.at_ms)
        return []
    if about is None:
        return []
    if scope == "adrift":
        if (known := state.clients.get(about)) is not None:
            state.clients.set_adrift(known, arrival.at_ms)
        return []
    if scope == "door":
        for client in state.clients.behind(about):
            state.clients.set_adrift(client, arrival.at_ms)
    return gone(state, about, arrival)


def gone(state: State, client: ClientId, arrival: Arrival) -> list[Effect]:
    """A client will not come back: whoever waits for it is told, what it drove is wound up."""
    left = state.clients.drop(client)
    effects = _forget(state, client)
    effects += [
        said.call_error(
            call,
            Qualifier.TOOL_FORAGER_LOST,
            f"the bee running {call.tool!r} is gone, or does not answer",
        )
        for call in state.calls.of_callee(client)
    ]
    for call in state.calls.of_caller(client):
        state.calls.remove(call)
        effects.append(said.call_cancel(call, "caller-lost"))
    has_grace = left is not None and left.door is not None
    grace_ms = ORPHAN_MS if has_grace and arrival.text("reason") != SLOW_READER else 0
    for session in state.sessions.of(client):
        effects += _leave(state, session, client, orphan_at_ms=arrival.at_ms + grace_ms)
    return effects


def _leave(state: State, session: Session, client: ClientId, *, orphan_at_ms: int) -> list[Effect]:
    """One session goes on without a client that took part in it."""
    effects: list[Effect] = []
    sessions = state.sessions
    if client in session.watchers:
        sessions.unwatch(session, client)
        effects.append(CaughtUp(client, session.sid))
    if session.worker == client:
        sessions.set_worker(session, None)
        if session.is_open:
            effects.append(_lost(session.sid, client))
    if session.owner == client:
        sessions.set_owner(session, None)
    if session.is_open and not session.listeners(None):
        sessions.orphan(session, orphan_at_ms)
    return effects


def _lost(sid: str, worker: ClientId) -> Effect:
    if peer_of(worker) is not None:
        return said.error(sid, Qualifier.PEER_LOST, "the link to the humd that serves this is down")
    message = "the worker disconnected"
    return said.error(sid, Qualifier.WORKER_LOST, message, code="worker_lost")


def _forget(state: State, client: ClientId) -> list[Effect]:
    """Nothing is owed to a client that is gone; but a door's clients may still come for theirs."""
    left = [owner for owner in (client, door_of(client)) if owner is not None]
    return [
        Forget(owner)
        for owner in left
        if not state.knows(owner) and not state.clients.behind(owner)
    ]
