"""Turns: a prompt finds its worker, what the worker says is heard, a terminal tone ends it.

    closed --prompt--> open --finish, error, loss of the worker--> closed
                        |  prompt: it waits
                        |  cancel: what waits is cancelled, and answered when the turn ends

One turn of a sid runs at a time; of those that wait the oldest is next.
"""

from humd.core import peers, said
from humd.core.arrivals import Arrival, CaughtUp, ClientId, Deliver, Effect, Emit, Refusal, Why
from humd.core.asks import AskState
from humd.core.budgets import open_tools_of
from humd.core.clients import Client, peer_of
from humd.core.said import beside, deliver
from humd.core.sessions import SILENT_MS, Session
from humd.core.state import State
from humd.core.watch import SILENT, WORKER_SILENT
from thrum import frames
from thrum.chi import TERMINAL, Chi
from thrum.errors import Qualifier

PROMPT_BYTES_MAX = frames.FRAME_BYTES_MAX - 8 * frames.HEADER_BYTES_MAX
"""A prompt as a worker gets it, with the tools of foragers: what a frame has room for."""


def prompt(state: State, arrival: Arrival, client: ClientId) -> list[Effect]:
    """Start a turn, or wait for the one that runs on this sid."""
    assert arrival.header.sid is not None
    session = open_session(state, arrival, client)
    if (again := state.asks.expired(session.sid, arrival.text("reaskOf") or "")) is not None:
        again.again_seq, again.again_rid = arrival.seq, arrival.header.rid
    if session.is_open:
        state.sessions.wait(session, arrival)
        return []
    return start(state, session, arrival, arrival)


def open_session(state: State, arrival: Arrival, owner: ClientId | None) -> Session:
    """The session of the arrival's sid."""
    assert arrival.header.sid is not None
    sessions = state.sessions
    return sessions.open_for(arrival.header.sid, owner, seq=arrival.seq, at_ms=arrival.at_ms)


def start(state: State, session: Session, arrival: Arrival, cause: Arrival) -> list[Effect]:
    """Choose the worker and hand it the prompt with the catalogue.

    `cause` is the event that starts it. A prompt that waited is older, and the worker's cursor may
    be past it: under its own number it would never be offered again.
    """
    header = arrival.header
    away = state.destination(header.to)
    if away is not None and (peer := state.clients.peer(away)) is not None:
        return _begin(state, session, arrival, cause, peer, why="the prompt names that humd")
    if away is not None:
        message = f"the link to {away} is down"
        return [said.error(session.sid, Qualifier.PEER_LOST, message, rid=header.rid)]
    model = arrival.text("modelId") or state.default_model()
    worker, why = state.worker_for(session, model)
    session.model = model
    if worker is not None:
        return _begin(state, session, arrival, cause, worker, why=f"{why} (model {model!r})")
    is_passed_on = arrival.client is not None and peer_of(arrival.client) is not None
    if not is_passed_on and (peer := _served_by(state, session) or peers.overflow(state)):
        return _begin(state, session, arrival, cause, peer, why=f"overflow: {why}")
    qualifier, message = _nowhere(state, model, is_passed_on=is_passed_on)
    refusal = said.error(session.sid, qualifier, message, rid=header.rid)
    return [Why(f"no worker for {header.rid!r}: {why}"), refusal]


def _served_by(state: State, session: Session) -> Client | None:
    """The humd that had the last turn of a sid, while its link is up."""
    hid = peer_of(session.worker) if session.worker is not None else None
    return state.clients.peer(hid) if hid is not None else None


def _nowhere(state: State, model: str | None, *, is_passed_on: bool) -> tuple[Qualifier, str]:
    """Why nobody takes a prompt; to another humd in the words that it tells its asker."""
    if bool(model) and any(model in bee.models for bee in state.workers):
        if is_passed_on:
            return Qualifier.OVERFLOW_NO_CAPACITY, f"every worker with model '{model}' is full"
        message = f"every worker with model '{model}' is full, and no other humd has room"
        return Qualifier.OVERFLOW_NO_ROUTE, message
    message = f"no worker bee advertises model '{model}'" if model else "no worker bee is connected"
    if is_passed_on:
        return Qualifier.OVERFLOW_MODEL_UNAVAILABLE, message
    return Qualifier.PROMPT_NO_WORKER, message


def _begin(
    state: State, session: Session, arrival: Arrival, cause: Arrival, worker: Client, *, why: str
) -> list[Effect]:
    """The turn runs; `worker` has it. Where its files are is settled for this turn."""
    place = peers.place_of(state, arrival.body)
    if isinstance(place, Refusal):
        return [said.error(session.sid, place.qualifier, place.message, rid=arrival.header.rid)]
    session.place = place.host if place is not None else None
    raw, body = arrival.raw, arrival.body
    if place is not None:
        body = {**body, "cwd": place.cwd_for(worker, state.humd)}
        raw = frames.pack_body(body)
    tools = body.get("tools")
    session.asker_tools = frozenset(
        tool["name"]
        for tool in (tools if isinstance(tools, list) else [])
        if isinstance(tool, dict) and isinstance(tool.get("name"), str)
    )
    session.open_tools = open_tools_of(arrival.body)
    if worker.peer is None:
        raw = state.catalogue.enrich(raw, body, session.asker_tools, session.open_tools)
    if len(raw) > PROMPT_BYTES_MAX:
        message = f"prompt: {len(raw)} bytes with what the worker is told; at most "
        message += f"{PROMPT_BYTES_MAX}: send `content` and no `text`, or offer fewer tools"
        return [said.error(session.sid, Qualifier.FRAME_TOO_LARGE, message, rid=arrival.header.rid)]
    state.sessions.start(session, worker.id, seq=arrival.seq, at_ms=cause.at_ms)
    session.prompt = arrival
    worker.turns_open += 1
    header = beside(arrival, session.wane)._replace(seq=cause.seq)
    waited = "" if cause is arrival else f"prompt {arrival.header.rid!r} waited; "
    label = worker.peer or worker.label
    return [Why(f"{waited}to {label}: {why}"), deliver(state, worker.id, header, raw)]


def fan_out(
    state: State,
    session: Session,
    arrival: Arrival,
    *,
    besides: ClientId | None,
    dusk: int | None = None,
) -> list[Effect]:
    """To everyone on the sid but the one who said it; with a `dusk` when it said none."""
    heard = beside(arrival, session.wane, fan=1)
    if dusk is not None:
        heard = heard._replace(dusk=dusk)
    return [deliver(state, listener, heard, arrival.raw) for listener in session.listeners(besides)]


def speak(state: State, session: Session, arrival: Arrival, worker: ClientId) -> list[Effect]:
    """The worker speaks: everyone who listens hears it; a terminal tone ends the turn."""
    effects = fan_out(state, session, arrival, besides=worker)
    if session.is_open:
        state.sessions.heard(session, arrival.at_ms)
        if arrival.header.chi in TERMINAL:
            effects += end(state, session, arrival)
    return effects


def let_go(state: State, session: Session, cause: Arrival) -> list[Effect]:
    """The worker of a turn has it no longer; what it called for and asked for is void."""
    worker = state.clients.get(session.worker) if session.worker else None
    effects: list[Effect] = []
    if worker is not None:
        worker.turns_open = max(0, worker.turns_open - 1)
        for call in state.calls.of_caller(worker.id):
            if call.sid == session.sid:
                state.calls.remove(call)
                effects.append(said.call_cancel(call, "turn-over"))
    for ask in state.asks.of_sid(session.sid):
        state.asks.close(ask, AskState.WITHDRAWN, cause.at_ms)
    return effects


def end(state: State, session: Session, cause: Arrival) -> list[Effect]:
    """Close the turn; what was cancelled while it waited is answered, and the next one starts."""
    effects = let_go(state, session, cause)
    state.sessions.end(session, cause.at_ms)
    effects += [said.cancelled(session.sid, rid) for rid in session.cancelled]
    session.cancelled.clear()
    return effects + next_turn(state, session, cause)


def next_turn(state: State, session: Session, cause: Arrival) -> list[Effect]:
    """Start the oldest prompt that waits."""
    if session.waiting and not session.is_open:
        return start(state, session, state.sessions.next_waiting(session), cause)
    return []


def steer(state: State, arrival: Arrival, client: ClientId) -> list[Effect]:
    """curate, cleanup, petal-cell: to the worker of the sid; to all when nobody knows it."""
    session = state.sessions.get(arrival.header.sid)
    if session is not None and session.worker is not None:
        if not state.knows(session.worker):
            return []
        header = beside(arrival, session.wane)
        return [deliver(state, session.worker, header, arrival.raw)]
    if not arrival.header.sid or arrival.header.chi == Chi.PETAL_CELL:
        return []
    header = beside(arrival, session.wane if session is not None else None)
    return [
        Deliver(worker.id, header, arrival.raw) for worker in state.workers if worker.id != client
    ]


def cancel(state: State, arrival: Arrival, client: ClientId) -> list[Effect]:
    """A caller cancels its call; who drives the sid cancels its turn, what waits and every call.

    A cancel that names a call is never one of the turn: the call may just have been answered. Who
    runs a call of the turn is told here and not left to the worker, which may be slow to end.
    """
    if call_id := arrival.text("callId"):
        call = state.calls.made(client, call_id)
        if call is None:
            return []
        return [deliver(state, call.callee, beside(arrival, None), arrival.raw)]
    session = state.sessions.get(arrival.header.sid)
    if session is None:
        return []
    effects: list[Effect] = []
    callers = {client: None}
    if session.is_open:
        state.sessions.cancel_waiting(session)
        effects += steer(state, arrival, client)
        if session.worker is not None:
            callers[session.worker] = None
    for call in [call for caller in callers for call in state.calls.of_caller(caller)]:
        if call.sid == session.sid and call.callee != client:
            effects.append(said.call_cancel(call, "cancelled"))
    return effects


def cleanup(state: State, arrival: Arrival, client: ClientId) -> list[Effect]:
    """Forget the conversation, here and at its worker; whoever waits for its turn is answered."""
    effects = steer(state, arrival, client)
    session = state.sessions.get(arrival.header.sid)
    if session is None:
        return effects
    if session.is_open:
        state.sessions.cancel_waiting(session)
        rids, session.cancelled = session.cancelled, []
        body = {"finishReason": "cancelled", "reason": "cleanup"}
        effects.append(Emit(Chi.FINISH, body, session.sid))
        effects += [said.cancelled(session.sid, rid) for rid in rids]
        return [*effects, Emit(Chi.CLEANUP, {}, session.sid)]
    return effects + _forget(state, session)


def _forget(state: State, session: Session) -> list[Effect]:
    state.sessions.drop(session.sid)
    return [CaughtUp(watcher, session.sid) for watcher in session.watchers]


def own_cleanup(state: State, arrival: Arrival) -> list[Effect]:
    """Our own cleanup: of a sid that was given up, or of all that nobody used for long."""
    session = state.sessions.get(arrival.header.sid)
    if session is None or session.is_open:
        return []
    return _forget(state, session)


def own_finish(state: State, arrival: Arrival) -> list[Effect]:
    """Our own finish: of a prompt that was cancelled, or of the turn of a sid that is given up."""
    session = state.sessions.get(arrival.header.sid)
    if session is None:
        return []
    effects = fan_out(state, session, arrival, besides=None)
    if session.is_open and arrival.text("reason") == "cleanup":
        effects += end(state, session, arrival)
    return effects


def own_error(state: State, arrival: Arrival) -> list[Effect]:
    """Our own error on a sid: the end of a turn for everyone there."""
    session = state.sessions.get(arrival.header.sid)
    if session is None:
        return []
    effects = fan_out(state, session, arrival, besides=None)
    if session.is_open:
        if arrival.text("code") == WORKER_SILENT:
            effects += let_go(state, session, arrival)
            state.sessions.set_worker(session, None)  # what it may still say is no answer any more
        return effects + end(state, session, arrival)
    return effects + next_turn(state, session, arrival)


def given_up(sid: str, worker: ClientId) -> list[Emit]:
    """The worker of a turn has said nothing for so long that nobody will wait any longer."""
    message = f"the worker said nothing for {SILENT_MS // 60_000} min; ask again"
    cancel = Emit(Chi.CANCEL, {"callee": worker, "reason": SILENT}, sid)
    return [cancel, said.error(sid, Qualifier.WORKER_LOST, message, code=WORKER_SILENT)]


def own_drone(state: State, arrival: Arrival) -> list[Effect]:
    """We ask the worker of a turn for a sign of life."""
    session = state.sessions.get(arrival.header.sid)
    if session is None or session.worker is None or not state.knows(session.worker):
        return []
    return [deliver(state, session.worker, beside(arrival, None), arrival.raw)]


def own_retrofit(state: State, arrival: Arrival) -> list[Effect]:
    """The turn begins again elsewhere: who listens is told, its worker is let go."""
    session = state.sessions.get(arrival.header.sid)
    if session is None or session.prompt is None:
        return []
    effects = fan_out(state, session, arrival, besides=None)
    effects += let_go(state, session, arrival)
    state.sessions.set_worker(session, None)
    return effects + start(state, session, session.prompt, arrival)


def own_cancel(state: State, arrival: Arrival) -> list[Effect]:
    """Our own cancel: of one call whose caller is gone, or of a turn that nobody waits for."""
    callee = arrival.text("callee")
    if callee is not None:
        if not state.knows(callee):
            return []
        return [deliver(state, callee, beside(arrival, None), arrival.raw)]
    session = state.sessions.get(arrival.header.sid)
    if session is None or session.worker is None:
        return []
    state.sessions.adopt(session)
    state.sessions.cancel_waiting(session)
    return [deliver(state, session.worker, beside(arrival, session.wane), arrival.raw)]
