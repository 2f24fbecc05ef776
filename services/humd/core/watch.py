"""What is counted and judged about turns, from the same events that route them.

`Watch.note` sees each event after it took effect; so live and replay give the same timings,
counters and verdicts. It keeps something only for turns that run, and counters. It changes no
route; what has to be done about a turn (`humd.core.sentinel`) is said as an event of its own.
"""

from dataclasses import dataclass

from humd.core import penny
from humd.core.arrivals import Arrival, ClientId, Effect, Timed
from humd.core.clients import Client, Clients
from humd.core.drift import CANCELLED, Timing
from humd.core.drone import Classifier, Ledger, flags_nothing
from humd.core.sessions import Session
from thrum.chi import OUTPUT, Chi
from thrum.errors import MalformedTone
from thrum.ids import sigil
from thrum.tones import Body
from thrum.wane import WaneTracker

REPEATED_BYTES_MAX = 256 * 1024
"""A longer prompt is not kept for a second try."""
OUTCOME_CHARS_MAX = 64
SNAPSHOT_BYTES_MAX = 16 * 1024
"""A longer snapshot of counters is ignored: the log keeps it beside itself, and a replay would not
see it."""

SILENT = "silent"
"""Why humd cancels a turn whose worker gives no sign of life."""

WORKER_SILENT = "worker_silent"
"""The code of the error that ends such a turn."""

_NOTHING: list[Effect] = []
_CHUNK = str(Chi.CHUNK)
_CELL_OVER = frozenset({"cell-died", "cell-evicted", "cell-idle"})


@dataclass(slots=True)
class Turn:
    """A turn that runs: its timing, and what is known of its worker's health."""

    timing: Timing
    ledger: Ledger
    is_promised: bool
    """Whether the worker promised beats: it has `drone` among its chis."""
    heard_ms: int
    """The last sign of life from the worker; at first, when it got the prompt."""
    sign_ms: int
    """The same, or when it was last asked for one."""


class Watch:
    """See the module."""

    def __init__(self) -> None:
        self.turns: dict[str, Turn] = {}
        """Turns that run, by sid. At most one for each open session."""
        self.penny = penny.Penny()
        self.wanes = WaneTracker()
        self.silent: set[ClientId] = set()
        """Workers that were given up and have not spoken since: new prompts go to others first."""
        self.nest = ""
        self.classify: Classifier = flags_nothing
        """Both are the state's to set (`State.stand_on`)."""

    def note(self, arrival: Arrival, session: Session | None, clients: Clients) -> list[Effect]:
        """Take down one event; `session` is that of its sid, as it is now."""
        header = arrival.header
        sid = header.sid
        if self.silent:
            self.silent.discard(arrival.client or "")
        if sid is None:
            return self._note_other(arrival)
        turn = self.turns.get(sid)
        if header.chi == _CHUNK:
            if turn is not None and session is not None and session.worker == arrival.client:
                turn.timing.chunk(arrival.at_ms)
                self._note_sign(turn, arrival, session)
            return _NOTHING
        self._note_other(arrival)
        effects = _NOTHING
        if turn is not None and not _is_on(turn, session):
            effects, turn = self._end(turn, arrival), None
        if turn is not None:
            self._note_turn(turn, arrival, session, clients)
        elif session is not None and session.is_open:
            self._begin(arrival, session, clients)
        return effects

    def sigil(self, sid: str) -> str:
        """The short name of a conversation here."""
        return sigil(sid, self.nest)

    def blank(self, sid: str) -> None:
        """Keep nothing of the text of a sid: its bodies were forgotten."""
        if (turn := self.turns.get(sid)) is not None:
            turn.ledger.text = ""

    def wane_of(self, sid: str) -> int:
        """Where the count of a conversation stands that is not in memory."""
        return self.wanes.get(self.sigil(sid))

    def keep_wane(self, sid: str, wane: int) -> None:
        """Remember how far a conversation got that leaves the memory."""
        if wane:
            self.wanes.rise(self.sigil(sid), wane)

    def _note_other(self, arrival: Arrival) -> list[Effect]:
        """What is counted whether or not a turn runs."""
        chi = arrival.header.chi
        if chi == Chi.PROMPT:
            self.penny.merge(_body(arrival).get("pennyDelta"))
        elif chi == Chi.TENDRIL_RESULT:
            self.penny.add(penny.TASKS)
        elif chi == Chi.CURATE:
            self.penny.add(penny.CURATES)
        elif arrival.client is None and chi in (Chi.CANCEL, Chi.BEE_RETRACT):
            self._note_loss(_body(arrival))
        elif chi == Chi.WANE_SYNC and len(arrival.raw) <= SNAPSHOT_BYTES_MAX:
            snapshot = _body(arrival).get("snapshot")
            self.wanes.merge(snapshot if isinstance(snapshot, dict) else {})
        return _NOTHING

    def _note_loss(self, body: Body) -> None:
        """Humd has given a worker up, or one that it had given up is gone."""
        worker = body.get("callee")
        if body.get("reason") == SILENT and isinstance(worker, str):
            self.silent.add(worker)
            self.penny.add(penny.WITHERS)
        if "client" in body:
            self.silent.discard(str(body["client"]))

    def _begin(self, arrival: Arrival, session: Session, clients: Clients) -> None:
        """A turn has started, by its prompt or by what let its prompt start."""
        prompt = session.prompt or arrival
        worker = clients.get(session.worker) if session.worker else None
        sent = _body(prompt).get("sentAt")
        timing = Timing(
            session.sid,
            session.opened_seq,
            prompt.at_ms,
            arrival.at_ms,
            sent_ms=sent if type(sent) is int else None,
            worker=worker.name if worker is not None else None,
            model=session.model,
        )
        turn = Turn(
            timing,
            Ledger(self.sigil(session.sid)),
            worker is not None and _promises(worker),
            arrival.at_ms,
            arrival.at_ms,
        )
        turn.ledger.sent(Chi.PROMPT, prompt.header.rid or "", arrival.at_ms)
        self.turns[session.sid] = turn
        if not turn.is_promised or len(prompt.raw) > REPEATED_BYTES_MAX:
            session.prompt = None

    def _note_turn(
        self, turn: Turn, arrival: Arrival, session: Session | None, clients: Clients
    ) -> None:
        """Something happened on the sid of a turn that goes on."""
        chi, at_ms, timing, ledger = arrival.header.chi, arrival.at_ms, turn.timing, turn.ledger
        assert session is not None
        is_workers = arrival.client is not None and arrival.client == session.worker
        body = _body(arrival)
        call_id = body.get("callId")
        if chi == Chi.TOOL_CALL:
            timing.call(str(call_id), at_ms)
            ledger.tool(+1)
        elif chi in (Chi.TOOL_RESULT, Chi.ERROR):
            timing.answer(str(call_id), at_ms)
            ledger.tool(-1)
        elif chi == Chi.PERMISSION_ASK:
            ledger.permission(+1)
        elif chi == Chi.RELEASE_PERMIT:
            ledger.permission(-1)
        elif chi == Chi.PERF_MARK and arrival.client in (session.worker, session.owner):
            timing.mark(body, at_ms)
        elif chi == Chi.PULSE and body.get("kind") in _CELL_OVER:
            ledger.died()
        elif chi == Chi.DRONE and arrival.client is None:
            ledger.missed_beat()
            turn.sign_ms = at_ms
        elif chi == Chi.DRONE_RETROFIT and arrival.client is None:
            self._begin_again(turn, at_ms, session, clients)
        if is_workers and (chi in OUTPUT or chi == Chi.TOOL_CALL):
            self._note_sign(turn, arrival, session)

    def _begin_again(self, turn: Turn, at_ms: int, session: Session, clients: Clients) -> None:
        """The turn was given to another worker: its time goes on, its signs begin anew."""
        worker = clients.get(session.worker) if session.worker else None
        turn.timing.worker = worker.name if worker is not None else None
        turn.is_promised = worker is not None and _promises(worker)
        turn.heard_ms = turn.sign_ms = at_ms
        turn.ledger = Ledger(turn.ledger.sigil)
        if not turn.is_promised:
            session.prompt = None

    def _note_sign(self, turn: Turn, arrival: Arrival, session: Session | None) -> None:
        """The worker lives: whatever was sent to it has arrived."""
        turn.heard_ms = turn.sign_ms = arrival.at_ms
        ledger = turn.ledger
        if ledger.pending or ledger.missed or arrival.header.wane is not None:
            ledger.pending.clear()
            ledger.beat(arrival.at_ms, arrival.header.wane)
        if turn.timing.first_ms is not None and session is not None:
            session.prompt = None  # the asker has read of it: it can no longer be begun again
        if self.classify is not flags_nothing and arrival.header.chi == _CHUNK:
            delta = _body(arrival).get("delta")
            ledger.said(delta if isinstance(delta, str) else "")

    def _end(self, turn: Turn, arrival: Arrival) -> list[Effect]:
        """The event ended the turn; what it spent is counted, its timing goes to disk."""
        del self.turns[turn.timing.sid]
        self.penny.add(penny.BLOOMS)
        tokens = self.penny.spend(_body(arrival).get("usage"))
        turn.ledger.spent(tokens)
        turn.ledger.ended(self.classify)
        outcome = _outcome(arrival)
        record = turn.timing.record(arrival.seq, arrival.at_ms, outcome)
        record["tokens"] = tokens
        if str(turn.ledger.suspicion) != "none":
            record["suspicion"] = str(turn.ledger.suspicion)
        return [Timed(record, is_kept=outcome != CANCELLED)]


def _is_on(turn: Turn, session: Session | None) -> bool:
    return session is not None and session.is_open and session.opened_seq == turn.timing.seq


def _promises(worker: Client) -> bool:
    """Whether it said that it answers to a `drone`."""
    return Chi.DRONE in worker.manifest.get("chis", ())


def _outcome(arrival: Arrival) -> str:
    """How a turn ended: its finish reason, or the qualifier of its error."""
    keys: dict[str, str] = {Chi.FINISH: "finishReason", Chi.ERROR: "qualifier"}
    key = keys.get(arrival.header.chi)
    if key is None:
        return CANCELLED
    said = _body(arrival).get(key)
    return said[:OUTCOME_CHARS_MAX] if isinstance(said, str) and said else arrival.header.chi


def _body(arrival: Arrival) -> Body:
    """The body; empty when it is not readable, which routing need not have noticed."""
    try:
        return arrival.body
    except MalformedTone:
        return {}
