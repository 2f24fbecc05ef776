"""The loop: take every batch that has arrived as one commit group, write, sync, answer; then reads.

A turn, in this order: take the frames that wait (at most `TURN_BYTES_MAX`), commit the offers among
them, answer one `backfill` page, send, and only when nothing else waits lay out the next segment
and write the head down. There is no timer: a lone producer pays for one sync, a crowd shares it.

thehum never goes away because humd did: it joins again for as long as it runs.
"""

import logging
import os
import random
import secrets
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from nest.identity import load_or_mint_identity
from nest.known import known_secrets
from nest.lifecycle import Context
from nest.link import Joined, Link, Reset, Settled
from nest.metrics import Registry
from nest.sockets import DealerSocket, Poll
from thehum.core.bodies import Draft, read_drafts
from thehum.core.forgetting import Done, Order, may_order, orders_in, report_of
from thehum.core.groups import GroupBuilder, Signing
from thehum.core.keeping import SALT_BYTES, Aside, Keep
from thehum.core.offers import Answer, BatchName, Offer, judge, read_offer
from thehum.core.pages import Page, PageLimits
from thehum.core.retention import Bound, Mode
from thehum.core.sealed import BrokenSegment
from thehum.edge.attached import attach_bodies
from thehum.edge.checkpoints import Checkpoints
from thehum.edge.forgetting import Forgetting
from thehum.edge.log import Log
from thehum.edge.retention import Retention, steady_ms
from thehum.edge.witness import Witness
from thehum.errors import DiskFull, LogReadOnly
from thehum.questions import Questions
from thrum.chi import THRUM_VERSION, Chi, LinkChi
from thrum.errors import LocalError, MalformedTone, Qualifier
from thrum.ids import HUMID_RANDOM_BYTES, HumId, mint_humid
from thrum.redaction import KnownSecrets
from thrum.tones import Body, Tone

TURN_BYTES_MAX = 8 * 1024 * 1024
"""Frames taken before what they hold is committed."""
BACKFILLS_MAX = 1_024
"""Requests for pages that wait; then they are refused."""
IDLE_MS = 1_000
REMEMBER_SECONDS = 1.0
"""How far the remembered head may lag behind a busy log."""
SPARE_RETRY_SECONDS = 1.0
"""Between two tries to lay out the next segment on a full disk."""
HELLO_SECONDS = 2.0
"""How long humd may take to answer a hello before we try again."""
RECONNECT_SECONDS_MIN = 0.05
RECONNECT_SECONDS_MAX = 2.0
"""Waits between two tries, doubled from the first to the last, each jittered by half."""
DAY_MS = 86_400_000
SECRETS_SECONDS = 30.0
"""How often the files of this hum's secrets are looked at again."""
LOG_CHIS = (LinkChi.APPEND, LinkChi.DURABLE, Chi.BACKFILL, Chi.CHECKPOINT, Chi.COSIGN)
REPLAYER = "humd"
"""Whose name is on humd's own requests; only they get bulk pages."""

log = logging.getLogger(__name__)


class Service:
    """The log on the bus."""

    def __init__(self, context: Context) -> None:
        settings = context.settings.humd.thehum
        identity = load_or_mint_identity(context.paths.humd_key, prefix="humd")
        self._stop = context.stop
        self._endpoint = context.paths.bus_endpoint
        self._socket_path = context.paths.bus_socket
        self._registry = context.metrics
        self._log = Log(
            context.paths.thehum,
            identity,
            signing=Signing(settings.signing),
            segment_bytes=settings.segment_bytes,
            segment_events=settings.segment_events,
        )
        self._checkpoints = Checkpoints(
            self._log, context.paths.thehum, identity.key, now=time.monotonic()
        )
        self._keep = Keep(
            mint_salt=lambda: secrets.token_bytes(SALT_BYTES),
            sensitive=frozenset(settings.sensitive),
            redacted=frozenset(settings.redact),
        )
        self._known_secrets = partial(known_secrets, context.paths, context.settings)
        self._secrets_due_at = 0.0
        self._forgetting = Forgetting(self._log, context.paths.thehum)
        self._reports: dict[int, Order] = {}
        """Link numbers of reports that are not in the log yet."""
        bound = Bound(
            mode=Mode(settings.mode),
            bytes_max=settings.bytes_max,
            age_ms_max=settings.age_days_max * DAY_MS,
            segment_bytes=settings.segment_bytes,
        )
        self._retention = Retention(
            self._log, self._checkpoints, bound, wall_ms=_wall_ms(), steady_ms=steady_ms()
        )
        if self._log.head.seq == 0:
            log.info("log.begun", extra={"mode": settings.mode, "keeps": settings.bound})
        self._link = Link(identity.hid, identity.key, _mint(), self._hello)
        self._witness = Witness(self._log, context.paths.thehum, identity.key, say=self._link.offer)
        self._metrics = Metrics(context.metrics, self._log)
        self._metrics.witnessed(self._witness)
        self._questions = Questions(
            self._log, self._checkpoints, self._witness, say=self._link.offer
        )
        self._offers: list[Offer] = []
        self._backfills: deque[Tone] = deque()
        self._has_more = False
        """Whether the next turn has work even when nothing arrives."""
        self._remembered_at = time.monotonic()
        self._spare_due_at = 0.0

    def run(self) -> None:
        """Serve until asked to stop. Raises `WriteFailed` when the disk fails: then end."""
        log.info("log.open", extra={"head": self._log.head.seq, "read_only": self._log.read_only})
        for order, done in self._forgetting.unreported:
            self._report(order, done)
        wait = RECONNECT_SECONDS_MIN
        pause = Poll([self._stop.descriptor])
        try:
            while not self._stop.requested:
                if self._socket_path.exists() and self._serve_connection():
                    wait = RECONNECT_SECONDS_MIN
                while self._tidy(is_idle=True) and not self._stop.requested:
                    pass
                pause.wait(int(wait * random.uniform(0.5, 1.5) * 1000))
                wait = min(wait * 2, RECONNECT_SECONDS_MAX)
            self._finish()
        finally:
            self._log.close()

    def _serve_connection(self) -> bool:
        """One connection, from opening to its end. Returns whether humd answered the hello."""
        socket = DealerSocket(self._endpoint)
        poll = Poll([self._stop.descriptor])
        poll.watch(socket)
        self._link.opened()
        self._offers.clear()
        self._backfills.clear()
        self._questions.forget()
        joined, patience_ends = False, time.monotonic() + HELLO_SECONDS
        try:
            while self._turn(socket) and not self._stop.requested:
                joined = joined or self._link.is_joined
                if not joined and time.monotonic() > patience_ends:
                    break
                poll.wait(0 if self._has_more else IDLE_MS)
        finally:
            self._link.closed()
            poll.forget(socket)
            socket.close()
        return joined

    def _turn(self, socket: DealerSocket) -> bool:
        """Everything that is due now. False when the connection is over."""
        is_open, took = self._receive(socket)
        self._commit()
        self._answer_backfill()
        if self._questions.answer():
            self._metrics.witnessed(self._witness)
        while (frame := self._link.take()) is not None:
            if not socket.send(frame):
                return False
        self._has_more = self._tidy(is_idle=not took) or bool(self._backfills or self._questions)
        return is_open

    def _receive(self, socket: DealerSocket) -> tuple[bool, bool]:
        """Take frames; whether the connection goes on, and whether there were any."""
        size = 0
        while size < TURN_BYTES_MAX and (frame := socket.receive()) is not None:
            size += len(frame)
            try:
                events = self._link.receive(frame)
            except MalformedTone as problem:
                log.error("bus.malformed_frame", extra={"reason": problem.message})
                return False, True
            for event in events:
                if isinstance(event, Tone):
                    self._on_tone(event)
                elif isinstance(event, Settled):
                    self._on_settled(event)
                elif isinstance(event, Joined):
                    log.info("bus.joined", extra={"epoch": event.epoch})
                elif isinstance(event, Reset):
                    log.info("bus.reset", extra={"reason": event.reason})
                    return False, True
        return socket.disconnects() == 0, size > 0

    def _on_tone(self, tone: Tone) -> None:
        if tone.chi == LinkChi.APPEND:
            self._on_append(tone)
        elif tone.chi == Chi.BACKFILL and "events" not in tone.body:
            if len(self._backfills) < BACKFILLS_MAX:
                self._backfills.append(tone)
            else:
                self._decline(tone, Qualifier.QUEUE_OVERFLOW, "too many requests wait; try again")
        elif self._questions.take(tone):
            pass
        elif tone.chi == LinkChi.VITALS and not tone.body:
            vitals = {"pid": os.getpid(), "hive": "thehum", "metrics": self._registry.snapshot()}
            self._say(Tone(chi=LinkChi.VITALS, rid=tone.rid, to=tone.sender, body=vitals))

    def _on_append(self, tone: Tone) -> None:
        try:
            self._offers.append(read_offer(tone.body))
        except MalformedTone as problem:
            log.error("log.malformed_append", extra={"reason": problem.message})
            epoch, batch = tone.body.get("epoch"), tone.body.get("batch")
            self._refuse(epoch, batch, Qualifier.TONE_MALFORMED, problem.message)

    # --- writing

    def _commit(self) -> None:
        """Make one group of every offer, put it on disk, then answer."""
        offers, self._offers = self._offers, []
        if not offers:
            return
        began = time.monotonic()
        builder, group = self._log.builder(), _Group(self._log.last_batch)
        for offer in offers:
            verdict = judge(offer, last=group.last, next_seq=builder.next_seq)
            if verdict is Answer.ALREADY_DURABLE:
                group.is_known = True
                continue
            if verdict is Answer.OUT_OF_STEP:
                reason = f"it begins with event {offer.first_seq}, we go on with {builder.next_seq}"
                self._refuse(offer.name.epoch, offer.name.number, Qualifier.TONE_MALFORMED, reason)
                continue
            try:
                drafts = self._drafts(offer, group, upto_seq=builder.next_seq)
            except MalformedTone as problem:
                name = offer.name
                self._refuse(name.epoch, name.number, Qualifier.TONE_MALFORMED, problem.message)
                continue
            builder.add(drafts[verdict.skip :], offer.at_ms)
            group.last = offer.name
            group.taken.append(offer)
        if builder.size:
            self._append(builder, group, began)
        if group.taken or group.is_known:
            self._confirm(group.last)

    def _append(self, builder: GroupBuilder, group: "_Group", began: float) -> None:
        """Put the group on disk, or refuse what is in it."""
        before = self._log.head.seq
        try:
            self._forgetting.note(group.orders)
            self._log.append(builder.seal(), group.last, group.asides)
        except (DiskFull, LogReadOnly) as problem:
            self._forgetting.withdraw(group.orders)
            self._refuse_all(group.taken, problem)
            group.taken, group.last = [], self._log.last_batch
        else:
            self._forgetting.ordered(group.orders)
            events = self._log.head.seq - before
            self._metrics.committed(events, len(group.taken), time.monotonic() - began)
            self._metrics.aside(group.asides)

    def _drafts(self, offer: Offer, group: "_Group", *, upto_seq: int) -> list[Draft]:
        """The drafts of an offer; what they bring beside the log, from `upto_seq` on, is noted."""
        drafts: list[Draft] = []
        asides, orders = list[Aside](), list[Order]()
        for section in offer.sections:
            first_seq = offer.first_seq + len(drafts)
            made, beside = read_drafts(
                section.parcels,
                via=offer.via(section),
                mint=_mint,
                keep=self._keep,
                first_seq=first_seq,
            )
            drafts += made
            asides += beside
            if may_order(section.parcels):
                orders += orders_in(made, first_seq)
        if len(drafts) != offer.count:
            raise MalformedTone(f"batch {offer.name} holds {len(drafts)} parcels, not its count")
        group.asides += [aside for aside in asides if aside.seq >= upto_seq]
        group.orders += [order for order in orders if order.seq >= upto_seq]
        return drafts

    def _confirm(self, last: BatchName | None) -> None:
        """Say that everything up to `last` is on disk."""
        if last is not None:
            head = self._log.head
            body = {
                "epoch": last.epoch,
                "batch": last.number,
                "head_seq": head.seq,
                "head_hash": head.hash,
            }
            self._say(Tone(chi=LinkChi.DURABLE, body=body))

    def _refuse_all(self, offers: list[Offer], problem: LocalError) -> None:
        for offer in offers:
            self._refuse(
                offer.name.epoch, offer.name.number, Qualifier.LOG_UNAVAILABLE, problem.message
            )

    def _refuse(self, epoch: object, batch: object, why: Qualifier, reason: str) -> None:
        log.error("log.refused", extra={"batch": batch, "qualifier": why, "reason": reason})
        self._metrics.refused.labels(why).inc()
        body = {"epoch": epoch, "batch": batch, "refused": str(why), "reason": reason}
        self._say(Tone(chi=LinkChi.DURABLE, body=body))

    # --- reading

    def _answer_backfill(self) -> None:
        """Answer the oldest request with one page."""
        if not self._backfills:
            return
        tone = self._backfills.popleft()
        try:
            body = self._backfill(tone)
        except (TypeError, ValueError) as problem:
            self._decline(tone, Qualifier.TONE_MALFORMED, f"not a backfill: {problem}")
            return
        except BrokenSegment as problem:
            log.error("log.broken_segment", extra={"reason": problem.message})
            self._decline(tone, Qualifier.LOG_UNAVAILABLE, problem.message)
            return
        self._say(Tone(chi=Chi.BACKFILL, rid=tone.rid, sid=tone.sid, to=tone.sender, body=body))

    def _backfill(self, tone: Tone) -> Body:
        asked = tone.body
        author, sid = asked.get("author") or self._log.author, tone.sid or asked.get("sid")
        from_seq = max(1, int(asked.get("from_seq") or 1))
        is_bulk = asked.get("bulk") is True and tone.sender == REPLAYER
        limits = PageLimits.bulk() if is_bulk else PageLimits()
        limits = limits.at_most(max(1, int(asked.get("limit") or limits.events_max)))
        ours = author == self._log.author
        page = self._log.page(from_seq, limits, sid=sid) if ours else Page(limits)
        head = self._log.head
        bodies: Body = {}
        if asked.get("bodies") is True:
            bodies = {"bodies": attach_bodies(page, self._log, is_text="/" in (tone.sender or ""))}
        has_more = ours and page.next_seq <= head.seq
        return {
            **bodies,
            "author": author,
            "from_seq": from_seq,
            "events": [line.decode() for line in page.lines],
            "next_seq": page.next_seq if has_more else None,
            "first_seq": self._log.first_seq,
            "head_seq": head.seq if ours else 0,
            "head_hash": head.hash if ours else None,
            "pubkey": self._log.public.hex(),
            "snapshot": None,
        }

    # --- talking

    def _hello(self) -> Body:
        head, last = self._log.head, self._log.last_batch
        body: Body = {
            "bee": ["log"],
            "hive": "thehum",
            "from": str(self._link.hid),
            "version": "",
            "protoVersion": THRUM_VERSION,
            "chis": [str(chi) for chi in LOG_CHIS],
            "head": {"seq": head.seq, "hash": head.hash, "ts_ms": head.ts_ms},
            "offer": {"epoch": last.epoch, "batch": last.number} if last else {},
            "state": "writable" if self._log.read_only is None else "read-only",
        }
        if self._log.read_only is not None:
            body["reason"] = self._log.read_only
        return body

    def _decline(self, tone: Tone, qualifier: Qualifier, message: str) -> None:
        body: Body = {
            "events": [],
            "next_seq": None,
            "message": message,
            "qualifier": str(qualifier),
        }
        self._say(Tone(chi=Chi.BACKFILL, rid=tone.rid, sid=tone.sid, to=tone.sender, body=body))

    def _say(self, tone: Tone) -> None:
        """Queue what is never logged."""
        self._link.offer(tone)

    # --- forgetting

    def _forget(self) -> bool:
        """Go a step further with what is to be forgotten; whether there is more to do."""
        result = self._forgetting.advance()
        if result is not None:
            self._report(*result)
            self._metrics.forgotten(result[1])
        return result is not None or self._forgetting.has_work

    def _report(self, order: Order, done: Done) -> None:
        """Have the log say what was erased."""
        tone = Tone(chi=Chi.FORGOTTEN, rid=_mint(), sid=order.sid, body=report_of(order, done))
        self._reports[self._link.offer(tone)] = order

    def _on_settled(self, settled: Settled) -> None:
        for number in [number for number in self._reports if number <= settled.upto]:
            self._forgetting.reported(self._reports.pop(number))
        self._witness.settled(settled.upto, at_seconds=int(time.time()))
        self._metrics.witnessed(self._witness)

    # --- housekeeping

    def _tidy(self, *, is_idle: bool) -> bool:
        """Write the head down, lay out a slice of the next segment; whether there is more of it."""
        now = time.monotonic()
        try:
            if now - self._remembered_at >= REMEMBER_SECONDS:
                self._remembered_at = now
                self._log.remember()
            if now >= self._secrets_due_at:
                self._secrets_due_at = now + SECRETS_SECONDS
                self._keep.secrets = KnownSecrets(self._known_secrets())
            if self._retention.tick(wall_ms=_wall_ms(), steady_ms=steady_ms()):
                self._metrics.kept(self._retention, self._log.first_seq)
                return True
            if now < self._spare_due_at:
                return False
            if self._forgetting.has_work:
                return self._forget() or not is_idle
            has_more = (is_idle or self._log.is_half_full) and self._log.prepare()
            has_more = self._checkpoints.tick(now, is_idle=is_idle and not has_more) or has_more
            has_more = self._witness.advance(is_idle=is_idle) or has_more
            return has_more or (is_idle and self._log.compress())
        except DiskFull as problem:
            self._spare_due_at = now + SPARE_RETRY_SECONDS
            log.warning("log.no_room", extra={"reason": problem.message})
            return False

    def _finish(self) -> None:
        """Leave a checkpoint of the whole log behind."""
        try:
            self._checkpoints.finish()
        except DiskFull as problem:
            log.warning("log.no_checkpoint", extra={"reason": problem.message})


@dataclass(slots=True)
class _Group:
    """What goes into one commit group, beside its lines."""

    last: BatchName | None
    taken: list[Offer] = field(default_factory=list)
    asides: list[Aside] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)
    is_known: bool = False
    """Whether something was offered that is on disk already."""


class Metrics:
    """What thehum counts."""

    def __init__(self, registry: Registry, opened: Log) -> None:
        self._events = registry.counter("hum_log_events_total", "Events on disk since the start.")
        self._batches = registry.counter("hum_log_batches_total", "Batches taken.")
        self._groups = registry.counter("hum_log_groups_total", "Commit groups: writes and syncs.")
        self._seconds = registry.histogram(
            "hum_log_commit_seconds", "From taking a group's batches to having them on disk."
        )
        self._head = registry.gauge("hum_log_head", "Seq of the newest durable event.")
        self._bodies = registry.counter("hum_log_bodies_total", "Bodies stored beside the log.")
        self._bodies_bytes = registry.counter(
            "hum_log_bodies_bytes_total", "Bytes of bodies stored beside the log."
        )
        self._forgotten = registry.counter(
            "hum_log_bodies_forgotten_total", "Bodies erased because somebody asked for it."
        )
        self._held = registry.gauge("hum_log_witnessed", "Other logs of which a head is held.")
        self._caught = registry.gauge(
            "hum_log_two_histories", "Other logs that were caught with two histories."
        )
        self._first = registry.gauge("hum_log_first", "Seq of the oldest event that is kept.")
        self._kept_bytes = registry.gauge(
            "hum_log_kept_bytes", "On disk for full segments, their bodies and all hashes."
        )
        self._dropped = registry.gauge(
            "hum_log_dropped_segments",
            "Segments dropped since the start, for the bound.",
        )
        self._over = registry.gauge(
            "hum_log_over_bound", "1 when events stay beyond the bound because somebody needs them."
        )
        self.refused = registry.counter("hum_log_refused_total", "Batches not taken.", ("reason",))
        self._head.set(opened.head.seq)
        recovered = registry.gauge(
            "hum_log_recovered_bytes", "Bytes of a torn tail that this start quarantined."
        )
        recovered.set(opened.recovered_bytes)
        read_only = registry.gauge("hum_log_read_only", "1 when the log is damaged or cut short.")
        read_only.set(opened.read_only is not None)

    def committed(self, events: int, batches: int, seconds: float) -> None:
        """A group is on disk."""
        self._events.inc(events)
        self._batches.inc(batches)
        self._groups.inc()
        self._seconds.observe(seconds)
        self._head.inc(events)

    def witnessed(self, witness: Witness) -> None:
        """Heads of other logs may have come."""
        self._held.set(witness.held)
        self._caught.set(witness.conflicts)

    def kept(self, retention: Retention, first_seq: int) -> None:
        """What the log keeps was looked at."""
        self._first.set(first_seq)
        self._kept_bytes.set(retention.kept_bytes)
        self._dropped.set(retention.dropped)
        self._over.set(retention.is_over)

    def aside(self, asides: Sequence[Aside]) -> None:
        """These bodies are on disk beside the log."""
        if asides:
            self._bodies.inc(len(asides))
            self._bodies_bytes.inc(sum(len(aside.raw) for aside in asides))

    def forgotten(self, done: Done) -> None:
        """An order to forget was carried out."""
        self._forgotten.inc(done.bodies)


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000


def _mint() -> HumId:
    return mint_humid(_wall_ms(), secrets.token_bytes(HUMID_RANDOM_BYTES))
