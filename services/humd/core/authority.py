"""Who may do what. Asked before a tone is logged; what is refused leaves no record.

- Only who drives a sid may prompt, cancel, clean up or answer permissions there: its owner, or a
full observer. The operator may answer permissions everywhere.
- Only the worker of a sid may speak as the worker. Only who was asked may answer a tool call, and
tell on the way what the tool prints.
- Another humd may answer what it was asked, and begin what it was granted (`core.federation`).
- A tone that the log has already is settled and dropped.
- Nobody may fill a table past its bound.
"""

from collections.abc import Callable

from humd.core import budgets, federation, hellos, peers, sharing
from humd.core.arrivals import Arrival, ClientId, Duplicate, Refusal
from humd.core.calls import ID_CHARS_MAX
from humd.core.clients import Client, door_of
from humd.core.permits import ask_id_of, judge_again
from humd.core.sessions import PROMPTS_WAITING_MAX, WAITING_BYTES_MAX, WATCHERS_MAX, Session
from humd.core.spending import account_of
from humd.core.state import State
from humd.core.tools import tool_of
from thrum.chi import DRIVER, OUTPUT, Chi
from thrum.errors import MalformedTone, Qualifier

DUPLICATE = Duplicate()
TELEMETRY: frozenset[str] = frozenset({Chi.BREATH, Chi.PERF_MARK, Chi.DRONE, Chi.DRONE_RETROFIT})
"""Anyone may say these on any sid; they reach listeners only from its worker."""

TOOL_OUTPUT = "tool_output"
"""The kind of chunk by which a callee tells what its tool prints."""

_OURS: frozenset[str] = frozenset(
    {
        Chi.SNAPSHOT,
        Chi.FORGOTTEN,
        Chi.WITNESSED,
        Chi.KEY_COMMIT,
        Chi.KEY_ROTATE,
        Chi.LOG_REPAIRED,
        Chi.LOG_RESTORED,
    }
)
"""What humd and its log say of themselves, and nobody else."""


def judge(state: State, arrival: Arrival) -> Refusal | Duplicate | None:
    """None when the tone may be logged and applied. Reads the state, changes nothing."""
    try:
        return _judge(state, arrival)
    except MalformedTone as problem:
        return Refusal(Qualifier.TONE_MALFORMED, f"{arrival.header.chi}: {problem.message}")


def _judge(state: State, arrival: Arrival) -> Refusal | Duplicate | None:
    header, client_id = arrival.header, arrival.client
    assert client_id is not None
    client = state.clients.get(client_id)
    door = door_of(client_id)
    link = client if door is None else state.clients.get(door)
    if link is not None and header.seq and link.links.has(header.seq):
        return DUPLICATE
    chi = header.chi
    if client is None:
        if state.clients.is_full:
            return Refusal(Qualifier.QUEUE_OVERFLOW, f"{chi}: too many clients")
    elif door is not None and chi != Chi.HELLO and state.clients.has_logged(client, header.rid):
        return DUPLICATE
    if chi in OUTPUT:
        return federation.judge(state, arrival) or _judge_output(state, arrival)
    body = arrival.body  # what is applied is read, and must be known to be readable before
    if chi == Chi.HELLO:
        return _judge_hello(client, arrival, body.get("hid"))
    if chi in _OURS:
        return Refusal(Qualifier.AUTH_DENIED, f"{chi}: only the daemon says that")
    return federation.judge(state, arrival) or _judge_local(state, arrival, client_id)


def _judge_local(state: State, arrival: Arrival, client: ClientId) -> Refusal | None:
    chi = arrival.header.chi
    if chi == Chi.RELEASE_PERMIT:
        return _judge_release(state, arrival, client)
    if chi in DRIVER:
        return _judge_driver(state, arrival, client)
    if chi in (Chi.TOOL_RESULT, Chi.TENDRIL_RESULT):
        return _judge_answer(state, arrival, client)
    if chi == Chi.TOOL_CALL:
        return _judge_call(state, arrival, client)
    if chi == Chi.ATTACH:
        return _judge_attach(state, arrival, client)
    if chi == Chi.FORGET:
        return _judge_forget(state, arrival, client)
    return None


def _judge_hello(client: Client | None, arrival: Arrival, hid: object) -> Refusal | None:
    """On the bus a hid is proven when joining; a later hello cannot change it."""
    if message := hellos.too_long(arrival.raw):
        return Refusal(Qualifier.FRAME_TOO_LARGE, message)
    if client is None or client.door is not None or client.hid == hid:
        return None
    return Refusal(Qualifier.AUTH_DENIED, "hello: another hid than the one you proved")


def _judge_output(state: State, arrival: Arrival) -> Refusal | None:
    """A worker speaks on its own sid; an error may also answer a call."""
    header, client = arrival.header, arrival.client
    assert client is not None
    session = state.sessions.get(header.sid)
    if session is not None and session.worker == client:
        asks = _ASKS.get(header.chi)
        return asks(state, session, arrival) if asks is not None else None
    if header.chi == Chi.ERROR and "callId" in arrival.body:
        return _judge_answer(state, arrival, client)
    if header.chi == Chi.CHUNK and "callId" in arrival.body:
        return _judge_tool_output(state, arrival, client)
    if header.sid is None or header.chi in TELEMETRY:
        return None
    return Refusal(Qualifier.AUTH_DENIED, f"{header.chi}: you are not the worker of {header.sid!r}")


def _judge_tool_output(state: State, arrival: Arrival, client: ClientId) -> Refusal | None:
    """Who was asked may say what its tool prints, where it was asked, and nothing in other words.

    A delta of text would be taken for the model's.
    """
    asked = state.calls.get(client, arrival.text("callId") or "")
    if asked is None or asked.sid != arrival.header.sid:
        return _judge_answer(state, arrival, client) or Refusal(
            Qualifier.AUTH_DENIED, f"chunk: call {arrival.text('callId')!r} is on another sid"
        )
    if arrival.body.get("chunkType") != TOOL_OUTPUT or "part" in arrival.body:
        return Refusal(Qualifier.AUTH_DENIED, f"chunk: a callee says only {TOOL_OUTPUT!r}")
    return None


def _judge_ask(state: State, session: Session, arrival: Arrival) -> Refusal | None:
    if not session.is_open:
        return Refusal(Qualifier.AUTH_DENIED, "permission-ask: no turn runs on this sid")
    ask_id = ask_id_of(arrival)
    if not ask_id:
        return Refusal(Qualifier.TONE_MALFORMED, "permission-ask: no askId, so nobody could answer")
    if len(ask_id) > ID_CHARS_MAX:
        message = f"permission-ask: an askId has at most {ID_CHARS_MAX} characters"
        return Refusal(Qualifier.TONE_MALFORMED, message)
    if state.asks.get(arrival.header.sid, ask_id) is not None:
        return Refusal(Qualifier.TONE_MALFORMED, f"permission-ask: askId {ask_id!r} is in use")
    if state.asks.is_full:
        return Refusal(Qualifier.QUEUE_OVERFLOW, "permission-ask: too many asks wait")
    return None


def _judge_reach(state: State, session: Session, arrival: Arrival) -> Refusal | None:
    call_id = arrival.text("callId")
    if call_id is None or session.owner is None or session.worker is None:
        return None
    return _judge_call_id(state, call_id, session.worker, session.owner, "tendril-reach")


_ASKS: dict[str, Callable[[State, Session, Arrival], Refusal | None]] = {
    Chi.PERMISSION_ASK: _judge_ask,
    Chi.TENDRIL_REACH: _judge_reach,
}
"""What a worker asks for, and may not always."""


def _judge_driver(state: State, arrival: Arrival, client: ClientId) -> Refusal | None:
    """Prompts and everything else that steers a conversation."""
    header = arrival.header
    if not header.sid:
        if header.chi == Chi.PROMPT:
            return Refusal(Qualifier.PROMPT_NO_SID, "prompt: no sid; choose one and send it again")
        return None
    if header.chi == Chi.PROMPT and (refusal := _judge_prompt(state, arrival)) is not None:
        return refusal
    session = state.sessions.get(header.sid)
    if session is None:
        if header.chi == Chi.PROMPT and state.sessions.is_full:
            return Refusal(Qualifier.PROMPT_QUEUE_FULL, "prompt: too many turns are running")
        return None
    if header.chi == Chi.CANCEL and arrival.text("callId"):
        return None
    if (refusal := _not_driving(session, arrival, client)) is not None:
        return refusal
    if header.chi == Chi.PROMPT and (again := judge_again(state, session, arrival)) is not None:
        return again
    return _judge_waiting(state, session, arrival) if header.chi == Chi.PROMPT else None


def _judge_waiting(state: State, session: Session, arrival: Arrival) -> Refusal | None:
    """Whether one more prompt may wait for the turn of its sid."""
    if session.is_full:
        message = f"prompt: {PROMPTS_WAITING_MAX} wait already; cancel or let it end"
        return Refusal(Qualifier.PROMPT_QUEUE_FULL, message)
    waiting_bytes = state.sessions.waiting_bytes + len(arrival.raw)
    if session.is_open and waiting_bytes > WAITING_BYTES_MAX:
        message = f"prompt: {WAITING_BYTES_MAX} bytes of prompts wait already; let turns end"
        return Refusal(Qualifier.PROMPT_QUEUE_FULL, message)
    return None


def _judge_prompt(state: State, arrival: Arrival) -> Refusal | None:
    """What a prompt says, whoever says it."""
    if len(arrival.text("modelId") or "") > ID_CHARS_MAX:
        message = f"prompt: a modelId has at most {ID_CHARS_MAX} characters"
        return Refusal(Qualifier.TONE_MALFORMED, message)
    tools = arrival.body.get("tools")
    if isinstance(tools, list) and len(tools) > hellos.TOOLS_MAX:
        return Refusal(Qualifier.TONE_MALFORMED, f"prompt: at most {hellos.TOOLS_MAX} tools")
    return peers.judge(state, arrival) or _judge_budget(state, arrival)


def _judge_budget(state: State, arrival: Arrival) -> Refusal | None:
    if (wrong := budgets.problem_of(arrival.body.get("account"))) is not None:
        return Refusal(Qualifier.TONE_MALFORMED, f"prompt: account: {wrong}")
    limits = account_of(arrival.body).get("limits")
    if not limits and not state.rules:
        return None
    hold = state.spending.hold_of(arrival, state.clients, state.default_model)
    rules = budgets.rules_for(hold, state.rules, limits)
    return budgets.judge(state.spending, hold, rules, unknown_price=state.basis.unknown_price)


def _not_driving(session: Session, arrival: Arrival, client: ClientId) -> Refusal | None:
    """Why `client` may not steer a conversation, or None."""
    chi = arrival.header.chi
    if session.may_drive(client):
        return None
    if session.only_hears(client):
        return Refusal(Qualifier.HEAR_ONLY_DENIED, f"{chi}: you attached to listen only")
    return Refusal(Qualifier.AUTH_DENIED, f"{chi}: {session.sid!r} is driven by someone else")


def _judge_release(state: State, arrival: Arrival, client: ClientId) -> Refusal | None:
    """Who drives the sid answers its asks, or the operator; and only while they wait."""
    ask = state.asks.get(arrival.header.sid, ask_id_of(arrival))
    session = state.sessions.get(ask.sid if ask is not None else arrival.header.sid)
    known = state.clients.get(client)
    if session is not None and not (known is not None and known.is_operator):
        refusal = _not_driving(session, arrival, client)
        if refusal is not None:
            return refusal
    if ask is None:
        name = ask_id_of(arrival)
        return Refusal(
            Qualifier.PERMIT_EXPIRED, f"release-permit: no ask {name!r} waits; it may have expired"
        )
    return None


def _judge_forget(state: State, arrival: Arrival, client: ClientId) -> Refusal | None:
    """A person at the door may have any conversation forgotten, a bee those that it drives.

    Nobody may while somebody else's turn runs there.
    """
    sid = arrival.header.sid
    if not sid:
        return Refusal(Qualifier.TONE_MALFORMED, "forget: no sid, so nothing is named")
    session = state.sessions.get(sid)
    if session is not None and session.may_drive(client):
        return None
    if session is not None and session.is_open:
        return Refusal(
            Qualifier.AUTH_DENIED, f"forget: a turn runs on {sid!r}; cancel it, or let it end"
        )
    if door_of(client) is None:
        return Refusal(Qualifier.AUTH_DENIED, f"forget: {sid!r} is not yours")
    return None


def _judge_answer(state: State, arrival: Arrival, client: ClientId) -> Refusal | None:
    """Only who was asked may answer, and once."""
    call_id = arrival.text("callId")
    if call_id is not None and state.calls.get(client, call_id) is not None:
        return None
    session = state.sessions.get(arrival.header.sid)
    chi = arrival.header.chi
    if session is not None and session.only_hears(client):
        return Refusal(Qualifier.HEAR_ONLY_DENIED, f"{chi}: you attached to listen only")
    return Refusal(Qualifier.AUTH_DENIED, f"{chi}: no call {call_id!r} waits for your answer")


def _judge_call(state: State, arrival: Arrival, client: ClientId) -> Refusal | None:
    header = arrival.header
    session = state.sessions.get(header.sid)
    is_worker = session is not None and session.worker == client
    if session is not None and not is_worker:
        if session.only_hears(client):
            return Refusal(Qualifier.HEAR_ONLY_DENIED, "tool-call: you attached to listen only")
        if not session.may_drive(client):
            return Refusal(Qualifier.AUTH_DENIED, f"tool-call: {header.sid!r} is not yours")
    if is_worker and session is not None and session.open_tools:
        offer = state.offer_of(session, client, tool_of(arrival))
        if offer is not None and not budgets.is_open(offer.name, session.open_tools):
            return Refusal(
                Qualifier.AUTH_DENIED, f"tool-call: the key does not open {offer.name!r}"
            )
    call_id = arrival.text("callId")
    if not call_id:
        return Refusal(
            Qualifier.TONE_MALFORMED, "tool-call: no callId, so no answer could reach you"
        )
    if session is None and header.sid and state.sessions.is_full:
        return Refusal(Qualifier.QUEUE_OVERFLOW, "tool-call: too many turns are running")
    tool = tool_of(arrival)
    callee = state.callee_of(session, client, tool) or client
    offer = state.offer_of(session, client, tool)
    there = peers.callee(state, session, client, tool, offer)
    if there is None and offer is not None:
        there = sharing.chosen(state, session, arrival, offer)
    if isinstance(there, Client):
        callee = there.id
    away = state.destination(header.to)
    if away is not None and (peer := state.clients.peer(away)) is not None:
        callee = peer.id
    return _judge_call_id(state, call_id, client, callee, "tool-call")


def _judge_call_id(
    state: State, call_id: str, caller: ClientId, callee: ClientId, chi: str
) -> Refusal | None:
    """An id names one call of its caller, and one of its callee."""
    if len(call_id) > ID_CHARS_MAX:
        message = f"{chi}: a callId has at most {ID_CHARS_MAX} characters"
        return Refusal(Qualifier.TONE_MALFORMED, message)
    if state.calls.is_full:
        return Refusal(Qualifier.QUEUE_OVERFLOW, f"{chi}: too many calls wait for answers")
    if state.calls.made(caller, call_id) or state.calls.get(callee, call_id):
        return Refusal(Qualifier.TONE_MALFORMED, f"{chi}: callId {call_id!r} is in use")
    return None


def _judge_attach(state: State, arrival: Arrival, client: ClientId) -> Refusal | None:
    header = arrival.header
    session = state.sessions.get(header.sid)
    if session is None:
        if header.sid and state.sessions.is_full:
            return Refusal(Qualifier.QUEUE_OVERFLOW, "attach: too many turns are running")
    elif len(session.watchers) >= WATCHERS_MAX and client not in session.watchers:
        return Refusal(Qualifier.QUEUE_OVERFLOW, f"attach: {WATCHERS_MAX} are attached already")
    return None
