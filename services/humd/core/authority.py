"""Who may do what. Asked before a tone is logged; what is refused leaves no record.

- Only who drives a sid may prompt, cancel, clean up or answer permissions there: its owner, or a
full observer.
- Only the worker of a sid may speak as the worker. Only who was asked may answer a tool call.
- A tone that the log has already is settled and dropped.
"""

from humd.core.arrivals import Arrival, Duplicate, Refusal
from humd.core.clients import Client, door_of
from humd.core.sessions import PROMPTS_WAITING_MAX
from humd.core.state import State
from thrum.chi import DRIVER, OUTPUT, WORK, Chi
from thrum.errors import MalformedTone, Qualifier

DUPLICATE = Duplicate()
_ONLY_THE_LOG: frozenset[str] = frozenset({Chi.FORGOTTEN, Chi.WITNESSED})
"""What thehum alone may say; it does not come through here."""
_TELEMETRY: frozenset[str] = frozenset({Chi.BREATH, Chi.PERF_MARK, Chi.DRONE, Chi.DRONE_RETROFIT})
"""Anyone may say these on any sid; they reach listeners only from its worker."""


def judge(state: State, arrival: Arrival) -> Refusal | Duplicate | None:
    """None when the tone may be logged and applied. Reads the state, changes nothing."""
    try:
        return _judge(state, arrival)
    except MalformedTone as problem:
        return Refusal(Qualifier.TONE_MALFORMED, f"{arrival.header.chi}: {problem.message}")


def _judge(state: State, arrival: Arrival) -> Refusal | Duplicate | None:
    header, client_id = arrival.header, arrival.client
    assert client_id is not None
    link = state.clients.get(door_of(client_id) or client_id)
    if link is not None and 0 < header.seq <= link.link:
        return DUPLICATE
    client = state.clients.get(client_id)
    if client is not None and header.rid in client.known_rids and header.chi != Chi.HELLO:
        return DUPLICATE
    chi = header.chi
    if chi in OUTPUT:
        return _judge_output(state, arrival)
    body = arrival.body  # what is applied is read, and must be known to be readable before
    if chi in _ONLY_THE_LOG:
        return Refusal(Qualifier.AUTH_DENIED, f"{chi}: only the log says so")
    if chi == Chi.FORGET:
        return _judge_forget(state, arrival)
    if chi == Chi.HELLO:
        return _judge_hello(client, arrival, body.get("hid"))
    if chi in DRIVER:
        return _judge_driver(state, arrival)
    if chi == Chi.TOOL_RESULT or chi == Chi.TENDRIL_RESULT:
        return _judge_answer(state, arrival)
    if chi in WORK:
        return _judge_work(state, arrival)
    return None


def _judge_hello(client: Client | None, arrival: Arrival, hid: object) -> Refusal | None:
    """On the bus a hid is proven when joining; a later hello cannot change it."""
    if client is None or client.door is not None or client.hid == hid:
        return None
    return Refusal(Qualifier.AUTH_DENIED, "hello: another hid than the one you proved")


def _judge_output(state: State, arrival: Arrival) -> Refusal | None:
    """A worker speaks on its own sid; an error may also answer a call."""
    header = arrival.header
    session = state.sessions.get(header.sid)
    if session is not None and session.worker == arrival.client:
        return None
    if header.chi == Chi.ERROR and "callId" in arrival.body:
        return _judge_answer(state, arrival)
    if header.sid is None or header.chi in _TELEMETRY:
        return None
    return Refusal(Qualifier.AUTH_DENIED, f"{header.chi}: you are not the worker of {header.sid!r}")


def _judge_driver(state: State, arrival: Arrival) -> Refusal | None:
    """Prompts and everything else that steers a conversation."""
    header, client = arrival.header, arrival.client
    assert client is not None
    if not header.sid:
        if header.chi == Chi.PROMPT:
            return Refusal(Qualifier.PROMPT_NO_SID, "prompt: no sid; choose one and send it again")
        return None
    session = state.sessions.get(header.sid)
    if session is None:
        if header.chi == Chi.PROMPT and state.sessions.is_full:
            return Refusal(Qualifier.PROMPT_QUEUE_FULL, "prompt: too many turns are running")
        return None
    if header.chi == Chi.CANCEL and arrival.text("callId"):
        return None
    if not session.may_drive(client):
        if session.watchers.get(client):
            return Refusal(Qualifier.HEAR_ONLY_DENIED, f"{header.chi}: you attached to listen only")
        return Refusal(
            Qualifier.AUTH_DENIED, f"{header.chi}: {header.sid!r} is driven by someone else"
        )
    if header.chi == Chi.PROMPT and len(session.waiting) >= PROMPTS_WAITING_MAX:
        return Refusal(
            Qualifier.PROMPT_QUEUE_FULL,
            f"prompt: {PROMPTS_WAITING_MAX} wait already; cancel or let it end",
        )
    return None


def _judge_forget(state: State, arrival: Arrival) -> Refusal | None:
    """A person at the door may have any conversation forgotten, a bee those that it drives.

    Nobody may while somebody else's turn runs there.
    """
    sid, client = arrival.header.sid, arrival.client
    assert client is not None
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


def _judge_answer(state: State, arrival: Arrival) -> Refusal | None:
    """Only who was asked may answer, and once."""
    client, call_id = arrival.client, arrival.text("callId")
    assert client is not None
    if call_id is not None and state.calls.get(client, call_id) is not None:
        return None
    session = state.sessions.get(arrival.header.sid)
    if session is not None and session.watchers.get(client) and session.owner != client:
        return Refusal(Qualifier.HEAR_ONLY_DENIED, "tool-result: you attached to listen only")
    return Refusal(
        Qualifier.AUTH_DENIED, f"{arrival.header.chi}: no call {call_id!r} waits for your answer"
    )


def _judge_work(state: State, arrival: Arrival) -> Refusal | None:
    """Tool calls and attachments (prompts are judged as driving)."""
    header, client = arrival.header, arrival.client
    assert client is not None
    if header.chi != Chi.TOOL_CALL:
        return None
    session = state.sessions.get(header.sid)
    is_worker = session is not None and session.worker == client
    if session is not None and not is_worker and not session.may_drive(client):
        return Refusal(Qualifier.AUTH_DENIED, f"tool-call: {header.sid!r} is not yours")
    call_id = arrival.text("callId")
    if not call_id:
        return Refusal(
            Qualifier.TONE_MALFORMED, "tool-call: no callId, so no answer could reach you"
        )
    if state.calls.is_full:
        return Refusal(Qualifier.QUEUE_OVERFLOW, "tool-call: too many calls wait for answers")
    tool = arrival.text("toolName") or arrival.text("name") or ""
    callee = state.callee_of(session, client, tool) or client
    if state.calls.made(client, call_id) or state.calls.get(callee, call_id):
        return Refusal(Qualifier.TONE_MALFORMED, f"tool-call: callId {call_id!r} is in use")
    return None
