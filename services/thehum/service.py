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
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import orjson

from nest.identity import load_or_mint_identity
from nest.known import known_secrets
from nest.lifecycle import Context
from nest.link import Joined, Link, Reset, Settled
from nest.sockets import DealerSocket, Poll
from nest.stop import Stop
from thehum.backfills import Backfills
from thehum.commits import Commits, mint
from thehum.core.forgetting import Done, Order, report_of
from thehum.core.groups import Signing
from thehum.core.keeping import SALT_BYTES, Keep
from thehum.core.pace import Pace
from thehum.core.retention import Bound, Mode, Needs
from thehum.core.sealed import BrokenSegment
from thehum.core.trouble import dump_trouble
from thehum.edge.anchors import Anchors
from thehum.edge.checkpoints import Checkpoints
from thehum.edge.cursors import Cursors
from thehum.edge.disk import told_apart
from thehum.edge.forgetting import Forgetting
from thehum.edge.keys import Keyring
from thehum.edge.log import Log
from thehum.edge.remembered import HeadFile
from thehum.edge.retention import Retention, steady_ms
from thehum.edge.scrub import Scrub
from thehum.edge.snapshots import Snapshots
from thehum.edge.witness import Witness
from thehum.errors import DiskFull
from thehum.metrics import Metrics
from thehum.questions import Questions
from thehum.states import States
from thrum.chi import THRUM_VERSION, Chi, LinkChi
from thrum.errors import MalformedTone
from thrum.redaction import KnownSecrets
from thrum.tones import Body, Tone

TURN_BYTES_MAX = 8 * 1024 * 1024
"""Frames taken before what they hold is committed."""
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
ROOM_SLICES = 16
"""Slices of events that the tree takes in at once while the log is near its bound."""
SECRETS_SECONDS = 30.0
"""How often the files of this hum's secrets are looked at again."""
LOG_CHIS = (
    LinkChi.APPEND,
    LinkChi.DURABLE,
    Chi.BACKFILL,
    Chi.CHECKPOINT,
    Chi.COSIGN,
    Chi.SIGN,
    Chi.ROTATE_KEY,
)
T = TypeVar("T")
ANCHOR = "anchor"
"""Who needs events whose root is not anchored yet."""

log = logging.getLogger(__name__)


class Service:
    """The log on the bus."""

    def __init__(self, context: Context) -> None:
        settings = context.settings.humd.thehum
        self._stop = context.stop
        make_bee = partial(load_or_mint_identity, context.paths.bee_key("thehum"), prefix="fbee")
        bee = when_there_is_room(make_bee, self._stop)
        keyring = when_there_is_room(partial(Keyring, context.paths), self._stop)
        self._endpoint = context.paths.bus_endpoint
        self._socket_path = context.paths.bus_socket
        self._registry = context.metrics
        make_log = partial(
            Log,
            context.paths.thehum,
            keyring.identity,
            later=keyring.chain.events,
            head_file=HeadFile(context.paths.thehum_head),
            signing=Signing(settings.signing),
            segment_bytes=settings.segment_bytes,
            segment_events=settings.segment_events,
        )
        self._log = when_there_is_room(make_log, self._stop)
        is_new = self._log.head.seq == 0
        when_there_is_room(partial(keyring.settle, self._log), self._stop)
        self._checkpoints = Checkpoints(self._log, context.paths.thehum, now=time.monotonic())
        self._scrub = Scrub(self._log, now=time.monotonic())
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
        needs = Needs()
        self._snapshots = Snapshots(context.paths.thehum, self._log, needs)
        self._retention = Retention(
            self._log,
            self._checkpoints,
            bound,
            needs=needs,
            beside_bytes=lambda: self._snapshots.disk_bytes,
            wall_ms=_wall_ms(),
            steady_ms=steady_ms(),
        )
        if is_new:
            log.info("log.begun", extra={"mode": settings.mode, "keeps": settings.bound})
        self._link = Link(bee.hid, bee.key, mint(), self._hello)
        self._witness = Witness(self._log, context.paths.thehum, say=self._link.offer)
        self._anchors = Anchors(
            context.paths.thehum,
            settings.anchor,
            keys=self._log.keys,
            cosigned=self._witness.cosigned,
            now=time.monotonic(),
        )
        self._metrics = Metrics(context.metrics, self._log)
        self._commits = Commits(
            self._log, keyring, self._keep, self._forgetting, self._metrics, say=self._link.offer
        )
        self._cursors = Cursors(context.paths.thehum, self._log, needs)
        self._backfills = Backfills(self._log, self._cursors, say=self._link.offer)
        self._states = States(self._log, self._snapshots, say=self._link.offer)
        self._metrics.witnessed(self._witness)
        self._questions = Questions(
            self._log, keyring, self._checkpoints, self._witness, say=self._link.offer
        )
        self._wait_ms = 0
        """How long the next turn waits for something to arrive."""
        self._pace = Pace()
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
            self._anchors.close()
            self._log.close()

    def _serve_connection(self) -> bool:
        """One connection, from opening to its end. Returns whether humd answered the hello."""
        socket = DealerSocket(self._endpoint)
        poll = Poll([self._stop.descriptor])
        poll.watch(socket)
        self._link.opened()
        self._commits.forget()
        self._backfills.forget()
        self._states.forget()
        self._questions.forget()
        joined, patience_ends = False, time.monotonic() + HELLO_SECONDS
        try:
            while self._turn(socket) and not self._stop.requested:
                joined = joined or self._link.is_joined
                if not joined and time.monotonic() > patience_ends:
                    break
                poll.wait(self._wait_ms)
        finally:
            self._link.closed()
            poll.forget(socket)
            socket.close()
        return joined

    def _turn(self, socket: DealerSocket) -> bool:
        """Everything that is due now. False when the connection is over."""
        is_open, took = self._receive(socket)
        self._commits.commit()
        self._backfills.answer()
        try:
            if self._questions.answer():
                self._metrics.witnessed(self._witness)
        except BrokenSegment as problem:
            self._suspect(problem)
        while (frame := self._link.take()) is not None:
            if not socket.send(frame):
                return False
        wait_ms = self._keep_house(is_idle=not took)
        self._wait_ms = 0 if self._backfills or self._questions else wait_ms
        return is_open

    def _keep_house(self, *, is_idle: bool) -> int:
        """Do a slice of what is due beside the log; how long until there is more of it, in ms."""
        began = time.monotonic()
        is_pressed = self._retention.urgent_seq or self._log.is_spare_late
        if not is_pressed and not self._pace.is_rested(began):
            return self._pace.wait_ms(began)
        if not self._tidy(is_idle=is_idle):
            return IDLE_MS
        now = time.monotonic()
        self._pace.worked(began, now)
        return self._pace.wait_ms(now)

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
            self._commits.take(tone)
        elif self._backfills.take(tone) or self._questions.take(tone) or self._states.take(tone):
            pass
        elif tone.chi == LinkChi.VITALS and not tone.body:
            vitals = {"pid": os.getpid(), "hive": "thehum", "metrics": self._registry.snapshot()}
            self._say(Tone(chi=LinkChi.VITALS, rid=tone.rid, to=tone.sender, body=vitals))

    # --- talking

    def _hello(self) -> Body:
        head, last = self._log.head, self._log.last_batch
        body: Body = {
            "bee": ["log"],
            "hive": "thehum",
            "from": str(self._link.hid),
            "author": self._log.author,
            "version": "",
            "protoVersion": THRUM_VERSION,
            "chis": [str(chi) for chi in LOG_CHIS],
            "head": {"seq": head.seq, "hash": head.hash, "ts_ms": head.ts_ms},
            "offer": {"epoch": last.epoch, "batch": last.number} if last else {},
            "state": "writable" if self._log.read_only is None else "read-only",
        }
        if self._log.trouble is not None:
            body["reason"] = self._log.trouble.reason
            body["trouble"] = orjson.loads(dump_trouble(self._log.trouble))
        return body

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
        tone = Tone(chi=Chi.FORGOTTEN, rid=mint(), sid=order.sid, body=report_of(order, done))
        self._reports[self._link.offer(tone)] = order

    def _on_settled(self, settled: Settled) -> None:
        for number in [number for number in self._reports if number <= settled.upto]:
            self._forgetting.reported(self._reports.pop(number))
        self._questions.settled(settled.upto)
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
            self._tend_anchors(now)
            if self._retention.urgent_seq:
                self._make_room(now, self._retention.urgent_seq)
            if self._retention.over_seq:
                self._cursors.make_room(self._retention.over_seq)
            if self._retention.tick(wall_ms=_wall_ms(), steady_ms=steady_ms()):
                self._metrics.kept(self._retention, self._log.first_seq)
                self._metrics.followed(self._cursors)
                return True
            if now < self._spare_due_at:
                return False
            if self._forgetting.has_work:
                return self._forget() or not is_idle
            has_more = (is_idle or self._log.is_half_full) and self._log.prepare()
            has_more = self._checkpoints.tick(now, is_idle=is_idle and not has_more) or has_more
            has_more = self._witness.advance(is_idle=is_idle) or has_more
            has_more = has_more or (is_idle and self._log.compress())
            return has_more or (is_idle and self._scrub.tick(now))
        except BrokenSegment as problem:
            self._suspect(problem)
            return False
        except DiskFull as problem:
            self._spare_due_at = now + SPARE_RETRY_SECONDS
            log.warning("log.no_room", extra={"reason": problem.message})
            return False

    def _suspect(self, problem: BrokenSegment) -> None:
        """A segment that cannot be read: from now on the log is read and not written."""
        self._log.suspect(self._log.first_seq, problem.message)
        self._metrics.damaged()

    def _make_room(self, now: float, upto_seq: int) -> None:
        """The bound is near: have what is to go covered by a root and by snapshots now."""
        if self._checkpoints.safe_seq < upto_seq:
            for _ in range(ROOM_SLICES):
                if not self._checkpoints.tick(now, is_idle=True):
                    break
        if self._retention.needs.floor_seq < upto_seq:
            self._states.want(now)

    def _tend_anchors(self, now: float) -> None:
        """Go on with anchoring; events whose root is not anchored yet stay until it is."""
        self._anchors.tick(self._checkpoints.newest, self._checkpoints.note, now=now)
        floor_seq = self._anchors.floor_seq
        if floor_seq is None:
            self._retention.needs.release(ANCHOR)
        else:
            self._retention.needs.hold(ANCHOR, floor_seq)
        self._metrics.anchor_failures.set(self._anchors.failures)

    def _finish(self) -> None:
        """Leave a checkpoint of the whole log behind."""
        try:
            self._checkpoints.finish()
        except (DiskFull, BrokenSegment) as problem:
            log.warning("log.no_checkpoint", extra={"reason": problem.message})


def when_there_is_room(begin: Callable[[], T], stop: Stop) -> T:
    """What `begin` returns, once there is room on the disk for what nobody can do without.

    Raises `DiskFull` when asked to stop before that.
    """
    pause = Poll([stop.descriptor])
    while True:
        try:
            with told_apart("beginning the log"):
                return begin()
        except DiskFull as problem:
            log.warning("log.no_room", extra={"reason": problem.message})
            pause.wait(IDLE_MS)
            if stop.requested:
                raise


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000
