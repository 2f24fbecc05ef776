"""thehum on the bus: whether it is here, the start from it, and what it says of batches.

    booting --everything is replayed--> live --gone--> away --back--> live
                           live --no room--> full --a batch is taken--> live
    booting, away --back, and read-only--> reading --back, and writable--> booting, live

While it is away or full for longer than `AWAY_SECONDS`, no new work is taken. While it is only
read, every tone that would be logged is refused with what is wrong and what mends it, and bees are
guests: they may ask what can be answered, and say hello again once something can be written.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from humd.core import router
from humd.core.arrivals import Arrival, Refusal
from humd.core.basis import Basis
from humd.core.holding import Holding, Signs
from humd.edge.boot import Boot
from humd.edge.bus import Bus
from humd.edge.catchups import RID, CatchUps
from humd.edge.greeting import Connection, Proof
from humd.edge.projections import Projections
from humd.edge.snapshots import Snapshots, Taking
from humd.recording import Recorder, now_ms
from humd.release import Release
from humd.standing import Standing
from thrum import frames
from thrum.chi import LinkChi
from thrum.errors import LogUnavailable, Qualifier
from thrum.frames import Header
from thrum.ids import is_humd
from thrum.tones import Body

PROBE = "alive"
"""The rid of a question that is only asked to hear whether there is an answer."""

_Call = Callable[[], None]

log = logging.getLogger("humd")


class LogLink:
    """See the module."""

    def __init__(
        self,
        bus: Bus,
        recorder: Recorder,
        release: Release,
        catch_ups: CatchUps,
        projections: Projections,
        basis: Basis,
        taking: Taking,
        folder: Path,
    ) -> None:
        self._bus = bus
        self._recorder = recorder
        self._ledger = recorder.ledger
        self._release = release
        self._catch_ups = catch_ups
        self._projections = projections
        self._basis = basis
        standing = Standing(
            bus,
            recorder,
            release=release,
            catch_ups=catch_ups,
            projections=projections,
            send_log=self._offer,
        )
        self.boot = Boot(standing, self._open, taking.registry)
        self.snapshots = Snapshots(standing, taking)
        self.lost: _Call = lambda: None
        """What else has to be done when the log goes."""
        self.connection: Connection | None = None
        self.refusal: Refusal | None = None
        """Why nothing can be logged, while the log is only read."""
        self._signs = Signs(folder, away_since=time.monotonic())
        self._reports: list[tuple[Connection, bytes, Arrival]] = []
        """What the log said before its last page."""

    @property
    def is_booted(self) -> bool:
        """Whether everything is replayed."""
        return self._signs.booted

    @property
    def takes_work(self) -> bool:
        """Whether what is taken now can be expected to reach the disk."""
        return self._signs.takes_work(time.monotonic())

    def holding(self) -> Holding:
        """Whether the log holds back what it is offered, and why."""
        if not self._signs.booted:
            self._signs.next_seq = self._ledger.next_seq
        return self._signs.holding(time.monotonic())

    def away(self) -> Refusal:
        """What is said to those who want something of a log that does not work."""
        holding = self.holding()
        why = holding.sentence or "it does not answer yet; try again in a moment"
        return Refusal(Qualifier.LOG_UNAVAILABLE, f"the log cannot be written now: {why}")

    def probe(self) -> None:
        """Have the log give a sign of life."""
        self._offer(frames.pack(Header(LinkChi.VITALS, PROBE, sender=PROBE), {}))

    def heard(self) -> None:
        """The log sent a frame."""
        owes = not self._signs.booted or self._ledger.is_waiting
        self._signs.heard(time.monotonic(), owes=owes)

    def send(self, frame: bytes) -> bool:
        """Send the log a frame; False when it was not taken."""
        return self.connection is not None and self._bus.send(self.connection, frame)

    def _offer(self, frame: bytes) -> bool:
        """As `send`, for what the log answers without waiting for anything else."""
        is_sent = self.send(frame)
        if is_sent:
            self._signs.asked(time.monotonic())
        return is_sent

    def joins(self, connection: Connection, proof: Proof, body: Body) -> None:
        """Offer the log what it has not confirmed, or replay it when we have just started."""
        is_second = self.connection is not None
        author = str(body.get("author"))
        is_other = self._release.humd not in ("", author) or not is_humd(author)
        if is_second or is_other:
            self._bus.reset(connection, Qualifier.LOG_UNAVAILABLE)
            return
        self._end_reading()
        connection.instance, connection.is_log, connection.is_joined = proof.instance, True, True
        self.connection, self._release.humd = connection, author
        self._signs.away_since = self._signs.asked_at = None
        self._release.welcome(connection, settled=0)
        self._bus.write()
        if body.get("state") != "writable":
            self._begin_reading(body)
            return
        if not self.is_booted:
            self._signs.began_at = time.monotonic()
            self._signs.head_seq = int((body.get("head") or {}).get("seq") or 0)
            self.boot.begin()
            return
        head, offer = body.get("head") or {}, body.get("offer") or {}
        number = int(offer.get("batch") or 0)
        self._release.batches(self._ledger.back(self._offer, offer.get("epoch"), number))
        log.info("log.back", extra={"head": head.get("seq")})
        if int(head.get("seq") or 0) + 1 != self._ledger.oldest_seq:
            raise LogUnavailable(
                f"the log ends at {head.get('seq')}; we hold {self._ledger.oldest_seq} next",
                hint="humd starts again and replays what the log has",
            )

    def visit(self, connection: Connection, proof: Proof, *, is_door: bool) -> None:
        """A bee joins while the log is only read: nothing of it is recorded."""
        known = self._recorder.state.clients.get(proof.instance)
        connection.is_guest, connection.is_resumed = True, known is not None
        self._bus.admit(connection, proof.instance, is_door=is_door)
        if self._bus.resume(connection, proof.cursor):
            self._release.welcome(connection, settled=known.links.settled if known else 0)

    def welcome_visitor(self, connection: Connection) -> None:
        """Answer the hello of one that only asks."""
        self._release.welcome(connection, settled=0)

    def _begin_reading(self, body: Body) -> None:
        trouble = body.get("trouble") or {}
        reason, hint = body.get("reason"), trouble.get("hint")
        self._signs.began_at = time.monotonic()
        self._signs.read_only = str(reason or "it does not say why"), str(hint or "")
        self.refusal = Refusal(Qualifier.LOG_UNAVAILABLE, self.holding().sentence)
        log.error("log.read_only", extra={"reason": reason, "hint": hint})

    def _end_reading(self) -> None:
        """Guests say hello again, to be recorded this time."""
        if self.refusal is None:
            return
        self.refusal = self._signs.read_only = None
        for guest in [one for one in self._bus.connections.values() if one.is_guest]:
            self.guest_left(guest)
            self._bus.reset(guest, Qualifier.LOG_UNAVAILABLE)

    def guest_left(self, guest: Connection) -> None:
        """Owe nothing to one that humd knows nothing else of."""
        if guest.instance is not None and not self._recorder.state.knows(guest.instance):
            self._bus.forget(guest.instance)

    def gone(self, connection: Connection) -> None:
        """A connection of the log ended; if it was the one in use, everything unconfirmed waits."""
        if self.connection is connection:
            self.connection, self._signs.away_since = None, time.monotonic()
            self._end_reading()
            self._ledger.lost()
            self._catch_ups.log_lost()
            self.snapshots.log_lost()
            self.lost()
            log.warning("log.away")

    def retry(self) -> None:
        """Offer again what the log had no room for."""
        is_full = self._signs.full_since is not None
        if is_full and self.refusal is None and self._ledger.send is None:
            self._ledger.back(self._offer, None, 0)

    def durable(self, body: Body) -> None:
        """The log answers a batch."""
        if body.get("epoch") != self._ledger.epoch:
            return
        if "refused" not in body:
            self._signs.full_since = None
            self._release.batches(self._ledger.durable(int(body["batch"])))
        elif not self._ledger.is_flying(int(body["batch"])):
            pass  # sent before we heard that the one before it was refused; it is offered again
        elif body["refused"] == Qualifier.LOG_UNAVAILABLE:
            self._ledger.lost()
            if self._signs.refused(time.monotonic(), str(body.get("reason"))):
                log.warning("log.full", extra={"reason": body.get("reason")})
        else:
            raise LogUnavailable(f"thehum refused batch {body.get('batch')}: {body.get('reason')}")

    def report(self, connection: Connection, parcel: bytes, arrival: Arrival) -> None:
        """What the log has to say about itself is recorded as said by this humd."""
        if not self.is_booted:
            self._reports.append((connection, parcel, arrival))
            return
        batch = self._ledger.batch(now_ms(), len(parcel))
        self._recorder.record(batch, arrival, parcel)
        batch.settle(connection.id, arrival.header.seq)

    def page(self, rid: str, body: Body) -> None:
        """A page that humd asked for itself: for a late listener, or of the replay."""
        if rid.startswith(RID):
            for delivery in self._catch_ups.page(rid, body):
                self._bus.owe(delivery)
        elif not self.is_booted:
            self.boot.on_page(body)

    def about_state(self, body: Body) -> None:
        """What the log says about snapshots."""
        if self.is_booted and body.get("op") == "want":
            self.snapshots.hurry()
        elif self.is_booted:
            self.snapshots.answered(body)
        else:
            self.boot.on_state(body)

    def catch_up(self) -> None:
        """Ask for what late listeners may be read now; note who has everything."""
        if self.connection is None or not self.is_booted:
            return
        for request in self._catch_ups.requests(self._bus.takes_more):
            self.send(request)
        for client, sid, begun in self._catch_ups.confirmed(self._bus.has_confirmed):
            self._catch_ups.end(client, sid, begun)
            self._recorder.say(router.caught_up(client, sid, begun))

    def _open(self, last_seq: int, last_root: str) -> None:
        """Everything that the log has is replayed: open for business."""
        self._signs.booted = self._release.is_live = True
        self._projections.booted(self._recorder.state)
        reports, self._reports = self._reports, []
        self._ledger.back(self._offer, None, 0)
        self._recorder.say(router.booted(replace(self._basis, humd=self._release.humd)))
        for report in reports:
            self.report(*report)
        self.snapshots.begin(time.monotonic(), last_seq=last_seq, last_root=last_root)
        extra = {"epoch": self._ledger.epoch, "seq": self._ledger.next_seq, "from": last_seq}
        log.info("humd.ready", extra=extra)
