"""What is done about a turn whose worker is silent. Changes nothing; says events.

Only workers that promised it are held to it: they have `drone` among the chis of their hello. Any
output is a sign of life; so is the answer to a `drone`.

    silent for a beat            ask: humd sends the worker a `drone` (verdict retry)
    three asked in vain          dead: the worker is told to cancel, gets no new prompts before it
                                 gives a sign, and the turn goes on elsewhere or ends:
      nobody has read any output of it, and another worker has the model
                                 `drone-retrofit`: the same prompt, on the same sid, elsewhere
      else                       `error` with `worker.lost`

A turn whose output is flowing, and one whose worker is on its way back after a loss, is left alone.
"""

from humd.core.arrivals import Emit
from humd.core.clients import Client
from humd.core.drone import Verdict, assess
from humd.core.sessions import Session
from humd.core.state import State
from humd.core.watch import SILENT, WORKER_SILENT, Turn
from thrum.chi import Chi
from thrum.errors import Qualifier
from thrum.tones import Body


def due(state: State, now_ms: int, *, beat_ms: int) -> list[Emit]:
    """What is to be said now about workers that are silent for `beat_ms` and more."""
    emits: list[Emit] = []
    for sid, turn in state.watch.turns.items():
        if not turn.is_promised or now_ms - turn.sign_ms < beat_ms:
            continue
        session = state.sessions.get(sid)
        worker = state.clients.get(session.worker) if session and session.worker else None
        if session is None or worker is None or not worker.is_connected:
            continue
        found = assess(turn.ledger, now_ms)
        if found.verdict is Verdict.DEAD:
            emits += _give_up(state, session, worker, silent_ms=now_ms - turn.heard_ms)
        else:
            body = {"health": str(found.health), "rhythm_ms": found.rhythm_ms, "worker": worker.id}
            emits.append(Emit(Chi.DRONE, {**body, **_about(turn, session)}, sid))
    return emits


def _give_up(state: State, session: Session, worker: Client, *, silent_ms: int) -> list[Emit]:
    reason = f"the worker gave no sign of life for {silent_ms / 1000:.0f} s"
    cancel = Emit(Chi.CANCEL, {"callee": worker.id, "reason": SILENT}, session.sid)
    if session.prompt is not None and _another(state, session, worker):
        return [cancel, Emit(Chi.DRONE_RETROFIT, {"reason": reason}, session.sid)]
    body = {
        "message": f"{reason}; ask again",
        "qualifier": str(Qualifier.WORKER_LOST),
        "code": WORKER_SILENT,
    }
    return [cancel, Emit(Chi.ERROR, body, session.sid)]


def _another(state: State, session: Session, worker: Client) -> bool:
    """Whether somebody else, who is not silent, could take the turn."""
    return any(
        other.serves(session.model) and other is not worker and other.id not in state.watch.silent
        for other in state.workers
    )


def _about(turn: Turn, session: Session) -> Body:
    """What a `drone` says of the conversation (docs/wire.md, section 5)."""
    ledger = turn.ledger
    return {
        "sigil": ledger.sigil,
        "wane": session.wane,
        "pending_echoes": list(ledger.pending),
        "load": {
            "inflight_tools": ledger.inflight,
            "pending_permissions": ledger.permissions,
            "tokens_burned": ledger.tokens,
        },
    }
