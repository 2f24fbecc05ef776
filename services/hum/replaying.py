"""The state of the router, computed anew from the files of the log, and compared with what it said.

Nothing is written and no daemon is needed. Where the log begins with its first event so does the
replay; otherwise, or when asked to, it begins with a snapshot that an event of the log tells of.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson

from hum.beside import Beside
from hum.log_files import Files, fields_of
from humd.core import router
from humd.core.arrivals import Arrival
from humd.core.replay import arrival_of
from humd.core.snapshot import LeafLines, NotASnapshot, Snapshot, read_snapshot
from humd.core.state import State
from thehum.core.keeping import place_of
from thehum.core.names import SNAPSHOTS_DIR, snapshot_name, snapshot_seq
from thrum.chi import Chi
from thrum.errors import LocalError

SHOW_EVERY = 10_000
"""Events between two looks at how far it is."""
_NEEDLE = b'"chi":"' + Chi.SNAPSHOT.encode() + b'"'


@dataclass(slots=True)
class Compared:
    """One snapshot that the log tells of, and what the replay came to there."""

    event_seq: int
    at_seq: int
    said: str
    found: str

    @property
    def is_same(self) -> bool:
        return self.said == self.found


@dataclass(slots=True)
class Replayed:
    """What a replay came to."""

    from_seq: int
    """It began behind this event; 0 is the beginning."""
    to_seq: int
    root: str
    leaves: dict[str, int]
    """How many of each kind."""
    compared: list[Compared] = field(default_factory=list)

    @property
    def different(self) -> list[Compared]:
        return [one for one in self.compared if not one.is_same]


def replay(
    log: Files, *, to_seq: int | None, from_snapshot: bool, progress: Callable[[int], None]
) -> Replayed:
    """Replay the log up to `to_seq`, or its end. Raises `LocalError` when there is no beginning."""
    said = _said_in(log, to_seq)
    with Beside(log.root) as beside:
        state, last_seq = State(), 0
        if from_snapshot or log.firsts[0] != 1:
            state, last_seq = _begin(log, said, beside, newest=from_snapshot, to_seq=to_seq)
        from_seq, compared = last_seq, list[Compared]()
        for seq, line in log.lines_from(last_seq + 1):
            if to_seq is not None and seq > to_seq:
                break
            router.apply(state, arrival_at(line, beside))
            last_seq = seq
            if seq in said:
                event_seq, body = said[seq]
                compared.append(Compared(event_seq, seq, str(body["root"]), root_of(state)))
            if seq % SHOW_EVERY == 0:
                progress(seq - from_seq)
    lines = LeafLines(state)
    counts: dict[str, int] = {}
    for leaf in lines:
        kind = leaf[2:].partition(b'"')[0].partition(b"/")[0].decode()
        counts[kind] = counts.get(kind, 0) + 1
    return Replayed(from_seq, last_seq, lines.root().hex(), counts, compared)


def root_of(state: State) -> str:
    """The root over the leaves of a state."""
    lines = LeafLines(state)
    for _ in lines:
        pass
    return lines.root().hex()


def arrival_at(line: bytes, beside: Beside) -> Arrival:
    """The arrival that a stored line records, with its body from beside the log."""
    place = place_of(line)
    if place is None:
        return arrival_of(line)
    body = beside.body(int(fields_of(line)["seq"]), place)
    return arrival_of(line, {} if body is None else {place.digest: body})


_Said = dict[int, tuple[int, dict[str, Any]]]
"""By the last event that a snapshot covers: the event that tells of it, and its body."""


def _said_in(log: Files, to_seq: int | None) -> _Said:
    """Every snapshot that humd told of itself."""
    found: _Said = {}
    for seq, line in log.lines_from(log.firsts[0]):
        if to_seq is not None and seq > to_seq:
            break
        if _NEEDLE not in line:
            continue
        event = orjson.loads(line)
        body = event["body"]
        if event["chi"] == Chi.SNAPSHOT and body.get("@via", {}).get("client") is None:
            found[int(body["at_seq"])] = seq, body
    return found


def _begin(
    log: Files, said: _Said, beside: Beside, *, newest: bool, to_seq: int | None
) -> tuple[State, int]:
    """The state of the oldest snapshot that can be believed, or of the newest."""
    folder = log.root / SNAPSHOTS_DIR
    names = (path.name for path in folder.glob("*")) if folder.is_dir() else iter(())
    seqs = sorted(seq for seq in map(snapshot_seq, names) if seq is not None)
    reasons: list[str] = []
    for at_seq in reversed(seqs) if newest else seqs:
        if to_seq is not None and at_seq > to_seq:
            continue
        try:
            snapshot = _believed((folder / snapshot_name(at_seq)).read_bytes(), said, at_seq)
            return snapshot.state(_events(log, snapshot, beside)), at_seq
        except (NotASnapshot, OSError) as problem:
            reasons.append(f"{snapshot_name(at_seq)}: {problem}")
    what = "; ".join(reasons) or f"there is none in {folder}"
    raise LocalError(
        f"the log begins with event {log.firsts[0]}, and no snapshot can be begun with: {what}"
        if not newest
        else f"no snapshot can be begun with: {what}",
        hint="hum thehum verify",
    )


def _believed(data: bytes, said: _Said, at_seq: int) -> Snapshot:
    """The snapshot in a file, when the log tells of it; raises `NotASnapshot`."""
    snapshot = read_snapshot(data)
    event_seq, body = said.get(at_seq, (0, {}))
    if not event_seq or snapshot.at_seq != at_seq:
        raise NotASnapshot("the log does not tell of it")
    if body.get("root") != snapshot.ending.root:
        raise NotASnapshot(f"event {event_seq} names another root")
    if body.get("sha256") != hashlib.sha256(data).hexdigest():
        raise NotASnapshot(f"event {event_seq} names another hash")
    return snapshot


def _events(log: Files, snapshot: Snapshot, beside: Beside) -> dict[int, Arrival]:
    """The events that a snapshot refers to."""
    found: dict[int, Arrival] = {}
    for wanted in snapshot.events_needed():
        for seq, line in log.lines_from(wanted):
            if seq == wanted:
                found[seq] = arrival_at(line, beside)
            break
    return found
