"""Files computed from the log, for people and tools; deleting one loses nothing.

    bees.json      who is connected
    penny.json     lifetime counters
    drift/         how long turns took

None of them is ever in the way of routing: what cannot be written is counted and tried again.
"""

import logging
from collections.abc import Callable, Iterable
from pathlib import Path

import orjson

from humd.core.arrivals import Timed
from humd.core.asks import Ask, Asks
from humd.core.clients import Client
from humd.core.state import State
from humd.edge.counters import Counters, replace
from humd.edge.drifts import DriftFiles
from nest.metrics import Registry
from nest.paths import Paths
from thrum.errors import SettingsRefused
from thrum.tones import Body

ASKS_BYTES_MAX = 8 * 1024 * 1024
"""Of a list of asks, about: half of what a frame takes."""
ASK_BYTES = 512
"""Of one of them, beside its sid and its own name."""
PRUNE_SECONDS = 3_600.0
"""Between two looks for timing records that are too old."""

log = logging.getLogger("humd.projections")


class Projections:
    """See the module."""

    def __init__(self, paths: Paths, registry: Registry, *, drift_days: int) -> None:
        self._bees_json = paths.bees_json
        self._generation = -1
        self._drift = DriftFiles(paths.drift, retention_days=drift_days)
        self._counters = Counters(paths.penny_json, paths.penny_copy)
        self._next_prune = 0.0
        self._failures = registry.counter(
            "hum_projection_failures_total", "Writes of computed files that failed.", ("file",)
        )
        self._dropped = registry.counter(
            "hum_drift_dropped_total", "Timing records beyond a day's bound."
        )
        self._turns = registry.counter("hum_turns_total", "Turns that ended.", ("outcome",))
        self._seconds = registry.histogram("hum_turn_seconds", "From the asker to the end.")
        self._phases = registry.histogram(
            "hum_turn_phase_seconds", "Steps of a turn; they sum to it.", ("phase",)
        )
        self._suspicious = registry.counter(
            "hum_turns_suspicious_total", "Turns whose text looks out of context.", ("tier",)
        )
        self._lifetime = registry.gauge("hum_penny", "Lifetime counters.", ("counter",))

    def begin(self) -> None:
        """Nobody is connected; find out what earlier runs have written."""
        self._try("bees.json", lambda: _write_bees(self._bees_json, []))
        self._try("drift", self._drift.open)

    def booted(self, state: State) -> None:
        """The log is replayed."""
        self._counters.open(state.watch.penny.counters)

    def drift_written(self) -> tuple[int, int]:
        """Seq and end of the newest timing record; all up to it are on disk, or counted."""
        self._try("drift", self._drift.flush)
        return self._drift.newest

    def has_drift(self, seq: int, ended_ms: int, now_ms: int) -> bool:
        """Whether the timing records up to this one are on disk, or too old to be kept."""
        return self._drift.has(seq, ended_ms, now_ms)

    def timed(self, ended: Timed, now_ms: int, *, is_live: bool) -> None:
        """A turn's end is durable."""
        record = ended.record
        if ended.is_kept:
            self._drift.add(record, now_ms)
            if self._drift.is_full:
                self._try("drift", self._drift.flush)
        if is_live:
            self._turns.labels(record["outcome"]).inc()
            self._seconds.observe(record["total_ms"] / 1000)
            if "suspicion" in record:
                self._suspicious.labels(record["suspicion"]).inc()
            for phase, spent_ms in record["phases"].items():
                self._phases.labels(phase).observe(spent_ms / 1000)

    def tick(self, state: State, now: float, now_ms: int, *, next_seq: int, durable_seq: int
             ) -> None:  # fmt: skip
        """Write what changed."""
        if self._generation != state.clients.generation:
            self._generation = state.clients.generation
            self._try("bees.json", lambda: _write_bees(self._bees_json, state.clients.bees()))
        self._try("drift", self._drift.flush)
        if now >= self._next_prune:
            self._next_prune = now + PRUNE_SECONDS
            self._try("drift", lambda: self._drift.prune(now_ms))
        counted = state.watch.penny.counters
        self._try(
            "penny.json",
            lambda: self._counters.tick(
                counted, next_seq=next_seq, durable_seq=durable_seq, now=now
            ),
        )

    def end(self, state: State, *, is_durable: bool) -> None:
        """Humd stops: nobody is connected any more."""
        self._try("bees.json", lambda: _write_bees(self._bees_json, []))
        self._try("drift", self._drift.flush)
        if is_durable:
            self._try("penny.json", lambda: self._counters.close(state.watch.penny.counters))

    def measure(self, state: State) -> None:
        """Bring the metrics up to date."""
        self._dropped.inc(self._drift.dropped - self._dropped.value)
        for name, value in self._counters.total(state.watch.penny.counters).items():
            self._lifetime.labels(name).set(value)

    def _try(self, file: str, write: Callable[[], object]) -> None:
        try:
            write()
        except (OSError, SettingsRefused) as problem:
            self._failures.labels(file).inc()
            log.warning("projection.failed", extra={"file": file, "reason": str(problem)})


def _write_bees(path: Path, bees: Iterable[Client]) -> None:
    """Replace `bees.json`: client id to manifest, of the bees that are connected."""
    content = {bee.id: _expressible(bee.manifest) for bee in bees if bee.is_connected}
    options = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
    replace(path, orjson.dumps(content, option=options))


def asks_of(asks: Asks) -> list[Body]:
    """Every permission-ask that waits, and the latest that are over; of very many the newest."""
    room, newest = ASKS_BYTES_MAX, list[Ask]()
    for ask in reversed(asks.listed()):
        room -= ASK_BYTES + 4 * len(ask.sid) + 4 * len(ask.ask_id)
        if room < 0:
            break
        newest.append(ask)
    return [
        {
            "id": ask.id,
            "askId": ask.ask_id,
            "sid": ask.sid,
            "tool": ask.tool,
            "state": str(ask.state),
            "asked_ms": ask.asked_ms,
            "due_ms": ask.due_ms,
            "over_ms": ask.over_ms or None,
            "decided_by": ask.decided_by,
        }
        for ask in reversed(newest)
    ]


def _expressible(manifest: Body) -> Body:
    """The manifest, or its name alone when JSON cannot express what a bee has put there."""
    try:
        orjson.dumps(manifest)
    except orjson.JSONEncodeError:
        return {"name": manifest["name"]}
    return manifest
