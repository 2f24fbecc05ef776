"""drift: how long each step of a turn took.

A `Timing` is open while its turn runs; its record is one line of `drift/<day>.ndjson`. Times are
those of the log, so a replay gives the same records. The phases of a turn follow one another
without a gap, so they sum to its total:

    front    from the asker's `sentAt` to the log, when it says a plausible one
    queue    until the turn starts: it waits for the one before on its sid
    worker   until the first output
    stream   until the terminal tone
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from thrum.tones import Body

FRONT_MS_MAX = 60_000
"""A `sentAt` further back, or in the future, is another clock and says nothing."""
NAMES_MAX = 64
"""Marks, spans and flags of one turn, each; later names are ignored."""
NAME_CHARS_MAX = 64
THRUMS_MAX = 200
"""Timings of single deliveries kept for one turn."""
SPAN_MS_MAX = 86_400_000
"""A longer span is no plausible one and is ignored."""
FLAG_CHARS_MAX = 256
PHASES = ("front", "queue", "worker", "stream")
CANCELLED = "cancelled"


@dataclass(slots=True)
class Timing:
    """One turn, while it runs."""

    sid: str
    seq: int
    """Log seq of its prompt."""
    logged_ms: int
    started_ms: int
    sent_ms: int | None = None
    worker: str | None = None
    """The hive that serves it."""
    model: str | None = None
    first_ms: int | None = None
    chunks: int = 0
    calls: int = 0
    open_calls: dict[str, int] = field(default_factory=dict)
    marks: dict[str, int] = field(default_factory=dict)
    spans: dict[str, float] = field(default_factory=dict)
    flags: dict[str, str | int | float | bool] = field(default_factory=dict)
    thrums: list[Body] = field(default_factory=list)

    @property
    def origin_ms(self) -> int:
        """When the turn began for the asker."""
        front = self.logged_ms - self.sent_ms if self.sent_ms is not None else -1
        return self.logged_ms - front if 0 <= front <= FRONT_MS_MAX else self.logged_ms

    def chunk(self, at_ms: int) -> None:
        """A piece of output."""
        self.chunks += 1
        if self.first_ms is None:
            self.first_ms = at_ms

    def call(self, call_id: str, at_ms: int) -> None:
        """A tool call sets out."""
        self.calls += 1
        if len(self.open_calls) < NAMES_MAX:
            self.open_calls[call_id] = at_ms

    def answer(self, call_id: str, at_ms: int) -> None:
        """A tool call comes back; time that several take at once counts for each."""
        began = self.open_calls.pop(call_id, None)
        if began is not None:
            self._span("tools", at_ms - began)

    def mark(self, body: Body, at_ms: int) -> None:
        """Take over a `perf-mark`; what does not fit its fields is ignored."""
        name = body.get("mark")
        if _is_name(name) and len(self.marks) < NAMES_MAX:
            self.marks.setdefault(str(name), at_ms - self.origin_ms)
        span, flag, thrum = (_object(body.get(key)) for key in ("span", "flag", "thrum"))
        if _is_name(span.get("name")) and _is_time(span.get("ms")):
            self._span(span["name"], span["ms"])
        if (
            _is_name(flag.get("key"))
            and len(self.flags) < NAMES_MAX
            and _is_flag(flag.get("value"))
        ):
            self.flags[flag["key"]] = flag["value"]
        has_room = len(self.thrums) < THRUMS_MAX
        if thrum.get("to") in ("oc", "nest") and _is_time(thrum.get("ms")) and has_room:
            at = at_ms - self.origin_ms
            self.thrums.append({"to": thrum["to"], "ms": thrum["ms"], "at": at})

    def phases(self, ended_ms: int) -> dict[str, int]:
        """Milliseconds of each phase of a turn that ends now."""
        first_ms = self.first_ms if self.first_ms is not None else ended_ms
        return {
            "front": self.logged_ms - self.origin_ms,
            "queue": self.started_ms - self.logged_ms,
            "worker": first_ms - self.started_ms,
            "stream": ended_ms - first_ms,
        }

    def record(self, seq: int, ended_ms: int, outcome: str) -> Body:
        """The line of a turn that was ended by event `seq`."""
        origin_ms = self.origin_ms
        marks = {"logged": self.logged_ms, "started": self.started_ms, "first": self.first_ms}
        return {
            "sid": self.sid,
            "prompt_seq": self.seq,
            "seq": seq,
            "started_at": origin_ms,
            "ended_at": ended_ms,
            "total_ms": ended_ms - origin_ms,
            "phases": self.phases(ended_ms),
            "outcome": outcome,
            "worker": self.worker,
            "model": self.model,
            "chunks": self.chunks,
            "calls": self.calls,
            "marks": {
                **{name: at - origin_ms for name, at in marks.items() if at is not None},
                **self.marks,
                "wilt": self.marks.get("wilt", ended_ms - origin_ms),
            },
            "spans": self.spans,
            "flags": self.flags,
            "thrums": self.thrums,
        }

    def _span(self, name: str, ms: float) -> None:
        if name in self.spans or len(self.spans) < NAMES_MAX:
            self.spans[name] = self.spans.get(name, 0) + ms


def percentile(values: list[float], percent: int) -> float:
    """The value at index n*p/100, rounded down; `values` are sorted and not empty."""
    return values[min(len(values) * percent // 100, len(values) - 1)]


def aggregate(records: Iterable[Mapping[str, object]]) -> dict[str, dict[str, float]]:
    """Count, p50 and p95 in milliseconds of every name in these records.

    Names are `total`, the phases, then marks, spans and `thrum_to_<to>` as they occur.
    """
    values: dict[str, list[float]] = defaultdict(list)
    for record in records:
        groups = [{"total": record.get("total_ms")}, *(_object(record.get(key)) for key in _TIMED)]
        thrums = record.get("thrums")
        deliveries = map(_object, thrums if isinstance(thrums, list) else ())
        groups += ({f"thrum_to_{one.get('to')}": one.get("ms")} for one in deliveries)
        for group in groups:
            for name, value in group.items():
                if _is_time(value):
                    values[name].append(value)
    return {
        name: {"n": len(some), "p50": percentile(some, 50), "p95": percentile(some, 95)}
        for name, some in ((name, sorted(some)) for name, some in values.items())
    }


_TIMED = ("phases", "spans", "marks")


def _object(value: object) -> Body:
    return value if isinstance(value, dict) else {}


def _is_name(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= NAME_CHARS_MAX


def _is_time(value: object) -> bool:
    return type(value) in (int, float) and 0 <= value <= SPAN_MS_MAX  # type: ignore[operator]


def _is_flag(value: object) -> bool:
    if isinstance(value, str):
        return len(value) <= FLAG_CHARS_MAX
    return isinstance(value, bool | int | float)
