"""One conversation, told from its events alone: who, which model, which tools, how long.

For reading a log; the router has tables of its own. The rules are the router's: the prompts of a
sid run one after the other, and a `finish`, or an `error` that answers no call, ends the turn.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from humd.core.drift import Timing
from humd.core.penny import USAGE
from thrum.chi import OUTPUT, TERMINAL, Chi
from thrum.tones import Body

TURNS_MAX = 10_000
"""Turns told; of more, the newest."""
CALLS_MAX = 1_000
"""Tool calls told of one turn; later ones are only counted."""

_ANYONES = frozenset({Chi.BREATH, Chi.PERF_MARK, Chi.DRONE, Chi.DRONE_RETROFIT})
"""Output that does not say who the worker is: anyone may say it."""
_ONE_ONLY = frozenset({"callId", "callee"})
"""Keys of a cancel that is about one call, or for one worker: what waits goes on waiting."""


class Said(NamedTuple):
    """One event of the conversation."""

    seq: int
    at_ms: int
    client: str | None
    chi: str
    body: Body


@dataclass(slots=True)
class Call:
    """One tool call."""

    name: str
    at_ms: int
    caller: str | None
    ms: int | None = None
    """None while it is not answered."""
    outcome: str = "open"
    by: str | None = None
    """The client that answered."""


@dataclass(slots=True)
class Turn:
    """One prompt and everything until its end."""

    timing: Timing
    asker: str | None
    worker: str | None = None
    end: Said | None = None
    calls: dict[str, Call] = field(default_factory=dict)

    @property
    def outcome(self) -> str:
        """How it ended; `running` while it has not."""
        if self.end is None:
            return "running"
        key = "finishReason" if self.end.chi == Chi.FINISH else "qualifier"
        return str(self.end.body.get(key) or self.end.chi)

    @property
    def tokens(self) -> dict[str, int]:
        """What was spent, as the worker reported it."""
        usage = self.end.body.get("usage") if self.end is not None else None
        found = usage if isinstance(usage, dict) else {}
        return {key: found[key] for key in USAGE if type(found.get(key)) is int}


class Conversation:
    """See the module. `note` takes the events of one sid in their order."""

    def __init__(self, sid: str) -> None:
        self.sid = sid
        self.turns: deque[Turn] = deque(maxlen=TURNS_MAX)
        self.events = 0
        self.first_ms = self.last_ms = 0
        self._waiting: deque[Said] = deque()

    @property
    def _open(self) -> Turn | None:
        last = self.turns[-1] if self.turns else None
        return last if last is not None and last.end is None else None

    def note(self, said: Said) -> None:
        """Take the next event."""
        self.first_ms = self.first_ms or said.at_ms
        self.last_ms = said.at_ms
        self.events += 1
        turn = self._open
        if said.chi == Chi.PROMPT:
            self._waiting.append(said)
            if turn is None:
                self._next(said)
        elif turn is not None:
            self._note_in(turn, said)

    def _note_in(self, turn: Turn, said: Said) -> None:
        """An event while a turn runs."""
        if said.chi == Chi.CLEANUP or (said.chi == Chi.CANCEL and not _ONE_ONLY & said.body.keys()):
            self._waiting.clear()
        call = turn.calls.get(str(said.body.get("callId")))
        if said.chi == Chi.CHUNK:
            if call is None or said.client == call.caller:  # else its tool prints something
                turn.timing.chunk(said.at_ms)
        elif said.chi == Chi.TOOL_CALL:
            turn.timing.calls += 1
            if len(turn.calls) < CALLS_MAX:
                name = said.body.get("toolName") or said.body.get("name")
                turn.calls[str(said.body.get("callId"))] = Call(str(name), said.at_ms, said.client)
        elif said.chi in (Chi.TOOL_RESULT, Chi.ERROR) and call is not None:
            call.ms, call.by = said.at_ms - call.at_ms, said.client
            call.outcome = _outcome_of_call(said)
        elif said.chi == Chi.DRONE_RETROFIT and said.client is None:
            turn.worker = None
        elif said.chi in TERMINAL and not _is_about_another(said):
            self._end(turn, said)
            return
        if turn.worker is None and said.chi in OUTPUT - _ANYONES and call is None:
            turn.worker = said.client

    def _end(self, turn: Turn, said: Said) -> None:
        turn.end = said
        turn.worker = turn.worker or said.client
        self._next(said)

    def _next(self, said: Said) -> None:
        """Begin the turn whose prompt waits, now that `said` lets it."""
        if not self._waiting:
            return
        prompt = self._waiting.popleft()
        sent = prompt.body.get("sentAt")
        timing = Timing(
            self.sid,
            prompt.seq,
            prompt.at_ms,
            said.at_ms,
            sent_ms=sent if type(sent) is int else None,
            model=str(prompt.body["modelId"]) if prompt.body.get("modelId") else None,
        )
        self.turns.append(Turn(timing, prompt.client))

    def view(self, names: dict[str, str]) -> Body:
        """As plain values; `names` has the hive of each client."""
        turns = [_turn_view(turn, names) for turn in self.turns]
        tokens = {key: sum(turn["tokens"].get(key, 0) for turn in turns) for key in USAGE}
        return {
            "sid": self.sid,
            "events": self.events,
            "first_ms": self.first_ms,
            "last_ms": self.last_ms,
            "askers": _once(turn["asker"] for turn in turns),
            "workers": _once(turn["worker"] for turn in turns),
            "models": _once(turn["model"] for turn in turns),
            "tokens": {key: value for key, value in tokens.items() if value},
            "turns": turns,
        }


def _turn_view(turn: Turn, names: dict[str, str]) -> Body:
    def name(client: str | None) -> str | None:
        return names.get(client, client) if client is not None else None

    ended = turn.end
    return {
        "prompt_seq": turn.timing.seq,
        "seq": ended and ended.seq,
        "asker": name(turn.asker),
        "worker": name(turn.worker),
        "model": turn.timing.model,
        "outcome": turn.outcome,
        "started_ms": turn.timing.origin_ms,
        "total_ms": ended and ended.at_ms - turn.timing.origin_ms,
        "phases": turn.timing.phases(ended.at_ms) if ended else None,
        "chunks": turn.timing.chunks,
        "tokens": turn.tokens,
        "calls": [
            {"name": call.name, "ms": call.ms, "outcome": call.outcome, "by": name(call.by)}
            for call in turn.calls.values()
        ],
        "calls_total": turn.timing.calls,
    }


def _is_about_another(said: Said) -> bool:
    """Whether humd says this of a call, or of a prompt that was cancelled while it waited."""
    if said.client is not None:
        return False
    return "callId" in said.body if said.chi == Chi.ERROR else said.body.get("reason") != "cleanup"


def _outcome_of_call(said: Said) -> str:
    if said.chi == Chi.ERROR:
        return str(said.body.get("qualifier") or "error")
    return "error" if said.body.get("isError") is True else "ok"


def _once(values: Iterable[str | None]) -> list[str]:
    return list(dict.fromkeys(value for value in values if value is not None))
