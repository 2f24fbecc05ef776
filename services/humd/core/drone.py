"""drone: a judgement on each conversation, from what was said and heard on it.

A `Ledger` takes down signs of life; `assess` reads it, changes nothing and gives the verdict. What
a verdict leads to is decided in `humd.core.sentinel`.

Health, first match:

    critical   three beats missed; or our wane and theirs differ after a beat was heard;
               or something sent was not echoed within two rhythms
    tense      a permission is asked, more than three tools run, or an echo is awaited
    alert      a tool runs, or tokens were spent
    serene     else

Verdict, first match: `dead` (three beats missed), `drift` (the wanes differ), `retry` (an echo is
past two rhythms and was asked for fewer than three times), else `ok`. `ok` and `retry` become
`swallow` when the text of the turn is suspicious: critical always, heavy and soft only when an
evaluator gives 0.7 or more. The health rule uses the rhythm of the assessment before, the retry
rule the one just computed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from thrum.chi import Chi
from thrum.tones import Body

MISSED_MAX = 3
"""Beats in a row that may fail before a conversation is dead."""
RETRIES_MAX = 3
"""How often an echo is asked for again."""
ECHO_RHYTHMS = 2
"""Rhythms that an echo may take."""
TOOLS_CALM_MAX = 3
"""Tools at once that are nothing special."""
TEXT_CHARS_MAX = 65_536
"""Characters of a turn that are looked at; the rest is not kept."""
TEXT_CHARS_MIN = 20
"""A shorter turn says too little to be suspicious."""
PENDING_MAX = 64
"""Echoes awaited on one conversation; the oldest is given up first."""
SWALLOW_SCORE = 0.7
ECHOED: frozenset[str] = frozenset({Chi.PROMPT, Chi.CANCEL, Chi.RELEASE_PERMIT})
"""What is to be echoed by the other side."""


class Health(StrEnum):
    """How a conversation is."""

    SERENE = "serene"
    ALERT = "alert"
    TENSE = "tense"
    CRITICAL = "critical"


RHYTHM_MS: Mapping[Health, int] = {
    Health.SERENE: 30_000,
    Health.ALERT: 5_000,
    Health.TENSE: 1_000,
    Health.CRITICAL: 500,
}
"""How far apart beats may be."""


class Verdict(StrEnum):
    """What is to be done."""

    OK = "ok"
    RETRY = "retry"
    DRIFT = "drift"
    DEAD = "dead"
    SWALLOW = "swallow"


class Suspicion(StrEnum):
    """How much a text looks like that of a model that lost its context."""

    NONE = "none"
    SOFT = "soft"
    HEAVY = "heavy"
    CRITICAL = "critical"


Classifier = Callable[[str], Suspicion]
Evaluator = Callable[[str], float]


@dataclass(frozen=True, slots=True)
class Pending:
    """Something sent that the other side has yet to echo."""

    chi: str
    at_ms: int
    retries: int = 0


@dataclass(slots=True)
class Ledger:
    """What was said and heard on one sigil."""

    sigil: str
    pending: dict[str, Pending] = field(default_factory=dict)
    beat_ms: int | None = None
    """When the last beat was heard."""
    missed: int = 0
    inflight: int = 0
    permissions: int = 0
    tokens: int = 0
    local_wane: int = 0
    remote_wane: int = 0
    suspicion: Suspicion = Suspicion.NONE
    text: str = ""
    """Of the turn, until the next one begins."""
    rhythm_ms: int = RHYTHM_MS[Health.SERENE]

    def sent(self, chi: str, rid: str, at_ms: int) -> None:
        """We said something; what is to be echoed is awaited."""
        if chi in ECHOED:
            self.pending[rid] = Pending(chi, at_ms)
            if len(self.pending) > PENDING_MAX:
                del self.pending[next(iter(self.pending))]

    def echoed(self, rid: str) -> None:
        """The other side has it."""
        self.pending.pop(rid, None)

    def beat(self, at_ms: int, wane: int | None = None) -> None:
        """A sign of life; a `drone` says the other side's wane too."""
        self.beat_ms, self.missed = at_ms, 0
        if wane is not None:
            self.remote_wane = wane

    def died(self) -> None:
        """The cell is gone or idle: what it had begun is void."""
        self.inflight, self.text, self.suspicion = 0, "", Suspicion.NONE

    def tool(self, change: int) -> None:
        """A tool call set out (+1) or came back (-1)."""
        self.inflight = max(0, self.inflight + change)

    def permission(self, change: int) -> None:
        """A permission was asked for (+1) or settled (-1)."""
        self.permissions = max(0, self.permissions + change)

    def spent(self, tokens: int) -> None:
        self.tokens += tokens

    def said(self, text: str) -> None:
        """The model's text goes on."""
        self.text += text[: max(0, TEXT_CHARS_MAX - len(self.text))]

    def began(self) -> None:
        """A new turn: nothing of the one before is held against it."""
        self.text, self.suspicion, self.tokens = "", Suspicion.NONE, 0

    def ended(self, classify: Classifier) -> None:
        """The turn is over: its text is judged once."""
        if len(self.text) > TEXT_CHARS_MIN:
            self.suspicion = classify(self.text)

    def missed_beat(self) -> None:
        """A beat that was due did not come; whatever is awaited was asked for once more."""
        self.missed += 1
        self.pending = {
            rid: Pending(one.chi, one.at_ms, one.retries + 1) for rid, one in self.pending.items()
        }

    @property
    def differs(self) -> bool:
        """Whether the other side has said a wane that is not ours."""
        return self.beat_ms is not None and self.local_wane != self.remote_wane


@dataclass(frozen=True, slots=True)
class Assessment:
    """The verdict, and what it rests on."""

    verdict: Verdict
    health: Health
    rhythm_ms: int
    reason: str
    raw: Body

    def body(self) -> Body:
        """As it is shown."""
        return {"unified": str(self.verdict), "raw": self.raw}


def assess(ledger: Ledger, now_ms: int, evaluate: Evaluator | None = None) -> Assessment:
    """Judge a conversation as it is now."""
    health = _health(ledger, now_ms)
    rhythm_ms = RHYTHM_MS[health]
    verdict, reason = _verdict(ledger, now_ms, rhythm_ms)
    if verdict in (Verdict.OK, Verdict.RETRY) and _is_swallowed(ledger, evaluate):
        verdict, reason = Verdict.SWALLOW, f"the text looks {ledger.suspicion} out of context"
    raw: Body = {
        "sigil": ledger.sigil,
        "health": str(health),
        "suspicion": str(ledger.suspicion),
        "missed_beats": ledger.missed,
        "inflight_tools": ledger.inflight,
        "pending_permissions": ledger.permissions,
        "pending_echoes": list(ledger.pending),
        "local_wane": ledger.local_wane,
        "remote_wane": ledger.remote_wane,
        "reason": reason,
    }
    return Assessment(verdict, health, rhythm_ms, reason, raw)


def _health(ledger: Ledger, now_ms: int) -> Health:
    if ledger.missed >= MISSED_MAX or ledger.differs:
        return Health.CRITICAL
    if _overdue(ledger, now_ms, ledger.rhythm_ms):
        return Health.CRITICAL
    if ledger.permissions or ledger.inflight > TOOLS_CALM_MAX or ledger.pending:
        return Health.TENSE
    return Health.ALERT if ledger.inflight or ledger.tokens else Health.SERENE


def _verdict(ledger: Ledger, now_ms: int, rhythm_ms: int) -> tuple[Verdict, str]:
    if ledger.missed >= MISSED_MAX:
        return Verdict.DEAD, f"{ledger.missed} beats in a row did not come"
    if ledger.differs:
        return Verdict.DRIFT, f"we are at {ledger.local_wane}, they at {ledger.remote_wane}"
    late = _overdue(ledger, now_ms, rhythm_ms)
    if any(one.retries < RETRIES_MAX for one in late.values()):
        return Verdict.RETRY, f"{len(late)} echoes are late"
    return Verdict.OK, ""


def _overdue(ledger: Ledger, now_ms: int, rhythm_ms: int) -> dict[str, Pending]:
    limit_ms = ECHO_RHYTHMS * rhythm_ms
    return {rid: one for rid, one in ledger.pending.items() if now_ms - one.at_ms > limit_ms}


def _is_swallowed(ledger: Ledger, evaluate: Evaluator | None) -> bool:
    if ledger.suspicion is Suspicion.CRITICAL:
        return True
    is_suspicious = ledger.suspicion is not Suspicion.NONE and evaluate is not None
    return is_suspicious and evaluate is not None and evaluate(ledger.text) >= SWALLOW_SCORE


def flags_nothing(_text: str) -> Suspicion:
    """The classifier that is used unless another one is asked for."""
    return Suspicion.NONE
