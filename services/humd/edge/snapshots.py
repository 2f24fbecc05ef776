"""Takes snapshots of the state and has thehum keep them.

    idle --due--> copying --all leaves sent, `at_seq` on disk--> ending --`at_hash`--> said
                                                    said --event on disk--> kept --> idle

A copy of this process writes (`forked`); its bytes go to thehum in pieces, one at a time.
Then the log says in an event `snapshot` what was written, and only then thehum counts on the file.
Whatever goes wrong ends the try; the next one begins anew after the same time.
"""

import hashlib
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Protocol

from humd.core.arrivals import CatchUp, Emit
from humd.core.snapshot import Ending, Owing, last_lines
from humd.core.state import State
from humd.edge.boot import NO_ROOT
from humd.edge.forked import Copy, Written
from nest.metrics import Registry
from nest.sockets import Poll
from thrum import frames
from thrum.chi import Chi, LinkChi
from thrum.frames import Header
from thrum.redaction import KnownSecrets
from thrum.tones import Body

PIECE_BYTES = 256 * 1024
"""Of a snapshot in one frame."""
OWED_MAX = 131_072
"""References to what bees are owed in one snapshot; while there are more none is taken."""
HOLD_SECONDS_MAX = 2.0
"""How long the log may be given nothing while a snapshot is written that it asked for."""
HURRY_SECONDS = 0.05
"""Between two snapshots when the log asks for them."""
TRY_SECONDS_MAX = 120.0
"""How long one may take; then it is given up."""

log = logging.getLogger("humd.snapshots")


class Host(Protocol):
    """What a snapshot needs of the rest of humd."""

    @property
    def state(self) -> State: ...

    @property
    def newest(self) -> tuple[int, int]:
        """Seq and time of the newest event."""

    @property
    def durable_seq(self) -> int: ...

    def send_log(self, frame: bytes) -> bool: ...

    def say(self, emit: Emit) -> None: ...

    def hold_back(self, behind_seq: int | None) -> None:
        """Give the log nothing behind this event for now; None: go on."""

    def owing(self, upto_seq: int) -> list[Owing]: ...

    def catch_ups(self) -> list[CatchUp]: ...

    def drift(self) -> tuple[int, int]:
        """Seq and time of the newest timing record that is on disk."""


class _Stage(Enum):
    COPYING = auto()
    SENDING = auto()
    ENDING = auto()
    SAID = auto()
    KEPT = auto()


@dataclass(slots=True)
class _Try:
    """One snapshot on its way."""

    at_seq: int
    erased_seq: int
    copy: Copy
    ends_at: float
    stage: _Stage = _Stage.COPYING
    is_waiting: bool = False
    """Whether a piece, or a question, is not answered yet."""
    is_watched: bool = False
    sent_bytes: int = 0
    digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)
    written: Written | None = None
    rest: deque[bytes] = field(default_factory=deque)
    """Pieces of what stands behind the leaves."""
    event_seq: int = 0


@dataclass(frozen=True, slots=True)
class Taking:
    """With what, and how often."""

    poll: Poll
    registry: Registry
    every_seconds: float
    secrets: Callable[[], KnownSecrets]
    """What must not be written, as it is in files now."""


class Snapshots:
    """See the module. Call `tick` now and then, `advance` each turn, `answered` with answers."""

    def __init__(self, host: Host, taking: Taking) -> None:
        self._host, self._poll, registry = host, taking.poll, taking.registry
        self._every_seconds, self._secrets = taking.every_seconds, taking.secrets
        self._due_at = self._begun_at = 0.0
        self._try: _Try | None = None
        self._last_seq, self._last_root = 0, NO_ROOT
        self._quiet_seq = 0
        """As long as this is the newest event, nothing has happened since the last snapshot."""
        self._taken = registry.counter("hum_snapshots_total", "Snapshots that the log keeps.")
        self._failed = registry.counter(
            "hum_snapshots_failed_total", "Snapshots that came to nothing.", ("reason",)
        )
        self._seq = registry.gauge("hum_snapshot_seq", "Event that the newest snapshot covers.")
        self._bytes = registry.gauge("hum_snapshot_bytes", "Size of the newest snapshot.")

    def begin(self, now: float, *, last_seq: int, last_root: str) -> None:
        """Humd has its state, from the snapshot at `last_seq` or from nothing."""
        self._last_seq, self._last_root = last_seq, last_root
        self._due_at = now + self._every_seconds
        self._seq.set(last_seq)

    def tick(self, now: float) -> None:
        """Begin one that is due, when something happened since the last; give up one too slow."""
        if self._try is not None:
            if now > self._begun_at + HOLD_SECONDS_MAX:
                self._host.hold_back(None)
            if now > self._try.ends_at:
                self._give_up("late", f"it took more than {TRY_SECONDS_MAX:.0f} s")
            return
        self._begin_one(now)

    def hurry(self) -> None:
        """The log is near its bound and may not drop what no snapshot covers.

        It is given nothing more until this one is written, so that the two do not race.
        """
        if self._try is not None:
            return
        self._due_at = min(self._due_at, self._begun_at + HURRY_SECONDS)
        begun = self._begin_one(time.monotonic())
        if begun is not None:
            self._host.hold_back(begun.at_seq)

    def advance(self) -> None:
        """Go as far as can be gone now."""
        one = self._try
        if one is None or one.is_waiting:
            return
        if one.stage is _Stage.COPYING:
            self._pass_on(one)
        if one.stage is _Stage.SENDING:
            self._send_rest(one)
        elif one.stage is _Stage.SAID and self._host.durable_seq >= one.event_seq:
            self._ask(one, {"op": "keep", "at_seq": one.at_seq, "seq": one.event_seq})
            one.stage = _Stage.KEPT

    def answered(self, body: Body) -> None:
        """What thehum says of one of our tries."""
        one = self._try
        if one is None or body.get("at_seq") != one.at_seq:
            return
        one.is_waiting = False
        if "refused" in body:
            self._give_up("refused", str(body["refused"]))
        elif body.get("op") == "end" and one.stage is _Stage.ENDING:
            self._say(one, str(body["at_hash"]))
        elif body.get("op") == "keep" and one.stage is _Stage.KEPT:
            self._kept(one)

    def log_lost(self) -> None:
        """Thehum is away, and what was begun with it."""
        if self._try is not None:
            self._give_up("log-away", "thehum went away")

    def close(self) -> None:
        """Leave no process behind."""
        if self._try is not None:
            self._end(self._try)

    def _begin_one(self, now: float) -> _Try | None:
        """Take the state, if that is due and something happened since the last time."""
        seq, at_ms = self._host.newest
        if now < self._due_at or seq in (self._quiet_seq, self._last_seq):
            return None
        self._due_at, self._begun_at = now + self._every_seconds, now
        try:
            copy = Copy(self._host.state, at_seq=seq, at_ms=at_ms, secrets=self._secrets)
        except OSError as problem:
            self._fail("no-process", str(problem))
            return None
        self._try = _Try(seq, self._host.state.erased_seq, copy, now + TRY_SECONDS_MAX)
        return self._try

    def _pass_on(self, one: _Try) -> None:
        """The next piece of what the copy has written."""
        piece = one.copy.read(PIECE_BYTES)
        self._watch(one, wanted=piece is None)
        if piece:
            self._put(one, piece)
            return
        if piece is None or self._host.durable_seq < one.at_seq:
            return
        one.written = one.copy.written
        one.copy.close()
        if one.written is None:
            self._give_up("copy", "the copy of humd that wrote it ended early")
            return
        self._close_up(one, one.written)

    def _close_up(self, one: _Try, written: Written) -> None:
        """Everything that the state has is on disk: say what bees are owed, and end."""
        owing, catch_ups = self._host.owing(one.at_seq), self._host.catch_ups()
        parcels = sum(len(each.parcels) for each in owing)
        if parcels > OWED_MAX:
            self._give_up("owed", f"bees have yet to take {parcels} parcels")
            return
        drift_seq, drift_ms = self._host.drift()
        needed = [parcel.source for each in owing for parcel in each.parcels]
        needed += [each.from_seq for each in catch_ups]
        needed += [written.prompts_seq] if written.prompts_seq else []
        end = Ending(
            at_seq=one.at_seq,
            root=written.root.hex(),
            leaves=written.leaves,
            needs_seq=min([one.at_seq, *(seq - 1 for seq in needed)]),
            erased_seq=one.erased_seq,
            drift_seq=drift_seq,
            drift_ms=drift_ms,
        )
        one.rest.extend(_pieces(last_lines(owing, catch_ups, end)))
        one.stage = _Stage.SENDING

    def _send_rest(self, one: _Try) -> None:
        if one.rest:
            self._put(one, one.rest.popleft())
            return
        self._ask(one, {"op": "end", "at_seq": one.at_seq, "sha256": one.digest.hexdigest()})
        one.stage = _Stage.ENDING

    def _say(self, one: _Try, at_hash: str) -> None:
        """The file is on disk: the log says so."""
        assert one.written is not None
        one.event_seq = self._host.newest[0] + 1
        one.stage = _Stage.SAID
        body = {
            "root": one.written.root.hex(),
            "at_seq": one.at_seq,
            "at_hash": at_hash,
            "leaves": one.written.leaves,
            "prev_root": self._last_root,
            "bytes": one.sent_bytes,
            "sha256": one.digest.hexdigest(),
        }
        self._host.say(Emit(Chi.SNAPSHOT, body))
        self._host.hold_back(None)

    def _kept(self, one: _Try) -> None:
        assert one.written is not None
        self._last_seq, self._last_root = one.at_seq, one.written.root.hex()
        if one.event_seq == one.at_seq + 1:
            self._quiet_seq = one.event_seq
        self._taken.inc()
        self._seq.set(one.at_seq)
        self._bytes.set(one.sent_bytes)
        log.info("snapshot.kept", extra={"seq": one.at_seq, "bytes": one.sent_bytes})
        self._end(one)

    def _put(self, one: _Try, piece: bytes) -> None:
        fields = {"op": "put", "at_seq": one.at_seq, "offset": one.sent_bytes, "data": piece}
        one.digest.update(piece)
        one.sent_bytes += len(piece)
        self._ask(one, fields)

    def _ask(self, one: _Try, body: Body) -> None:
        one.is_waiting = True
        if not self._host.send_log(frames.pack(Header(LinkChi.STATE), body)):
            self._give_up("log-away", "thehum takes nothing now")

    def _watch(self, one: _Try, *, wanted: bool) -> None:
        """Let the loop wake, or wake no more, when the copy has written something."""
        if wanted and not one.is_watched:
            self._poll.watch_descriptor(one.copy.descriptor)
        elif one.is_watched and not wanted:
            self._poll.forget_descriptor(one.copy.descriptor)
        one.is_watched = wanted

    def _give_up(self, why: str, reason: str) -> None:
        assert self._try is not None
        self._end(self._try)
        self._fail(why, reason)

    def _fail(self, why: str, reason: str) -> None:
        self._failed.labels(why).inc()
        log.warning("snapshot.failed", extra={"why": why, "reason": reason})

    def _end(self, one: _Try) -> None:
        if one.is_watched:
            self._watch(one, wanted=False)
        one.copy.close()
        self._host.hold_back(None)
        self._try = None


def _pieces(lines: Iterable[bytes]) -> list[bytes]:
    data = b"".join(lines)
    return [data[at : at + PIECE_BYTES] for at in range(0, len(data), PIECE_BYTES)]
