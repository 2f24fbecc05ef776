"""What happens to a tone: `apply(state, arrival) -> effects`, the same live and in replay.

An arrival is in the log, or will be before any of its effects leaves humd. What humd itself has to
say because of it (a worker is lost, a tool does not exist) comes out as `Emit`; the caller logs
and applies it as the very next arrival. In replay those are in the log already and come back as
arrivals of their own.

The order of the rules, for a tone that `core.authority` let pass:

1. what humd says itself;
2. output of the worker of a sid, or of another humd that serves it: an answer to a call goes to
   the caller, everything else to whoever listens;
3. hello, and the tones that say who is there;
4. what names another humd in `to` goes there, by the handlers of its chi;
5. everything else by its chi; a chi without a handler is in the log and means nothing more.

Read next: `turns`, `tools`, `permits`, `membership`.
"""

from collections.abc import Callable

from humd.core import membership, permits, said, tools, turns
from humd.core.arrivals import Arrival, ClientId, Deliver, Effect, Emit
from humd.core.basis import Basis
from humd.core.said import beside, deliver
from humd.core.sessions import Session
from humd.core.state import State
from thrum.chi import OUTPUT, Chi
from thrum.errors import Qualifier
from thrum.frames import Header


def apply(state: State, arrival: Arrival) -> list[Effect]:
    """Change the state by one event and say what follows."""
    effects = _decide(state, arrival)
    header = arrival.header
    session = state.sessions.get(header.sid)
    if header.sid is not None and header.chi != _CHUNK:
        state.spending.note(arrival, session, state.clients, state.default_model)
    timed = state.watch.note(arrival, session, state.clients)
    return effects + timed if timed else effects


def _decide(state: State, arrival: Arrival) -> list[Effect]:
    header, client = arrival.header, arrival.client
    state.sessions.expire(arrival.at_ms)
    if header.sid is not None:
        state.sessions.count(header.sid)
    if client is None:
        own = _OWN.get(header.chi)
        return own(state, arrival) if own else []
    sender = state.clients.touch(client)
    if header.seq:
        owner = sender if sender.door is None else state.clients.touch(sender.door)
        owner.links.add(header.seq)
    if sender.door is not None and header.rid is not None:
        state.clients.remember_rid(sender, header.rid, arrival.seq)
    if header.chi in OUTPUT:
        return _output(state, arrival, client)
    handler = _LOCAL.get(header.chi)
    return handler(state, arrival, client) if handler else []


def _output(state: State, arrival: Arrival, client: ClientId) -> list[Effect]:
    """A worker speaks on its sid, or who was asked answers with an error."""
    header = arrival.header
    if header.chi == _ERROR and isinstance(call_id := arrival.body.get("callId"), str):
        asked = state.calls.get(client, call_id)
        if asked is not None:
            return tools.answer(state, arrival, asked)
    session = state.sessions.get(header.sid)
    if session is None or session.worker != client:
        if header.chi == Chi.CHUNK and isinstance(call_id := arrival.body.get("callId"), str):
            asked = state.calls.get(client, call_id)
            return tools.overheard(state, arrival, asked) if asked is not None else []
        return _abroad(state, arrival, client)
    asks = _ASKS.get(header.chi)
    if asks is not None:
        return asks(state, session, arrival, client)
    return turns.speak(state, session, arrival, client)


def overheard(state: State, header: Header, raw: bytes, client: ClientId) -> list[Deliver]:
    """Who hears a tone that is never logged, if the worker of its sid says it. Changes nothing."""
    session = state.sessions.get(header.sid)
    if session is None or session.worker != client:
        return []
    heard = header._replace(wane=None, seq=0, client=None, fan=1)
    return [deliver(state, listener, heard, raw) for listener in session.listeners(client)]


def _abroad(state: State, arrival: Arrival, client: ClientId) -> list[Effect]:
    """What names another humd goes there, when its chi has no rule of its own."""
    away = state.destination(arrival.header.to)
    peer = state.clients.peer(away) if away is not None else None
    if peer is None or peer.id == client:
        return []
    return [deliver(state, peer.id, beside(arrival, None), arrival.raw)]


def _to_ensembles(state: State, arrival: Arrival, client: ClientId) -> list[Effect]:
    """What concerns the mesh goes to the bees that speak for it."""
    return [
        deliver(state, bee.id, beside(arrival, None), arrival.raw)
        for bee in state.clients.ensembles()
        if client != bee.id
    ]


def _own_error(state: State, arrival: Arrival) -> list[Effect]:
    """Our own error: an answer to a call, or the end of a turn for everyone on the sid."""
    if "callId" in arrival.body:
        return tools.own_error(state, arrival)
    return turns.own_error(state, arrival)


def due(state: State, now_ms: int) -> list[Emit]:
    """What time alone makes us say: who stayed away, what took too long, what nobody uses."""
    emits = [
        said.retract(client.id, "timeout", scope="door" if client.is_door else "client")
        for client in state.clients.overdue(now_ms)
    ]
    emits += [
        said.call_error(call, Qualifier.TOOL_TIMEOUT, f"{call.tool!r} did not answer in time")
        for call in state.calls.overdue(now_ms)
    ]
    emits += [permits.expired(ask) for ask in state.asks.overdue(now_ms)]
    emits += [said.turn_cancel(sid, "asker-lost") for sid in state.sessions.orphans(now_ms)]
    for session in state.sessions.silent(now_ms):
        if session.worker is not None and not state.asks.of_sid(session.sid):
            emits += turns.given_up(session.sid, session.worker)
    if state.sessions.has_expired(now_ms):
        emits.append(Emit(Chi.CLEANUP, {"reason": "idle"}))
    return emits


def lost(client: ClientId, *, is_door: bool) -> Emit:
    """The connection of a bus bee is gone."""
    return said.retract(client, "disconnect", scope="door" if is_door else "client")


def cut(client: ClientId) -> Emit:
    """We ended the connection of a bus bee, which may come back."""
    return said.retract(client, "cut", scope="adrift")


def booted(basis: Basis) -> Emit:
    """Humd has replayed its log; nobody in it is connected, and it decides by this from now on."""
    return Emit(Chi.BEE_RETRACT, {"scope": "all", "reason": "boot", **basis.body()})


def caught_up(client: ClientId, sid: str, begun: int) -> Emit:
    """A client has heard, and says so, everything that it had missed when event `begun` asked."""
    return Emit(Chi.ATTACH, {"client": client, "reason": "caught-up", "begun": begun}, sid)


_CHUNK = str(Chi.CHUNK)
_ERROR = str(Chi.ERROR)
_ASKS: dict[str, Callable[[State, Session, Arrival, ClientId], list[Effect]]] = {
    Chi.PERMISSION_ASK: permits.ask,
    Chi.TENDRIL_REACH: tools.reach,
}
"""What a worker asks for, which is more than to be heard."""
_Handler = Callable[[State, Arrival, ClientId], list[Effect]]
_LOCAL: dict[str, _Handler] = {
    Chi.HELLO: membership.hello,
    Chi.PROMPT: turns.prompt,
    Chi.CANCEL: turns.cancel,
    Chi.CLEANUP: turns.cleanup,
    Chi.CURATE: turns.steer,
    Chi.RELEASE_PERMIT: permits.release,
    Chi.PETAL_CELL: turns.steer,
    Chi.TOOL_CALL: tools.call,
    Chi.TOOL_RESULT: tools.result,
    Chi.TENDRIL_RESULT: tools.result,
    Chi.ATTACH: membership.attach,
    Chi.DETACH: membership.detach,
    Chi.BEE_RETRACT: membership.bee_retract,
    Chi.WANE_SYNC: _abroad,
    Chi.PEER_ADD: _to_ensembles,
    Chi.PEER_REMOVE: _to_ensembles,
    Chi.GOSSIP_PUBLISH: _to_ensembles,
}
_OWN: dict[str, Callable[[State, Arrival], list[Effect]]] = {
    Chi.BEE_RETRACT: membership.own_retract,
    Chi.DRONE: turns.own_drone,
    Chi.DRONE_RETROFIT: turns.own_retrofit,
    Chi.ERROR: _own_error,
    Chi.CANCEL: turns.own_cancel,
    Chi.FINISH: turns.own_finish,
    Chi.CLEANUP: turns.own_cleanup,
    Chi.RELEASE_PERMIT: permits.own_release,
    Chi.ATTACH: membership.caught_up,
    Chi.FORGOTTEN: permits.forgotten,
}
