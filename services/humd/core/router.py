"""What happens to a tone: `apply(state, arrival) -> effects`, the same live and in replay.

An arrival is in the log, or will be before any of its effects leaves humd. What humd itself has to
say because of it (a worker is lost, a tool does not exist) comes out as `Emit`; the caller logs
and applies it as the very next arrival. In replay those are in the log already and come back as
arrivals of their own.
"""

from collections.abc import Callable

from humd.core.arrivals import Arrival, ClientId, Deliver, Effect, Emit, Forget, Inherit
from humd.core.clients import door_of
from humd.core.sessions import CALL_MS, ORPHAN_MS, Call, Session
from humd.core.state import State
from thrum.chi import OUTPUT, TERMINAL, Chi
from thrum.errors import Qualifier
from thrum.frames import Header


def apply(state: State, arrival: Arrival) -> list[Effect]:
    """Change the state by one event and say what follows."""
    header, client = arrival.header, arrival.client
    if client is None:
        own = _OWN.get(header.chi)
        return own(state, arrival) if own else []
    sender = state.clients.touch(client)
    if header.seq:
        owner = sender if sender.door is None else state.clients.touch(sender.door)
        owner.link = max(owner.link, header.seq)
    if sender.door is not None and header.rid is not None:
        state.clients.remember_rid(sender, header.rid)
    if header.chi in OUTPUT:
        return _output(state, arrival, client)
    handler = _LOCAL.get(header.chi)
    return handler(state, arrival, client) if handler else []


def _output(state: State, arrival: Arrival, client: ClientId) -> list[Effect]:
    """A worker speaks on its sid: everyone who listens hears it; a terminal tone ends the turn."""
    header = arrival.header
    session = state.sessions.get(header.sid)
    if header.chi == Chi.ERROR and isinstance(call_id := arrival.body.get("callId"), str):
        call = state.calls.get(client, call_id)
        if call is not None:
            return _answer(state, arrival, call)
    if session is None or session.worker != client:
        return []
    effects = _fan_out(session, arrival, besides=client)
    if header.chi in TERMINAL and session.is_open:
        effects += _end_turn(state, session, arrival)
    return effects


def _fan_out(session: Session, arrival: Arrival, *, besides: ClientId | None) -> list[Effect]:
    """To everyone on the sid but the one who said it."""
    session.wane += 1
    heard = _beside(arrival, session.wane, fan=1)
    return [Deliver(listener, heard, arrival.raw) for listener in session.listeners(besides)]


def _end_turn(state: State, session: Session, arrival: Arrival) -> list[Effect]:
    """Close the turn; its unanswered calls are void; the next prompt of the sid may start."""
    worker = state.clients.get(session.worker) if session.worker else None
    if worker is not None:
        worker.turns_open = max(0, worker.turns_open - 1)
        for call in state.calls.of_caller(worker.id):
            if call.sid == session.sid:
                state.calls.remove(call)
    state.sessions.end(session, arrival.at_ms)
    if session.waiting:
        return _start_turn(state, session, session.waiting.popleft(), arrival.seq)
    return []


def _prompt(state: State, arrival: Arrival, client: ClientId) -> list[Effect]:
    """Start a turn, or wait for the one that runs on this sid."""
    assert arrival.header.sid is not None
    session = state.sessions.open_for(arrival.header.sid, client, arrival.at_ms)
    session.wane += 1
    if session.is_open:
        session.waiting.append(arrival)
        return []
    return _start_turn(state, session, arrival, arrival.seq)


def _start_turn(state: State, session: Session, arrival: Arrival, seq: int) -> list[Effect]:
    """Choose the worker and hand it the prompt with the catalogue.

    `seq` is the event that starts it. A prompt that waited is older, and the worker's cursor may
    be past it: under its own number it would never be offered again.
    """
    model = arrival.text("modelId") or state.default_model()
    worker = state.worker_for(session, model)
    if worker is None:
        message = (
            f"no worker bee advertises model '{model}'" if model else "no worker bee is connected"
        )
        return [_error(session.sid, Qualifier.PROMPT_NO_WORKER, message, rid=arrival.header.rid)]
    session.model = model
    tools = arrival.body.get("tools")
    session.asker_tools = frozenset(
        tool["name"]
        for tool in (tools if isinstance(tools, list) else [])
        if isinstance(tool, dict) and isinstance(tool.get("name"), str)
    )
    state.sessions.start(session, worker.id, arrival.seq)
    worker.turns_open += 1
    raw = state.catalogue.enrich(arrival.raw, arrival.body)
    return [Deliver(worker.id, _beside(arrival, session.wane)._replace(seq=seq), raw)]


def _steer(state: State, arrival: Arrival, client: ClientId) -> list[Effect]:
    """curate, release-permit, petal-cell: to the worker of the sid."""
    session = state.sessions.get(arrival.header.sid)
    if session is None or session.worker is None or not state.knows(session.worker):
        return []
    session.wane += 1
    return [Deliver(session.worker, _beside(arrival, session.wane), arrival.raw)]


def _cancel(state: State, arrival: Arrival, client: ClientId) -> list[Effect]:
    """A caller cancels its call; who drives the sid cancels its turn and what waits.

    A cancel that names a call is never one of the turn: the call may just have been answered.
    """
    if call_id := arrival.text("callId"):
        call = state.calls.made(client, call_id)
        return [Deliver(call.callee, _beside(arrival, None), arrival.raw)] if call else []
    session = state.sessions.get(arrival.header.sid)
    if session is None or not session.is_open:
        return []
    session.waiting.clear()
    return _steer(state, arrival, client)


def _cleanup(state: State, arrival: Arrival, client: ClientId) -> list[Effect]:
    """Forget the conversation, here and at its worker."""
    effects = _steer(state, arrival, client)
    session = state.sessions.get(arrival.header.sid)
    if session is not None:
        session.waiting.clear()
        if session.is_open:
            _end_turn(state, session, arrival)
        state.sessions.drop(session.sid)
    return effects


def _tool_call(state: State, arrival: Arrival, client: ClientId) -> list[Effect]:
    """To the forager that owns the tool, or the asker when it is the asker's, or an error."""
    header = arrival.header
    tool = arrival.text("toolName") or arrival.text("name") or ""
    session = state.sessions.get(header.sid)
    if session is None and header.sid:
        session = state.sessions.open_for(header.sid, client, arrival.at_ms)
    if session is not None:
        session.wane += 1
    wane = session.wane if session is not None else None
    forager = state.forager_of(tool)
    if forager is not None:
        state.calls.add(_call(arrival, client, forager.id, tool))
        return [Deliver(forager.id, _beside(arrival, wane), arrival.raw)]
    callee = state.callee_of(session, client, tool)
    if session is not None and callee is not None:
        state.calls.add(_call(arrival, client, callee, tool))
        heard = _beside(arrival, wane, fan=1)
        return [Deliver(listener, heard, arrival.raw) for listener in session.listeners(client)]
    unknown = _call(arrival, client, client, tool)
    state.calls.add(unknown)
    return [_call_error(unknown, Qualifier.TOOL_UNKNOWN, f"no connected bee has a tool {tool!r}")]


def _call(arrival: Arrival, caller: ClientId, callee: ClientId, tool: str) -> Call:
    call_id = arrival.text("callId")
    assert call_id is not None
    return Call(call_id, caller, callee, arrival.header.sid, tool, arrival.at_ms + CALL_MS)


def _tool_result(state: State, arrival: Arrival, client: ClientId) -> list[Effect]:
    call = state.calls.get(client, arrival.text("callId") or "")
    return _answer(state, arrival, call) if call is not None else []


def _answer(state: State, arrival: Arrival, call: Call) -> list[Effect]:
    """Hand an answer to who called, unchanged, and forget the call."""
    state.calls.remove(call)
    session = state.sessions.get(call.sid)
    if session is not None:
        session.wane += 1
    header = _beside(arrival, session.wane if session is not None else None)
    return [Deliver(call.caller, header, arrival.raw)]


def _attach(state: State, arrival: Arrival, client: ClientId) -> list[Effect]:
    if arrival.header.sid:
        session = state.sessions.open_for(arrival.header.sid, None, arrival.at_ms)
        session.watchers[client] = arrival.body.get("hearOnly") is True
    return []


def _detach(state: State, arrival: Arrival, client: ClientId) -> list[Effect]:
    session = state.sessions.get(arrival.header.sid)
    if session is not None:
        session.watchers.pop(client, None)
    return []


def _hello(state: State, arrival: Arrival, client: ClientId) -> list[Effect]:
    """Register a bee. One that comes back under its hid takes over what it left."""
    known = state.clients.register(client, arrival.body, arrival.header.sender, arrival.at_ms)
    effects: list[Effect] = []
    if "door" in known.roles:
        state.clients.back_behind(client)
    if known.hid is None:
        return effects
    for older in state.clients.with_hid(known.hid):
        if older.id == client:
            continue
        if older.door is not None and not older.is_connected:
            _hand_over(state, older.id, client)
            state.clients.drop(older.id)
            effects.append(Inherit(older.id, client))
            effects += _forget(state, older.door)
        elif older.door is None and known.door is None:
            scope = "door" if "door" in older.roles else "client"
            effects.append(_retract(older.id, "replaced", scope=scope))
    return effects


def _hand_over(state: State, old: ClientId, new: ClientId) -> None:
    """Every session and call of `old` is `new`'s from now on."""
    before, after = state.clients.get(old), state.clients.touch(new)
    if before is not None:
        after.turns_open += before.turns_open
    for session in state.sessions.by_sid.values():
        session.owner = new if session.owner == old else session.owner
        session.worker = new if session.worker == old else session.worker
        if old in session.watchers:
            session.watchers[new] = session.watchers.pop(old)
        if session.owner == new:
            state.sessions.adopt(session)
    for call in list(state.calls.waiting.values()):
        if old in (call.caller, call.callee):
            state.calls.remove(call)
            caller, callee = (
                new if party == old else party for party in (call.caller, call.callee)
            )
            state.calls.add(Call(call.call_id, caller, callee, call.sid, call.tool, call.due_ms))


def _bee_retract(state: State, arrival: Arrival, client: ClientId) -> list[Effect]:
    """A bee withdraws its announcement, or a door says that one of its clients is gone."""
    if arrival.body.get("scope") == "client" and state.clients.touch(client).door is not None:
        return _gone(state, client, arrival)
    known = state.clients.touch(client)
    known.name, known.roles, known.models, known.tools, known.provides = (
        None,
        frozenset(),
        (),
        (),
        (),
    )
    state.clients.generation += 1
    state.clients.offers += 1
    return []


def _own_retract(state: State, arrival: Arrival) -> list[Effect]:
    """Connections ended: all at boot, those behind a `door`, one `adrift` or gone `client`."""
    scope, about = arrival.body.get("scope"), arrival.text("client")
    if scope == "all":
        state.default_hive = arrival.text("default_hive") or state.default_hive
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
    return _gone(state, about, arrival)


def _gone(state: State, client: ClientId, arrival: Arrival) -> list[Effect]:
    """A client will not come back: whoever waits for it is told, what it drove is wound up."""
    left = state.clients.drop(client)
    effects = _forget(state, client)
    effects += [
        _call_error(call, Qualifier.TOOL_FORAGER_LOST, f"the bee running {call.tool!r} is gone")
        for call in state.calls.of_callee(client)
    ]
    for call in state.calls.of_caller(client):
        state.calls.remove(call)
        effects.append(
            Emit(
                Chi.CANCEL,
                {"callId": call.call_id, "callee": call.callee, "reason": "caller-lost"},
                call.sid,
            )
        )
    for session in list(state.sessions.by_sid.values()):
        session.watchers.pop(client, None)
        if session.worker == client:
            session.worker = None
            if session.is_open:
                effects.append(
                    _error(
                        session.sid,
                        Qualifier.WORKER_LOST,
                        "the worker disconnected",
                        code="worker_lost",
                    )
                )
        if session.owner == client:
            session.owner = None
            if session.is_open and not session.watchers:
                grace_ms = ORPHAN_MS if left is not None and left.door is not None else 0
                state.sessions.orphan(session, arrival.at_ms + grace_ms)
    return effects


def _forget(state: State, client: ClientId) -> list[Effect]:
    """Nothing is owed to a client that is gone; but a door's clients may still come for theirs."""
    left = [owner for owner in (client, door_of(client)) if owner is not None]
    return [
        Forget(owner)
        for owner in left
        if not state.knows(owner) and not state.clients.behind(owner)
    ]


def _own_error(state: State, arrival: Arrival) -> list[Effect]:
    """Our own error: an answer to a call, or the end of a turn for everyone on the sid."""
    body = arrival.body
    if "callId" in body:
        call = state.calls.get(str(body.get("callee")), str(body["callId"]))
        return _answer(state, arrival, call) if call is not None else []
    session = state.sessions.get(arrival.header.sid)
    if session is None:
        return []
    effects = _fan_out(session, arrival, besides=None)
    if session.is_open:
        return effects + _end_turn(state, session, arrival)
    if session.waiting:
        return effects + _start_turn(state, session, session.waiting.popleft(), arrival.seq)
    return effects


def _own_cancel(state: State, arrival: Arrival) -> list[Effect]:
    """Our own cancel: of one call whose caller is gone, or of a turn whose asker is gone."""
    callee = arrival.text("callee")
    if callee is not None:
        return [Deliver(callee, _beside(arrival, None), arrival.raw)] if state.knows(callee) else []
    session = state.sessions.get(arrival.header.sid)
    if session is None or session.worker is None:
        return []
    state.sessions.adopt(session)
    session.waiting.clear()
    session.wane += 1
    return [Deliver(session.worker, _beside(arrival, session.wane), arrival.raw)]


def due(state: State, now_ms: int) -> list[Emit]:
    """What time alone makes us say: adrift clients that stayed away, late calls, orphaned turns."""
    emits = [
        _retract(client.id, "timeout", scope="door" if "door" in client.roles else "client")
        for client in state.clients.overdue(now_ms)
    ]
    emits += [
        _call_error(call, Qualifier.TOOL_TIMEOUT, f"{call.tool!r} did not answer in time")
        for call in state.calls.overdue(now_ms)
    ]
    emits += [
        Emit(Chi.CANCEL, {"reason": "asker-lost"}, sid) for sid in state.sessions.orphans(now_ms)
    ]
    return emits


def lost(client: ClientId, *, is_door: bool) -> Emit:
    """The connection of a bus bee is gone."""
    return _retract(client, "disconnect", scope="door" if is_door else "client")


def cut(client: ClientId) -> Emit:
    """We ended the connection of a bus bee, which may come back."""
    return _retract(client, "cut", scope="adrift")


def booted(default_hive: str) -> Emit:
    """Humd has replayed its log; nobody in it is connected. Settings that decide are logged."""
    body = {"scope": "all", "reason": "boot", "default_hive": default_hive}
    return Emit(Chi.BEE_RETRACT, body)


def _retract(client: ClientId, reason: str, *, scope: str = "client") -> Emit:
    return Emit(Chi.BEE_RETRACT, {"scope": scope, "reason": reason, "client": client})


def _error(
    sid: str, qualifier: Qualifier, message: str, *, rid: str | None = None, code: str | None = None
) -> Emit:
    body = {"message": message, "qualifier": str(qualifier)}
    if code:
        body["code"] = code
    if rid:
        body["cause"] = rid
    return Emit(Chi.ERROR, body, sid)


def _call_error(call: Call, qualifier: Qualifier, message: str) -> Emit:
    body = {
        "callId": call.call_id,
        "callee": call.callee,
        "message": message,
        "qualifier": str(qualifier),
    }
    return Emit(Chi.ERROR, body, call.sid)


def _beside(arrival: Arrival, wane: int | None, *, fan: int = 0) -> Header:
    """The header as it leaves humd: log seq and number within the sid beside the tone."""
    chi, rid, sid, sender, to, dusk, _, _, _, _ = arrival.header
    return Header(chi, rid, sid, sender, to, dusk, wane, arrival.seq, None, fan)


_Handler = Callable[[State, Arrival, ClientId], list[Effect]]
_LOCAL: dict[str, _Handler] = {
    Chi.HELLO: _hello,
    Chi.PROMPT: _prompt,
    Chi.CANCEL: _cancel,
    Chi.CLEANUP: _cleanup,
    Chi.CURATE: _steer,
    Chi.RELEASE_PERMIT: _steer,
    Chi.PETAL_CELL: _steer,
    Chi.TOOL_CALL: _tool_call,
    Chi.TOOL_RESULT: _tool_result,
    Chi.TENDRIL_RESULT: _tool_result,
    Chi.ATTACH: _attach,
    Chi.DETACH: _detach,
    Chi.BEE_RETRACT: _bee_retract,
}
_OWN: dict[str, Callable[[State, Arrival], list[Effect]]] = {
    Chi.BEE_RETRACT: _own_retract,
    Chi.ERROR: _own_error,
    Chi.CANCEL: _own_cancel,
}
