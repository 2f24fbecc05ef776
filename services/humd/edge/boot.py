"""How humd comes to its state: from the newest snapshot it can believe and the events behind it.

    list --> read a snapshot --> fetch the events it refers to --> replay what is behind it --> done
               ^                                                          |
               +--- the next older, at last the log from its beginning <--+  not believed

A snapshot is believed when an event that humd itself said, behind the last one it covers, names its
root and the hash of the file. Until that event was read, nothing of what is replayed takes effect.
A file that is damaged, foreign or of another version is passed over, and the reason is logged.
"""

import hashlib
import logging
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import orjson

from humd.core.arrivals import Arrival, Effect
from humd.core.replay import arrival_of
from humd.core.snapshot import NotASnapshot, Snapshot, read_snapshot
from humd.core.state import State
from humd.edge.catchups import REPLAYER
from nest.metrics import Registry
from thrum import frames
from thrum.chi import Chi, LinkChi
from thrum.errors import LogUnavailable, SettingsRefused
from thrum.frames import Header
from thrum.merkle import EMPTY_ROOT
from thrum.tones import Body

RID = "replay-"
PAGE_EVENTS = 4_096
SNAPSHOT_BYTES_MAX = 1024 * 1024 * 1024
"""A longer file is no snapshot of ours."""
UNBELIEVED_MAX = 262_144
"""Effects that wait while the event is looked for that says what was written."""
NO_ROOT = EMPTY_ROOT.hex()
"""Stands for the root of no snapshot."""
_NEEDLE = f'"chi":"{Chi.SNAPSHOT}"'

log = logging.getLogger("humd.boot")


class StateLost(SettingsRefused):
    """The beginning of the log is gone and no snapshot can be believed."""


class Host(Protocol):
    """What a start needs of the rest of humd."""

    def send_log(self, frame: bytes) -> bool: ...

    def stand_on(self, state: State, *, at_seq: int, at_ms: int) -> None:
        """Go on from this state, and owe nothing."""

    def owe_again(self, snapshot: Snapshot, events: dict[int, Arrival]) -> None:
        """Owe what the snapshot says, and go on with its catch-ups."""

    def replay(self, line: str, bodies: Body) -> list[Effect]: ...

    def follow(self, effects: Iterable[Effect]) -> None: ...

    def has_drift(self, seq: int, ended_ms: int) -> bool:
        """Whether timing records up to this one are on disk, or too old to be."""


class Boot:
    """See the module. Hand in what thehum answers."""

    def __init__(self, host: Host, booted: Callable[[int, str], None], registry: Registry) -> None:
        """`booted` is told the event and root that the snapshots begin behind."""
        self._host, self._booted = host, booted
        self._candidates: list[int] = []
        """Snapshots to try, by the seq they cover, the first one last; 0 is the beginning."""
        self._avoided: list[int] = []
        """Good enough when nothing else is: timing records from before them are lost."""
        self._takes_any = False
        self._data = bytearray()
        self._snapshot: Snapshot | None = None
        self._digest = ""
        self._events: dict[int, Arrival] = {}
        self._wanted: list[int] = []
        self._next_seq = 0
        """Where replay goes on; 0 before it began."""
        self._is_believed = False
        self._effects: list[Effect] = []
        self._passed = registry.counter(
            "hum_snapshots_passed_over_total", "Snapshots that this start could not begin with."
        )
        self._from = registry.gauge("hum_boot_seq", "Event that this start began behind.")
        self._replayed = registry.counter("hum_boot_events_total", "Events this start replayed.")

    def begin(self) -> None:
        """The log is here, or here again."""
        if self._is_believed:
            self._ask_page()
        else:
            self._ask({"op": "list"})

    def on_state(self, body: Body) -> None:
        """What thehum says of its snapshots."""
        if body.get("op") == "list":
            if "refused" in body:
                raise LogUnavailable(f"no list of snapshots: {body['refused']}")
            self._plan([int(seq) for seq in body["snapshots"]], int(body["first_seq"]))
        elif body.get("op") == "get" and body["at_seq"] in self._candidates[-1:]:
            self._on_piece(body)

    def on_page(self, body: Body) -> None:
        """Events that were asked for."""
        if "qualifier" in body:
            raise LogUnavailable(
                f"the log does not give what a start needs: {body.get('message')}",
                hint="hum thehum verify",
            )
        if self._next_seq:
            self._on_tail(body)
        else:
            self._on_events(body)

    def _plan(self, snapshots: list[int], first_seq: int) -> None:
        """The newest first, then the beginning, when the log still has it."""
        beginning = [0] if first_seq == 1 else []
        self._candidates = beginning + sorted(snapshots)
        self._avoided.clear()
        self._takes_any = False
        self._try_next()

    def _try_next(self) -> None:
        self._snapshot, self._is_believed, self._next_seq = None, False, 0
        self._events, self._effects = {}, []
        if not self._candidates and self._avoided:
            self._candidates, self._avoided = self._avoided, []
            self._takes_any = True  # the oldest, which is last, brings back most
        if not self._candidates:
            raise StateLost(
                "the log no longer has its first events, and no snapshot of the state behind them "
                "can be believed (humd.boot in the log says why of each)",
                hint="put the files of snapshots/ back from a backup; or move the log away: hum "
                "begins a new one, and what the old one has can still be read",
            )
        self._data.clear()
        at_seq = self._candidates[-1]
        if at_seq:
            self._ask({"op": "get", "at_seq": at_seq, "offset": 0})
        else:
            self._host.stand_on(State(), at_seq=0, at_ms=0)
            self._is_believed = True
            self._begin_tail(0)

    def _pass_over(self, reason: str) -> None:
        at_seq = self._candidates.pop()
        self._passed.inc()
        log.warning("snapshot.passed_over", extra={"seq": at_seq, "reason": reason})
        self._try_next()

    def _on_piece(self, body: Body) -> None:
        at_seq = self._candidates[-1]
        if "refused" in body:
            self._pass_over(str(body["refused"]))
            return
        if body["offset"] != len(self._data):
            return
        self._data += body["data"]
        if len(self._data) > SNAPSHOT_BYTES_MAX:
            self._pass_over(f"it is longer than {SNAPSHOT_BYTES_MAX} bytes")
        elif body["data"] and len(self._data) < body["bytes"]:
            self._ask({"op": "get", "at_seq": at_seq, "offset": len(self._data)})
        else:
            self._open(bytes(self._data))

    def _open(self, data: bytes) -> None:
        """A whole file is here."""
        at_seq = self._candidates[-1]
        self._data.clear()
        try:
            snapshot = read_snapshot(data)
        except NotASnapshot as problem:
            self._pass_over(problem.message)
            return
        end = snapshot.ending
        if end.at_seq != at_seq:
            self._pass_over(f"it covers event {end.at_seq}, not what its name says")
            return
        if not self._takes_any and not self._host.has_drift(end.drift_seq, end.drift_ms):
            self._avoided.append(self._candidates.pop())
            log.info("snapshot.too_new", extra={"seq": at_seq, "reason": "timing records are gone"})
            self._try_next()
            return
        self._snapshot, self._digest = snapshot, hashlib.sha256(data).hexdigest()
        self._wanted = snapshot.events_needed()
        self._ask_events()

    def _ask_events(self) -> None:
        """The next of the events that the snapshot refers to; once all are here, begin with it."""
        if self._wanted:
            seqs = self._wanted[:PAGE_EVENTS]
            body = {"seqs": seqs, "bulk": True, "bodies": True}
            self._send(Header(Chi.BACKFILL, f"{RID}{seqs[0]}", sender=REPLAYER), body)
            return
        assert self._snapshot is not None
        try:
            state = self._snapshot.state(self._events)
        except NotASnapshot as problem:
            self._pass_over(problem.message)
            return
        self._host.stand_on(state, at_seq=self._snapshot.at_seq, at_ms=self._snapshot.at_ms)
        self._begin_tail(self._snapshot.at_seq)

    def _on_events(self, body: Body) -> None:
        bodies = body.get("bodies", {})
        found = {arrival.seq: arrival for arrival in _arrivals(body["events"], bodies)}
        asked = set(self._wanted[:PAGE_EVENTS])
        gone = sorted(asked - found.keys()) if not found else []
        if gone:
            self._pass_over(f"event {gone[0]}, which it needs, is not in the log")
            return
        self._events |= found
        self._wanted = [seq for seq in self._wanted if seq not in found]
        self._ask_events()

    def _begin_tail(self, at_seq: int) -> None:
        self._next_seq = at_seq + 1
        self._from.set(at_seq)
        self._ask_page()

    def _ask_page(self) -> None:
        body = {"from_seq": self._next_seq, "limit": PAGE_EVENTS, "bulk": True, "bodies": True}
        self._send(Header(Chi.BACKFILL, f"{RID}{self._next_seq}", sender=REPLAYER), body)

    def _on_tail(self, body: Body) -> None:
        """Replay one page."""
        bodies, events = body.get("bodies", {}), body.get("events", [])
        for line in events:
            effects = self._host.replay(line, bodies)
            if self._is_believed:
                self._host.follow(effects)
                continue
            self._effects += effects
            if _NEEDLE in line and (reason := self._judge(line)) is not None:
                self._pass_over(reason)
                return
        self._replayed.inc(len(events))
        if not self._is_believed and len(self._effects) > UNBELIEVED_MAX:
            self._pass_over("no event behind it says that it was written")
        elif body.get("next_seq"):
            self._next_seq = int(body["next_seq"])
            self._ask_page()
        elif not self._is_believed:
            self._pass_over("no event behind it says that it was written")
        else:
            self._done()

    def _judge(self, line: str) -> str | None:
        """Look at an event that may be about our snapshot: believe it, or say why not."""
        snapshot, said = self._snapshot, _said_in(line)
        if snapshot is None or said is None or said.get("at_seq") != snapshot.at_seq:
            return None
        if said.get("root") != snapshot.ending.root:
            return "the log names another root"
        if said.get("sha256") != self._digest:
            return "the log names another hash of the file"
        self._is_believed = True
        self._host.owe_again(snapshot, self._events)
        effects, self._effects = self._effects, []
        self._host.follow(effects)
        return None

    def _done(self) -> None:
        snapshot, self._snapshot, self._events = self._snapshot, None, {}
        if snapshot is None:
            self._booted(0, NO_ROOT)
        else:
            self._booted(snapshot.at_seq, snapshot.ending.root)

    def _ask(self, body: Body) -> None:
        self._send(Header(LinkChi.STATE), body)

    def _send(self, header: Header, body: Body) -> None:
        self._host.send_log(frames.pack(header, body))


def _arrivals(lines: Iterable[str], bodies: Body) -> Iterable[Arrival]:
    for line in lines:
        yield arrival_of(line, bodies)


def _said_in(line: str) -> dict[str, Any] | None:
    """The body of an event `snapshot` that humd said itself."""
    event = orjson.loads(line)
    body = event["body"]
    is_ours = event["chi"] == Chi.SNAPSHOT and body.get("@via", {}).get("client") is None
    return body if is_ours else None
