"""The poll loop: frames in, decisions, batches to the log, and out again what the log has.

One turn of the loop: take every frame that waits (bounded), judge and apply each tone, send the
batch that came together, hand out what became durable, write to whoever may take more. Nothing
here blocks but the poll.
"""

import logging
import time
from collections.abc import Iterable
from dataclasses import replace

from humd.core import authority, router, sentinel
from humd.core.arrivals import (
    Arrival,
    CatchUp,
    CaughtUp,
    ClientId,
    Deliver,
    Duplicate,
    Effect,
    Emit,
    Forget,
    Inherit,
    Refusal,
    Timed,
)
from humd.core.basis import Basis
from humd.core.clients import ENSEMBLE, PEER_PREFIX, door_of
from humd.core.snapshot import Owing, Snapshot
from humd.core.state import State
from humd.edge.boot import Boot
from humd.edge.bus import Bus
from humd.edge.catchups import REPLAYER, RID, CatchUps, no_catch_up
from humd.edge.greeting import Connection, NotProven, Proof, believe
from humd.edge.ledger import Batch, Ledger
from humd.edge.metrics import Metrics
from humd.edge.owing import owe_again, owing_upto
from humd.edge.projections import Projections, asks_of
from humd.edge.snapshots import Snapshots
from humd.recording import Recorder, now_ms
from nest.identity import load_identity
from nest.known import known_secrets
from nest.lifecycle import Context
from nest.sockets import Poll
from thrum import frames
from thrum.chi import LOGGED, THRUM_VERSION, WORK, Chi, LinkChi
from thrum.errors import LogUnavailable, MalformedTone, Qualifier, SettingsRefused
from thrum.frames import Header, Span
from thrum.ids import base36, is_humd
from thrum.redaction import KnownSecrets
from thrum.tones import Body, is_past_dusk

FRAMES_PER_TURN = 512
"""Frames taken before the loop writes; more wait in libzmq."""
TICK_SECONDS = 0.25
"""How often time alone is looked at, and a log that was full is tried again."""
AWAY_SECONDS = 2.0
"""How long thehum may be away before new work is refused."""
DRAIN_SECONDS = 2.0
"""How long a stop waits for what is on its way to the disk."""
LATE_MS = 100
"""While the log is behind by more, no worker is judged by its silence."""
LISTENERS_LOOKED_AT = 16
"""Last effects of a batch that are checked for congestion."""

_UNLOGGED: frozenset[str] = frozenset({*Chi, *LinkChi}) - LOGGED
_ASKED_OF_LOG: frozenset[str] = frozenset({Chi.BACKFILL, Chi.CHECKPOINT, Chi.COSIGN})
"""Questions that go to the log, and its answers."""
_AWAY = Refusal(
    Qualifier.LOG_UNAVAILABLE,
    "the log cannot be written now, so no new work is taken; try again in a moment",
)
log = logging.getLogger("humd")


class Hub:
    """Everything that humd has in memory, and the loop over it."""

    def __init__(self, context: Context) -> None:
        self._stop = context.stop
        self._metrics = Metrics(context.metrics)
        days = context.settings.humd.drift_retention_days
        self._projections = Projections(context.paths, context.metrics, drift_days=days)
        self._bus = Bus(context.paths.bus_endpoint, self._on_gone)
        settings = context.settings
        self._basis = Basis(
            default_hive=settings.nest.default,
            permission_dusk_ms=settings.humd.permission_dusk_ms,
            classifier=settings.humd.drone_classifier,
        )
        self._state = State()
        self._beat_ms = settings.humd.drone_beat_ms
        self._catch_ups = CatchUps(self._basis.permission_dusk_ms)
        self._keys = {"log": context.paths.humd_key, "operator": context.paths.operator_key}
        """Roles that need a key of this humd."""
        self._ledger = Ledger(base36(now_ms()))
        self._recorder = Recorder(self._state, self._ledger)
        self._log: Connection | None = None
        self._log_away_since = time.monotonic()
        self._log_full_since: float | None = None
        """When thehum began to refuse batches for want of room; None while it takes them."""
        self._humd = ""
        self._is_booted = False
        self._excluded = frozenset(context.settings.humd.thehum.exclude) - _UNLOGGED
        """Kinds of tone that are routed and never logged."""
        self._poll = Poll([self._stop.descriptor])
        self._boot = Boot(self, context.metrics)
        self._snapshots = Snapshots(
            self,
            self._poll,
            context.metrics,
            every_seconds=settings.humd.thehum.snapshot_interval_ms / 1000,
            secrets=lambda: KnownSecrets(known_secrets(context.paths, settings)),
        )
        self._reports: list[tuple[Connection, bytes, Arrival]] = []
        """What the log said before its last page."""
        self._credits: dict[bytes, int] = {}
        """Link numbers that are durable and not yet settled, by connection."""
        self._next_tick = 0.0

    def run(self) -> None:
        """Route until asked to stop; then let what is on its way reach the disk."""
        poll = self._poll
        self._bus.watch(poll)
        self._projections.begin()
        try:
            while not self._stop.requested:
                poll.wait(self._wait_ms())
                self._turn()
            ends = time.monotonic() + DRAIN_SECONDS
            while self._ledger.newest and time.monotonic() < ends:
                poll.wait(1)
                self._turn()
        finally:
            self._snapshots.close()
            is_durable = self._is_booted and self._ledger.newest is None
            self._projections.end(self._state, is_durable=is_durable)
            self._bus.close()

    def _wait_ms(self) -> int:
        if self._bus.has_unwritten:
            return 1
        wake_at = min(self._next_tick, self._bus.credit_due_at or self._next_tick)
        return max(0, int((wake_at - time.monotonic()) * 1000) + 1)

    def _turn(self) -> None:
        for _ in range(FRAMES_PER_TURN):
            received = self._bus.receive()
            if received is None:
                break
            self._on_frame(*received)
        self._bus.probe()
        if time.monotonic() >= self._next_tick:
            self._tick()
        if self._catch_ups:
            self._catch_up()
        self._snapshots.advance()
        self._ledger.flush()
        self._bus.write()

    def _on_frame(self, connection: Connection, frame: bytes) -> None:
        try:
            spans = frames.read_spans(frame)
            if connection.is_joined:
                self._on_parcels(connection, frame, spans)
            else:
                for span in spans:
                    self._on_greeting(connection, span.header, frame[span.body : span.end])
        except MalformedTone as problem:
            self._metrics.refused.labels(Qualifier.TONE_MALFORMED).inc()
            self._cut(connection, f"{Qualifier.TONE_MALFORMED}: {problem.message}")
        except _Full:
            self._metrics.refused.labels(Qualifier.LOG_UNAVAILABLE).inc()
            self._cut(connection, Qualifier.LOG_UNAVAILABLE)

    def _on_parcels(self, connection: Connection, frame: bytes, spans: list[Span]) -> None:
        """The hot path: judge, apply and record every tone of one frame."""
        instance, is_door = connection.instance, connection.is_door
        assert instance is not None
        now = now_ms()
        for header, start, body, end in spans:
            chi = header.chi
            if chi in _UNLOGGED:
                self._on_unlogged(connection, header, frame[body:end])
                continue
            if connection.is_log:
                self._on_report(connection, frame[start:end], Arrival(0, 0, None, header, b""))
                continue
            client = instance
            if header.client is not None:
                if not is_door or not _may_be_named(connection, header.client):
                    raise MalformedTone("only a door speaks for others, by a plain name")
                client = f"{instance}/{header.client}"
            if chi in self._excluded:
                self._pass_by(connection, client, header, frame[body:end])
                continue
            batch = self._ledger.batch(now, end - start)
            arrival = Arrival(self._ledger.next_seq, batch.at_ms, client, header, frame[body:end])
            if not self._may_pass(connection, arrival, now):
                continue
            self._metrics.count(chi)
            self._recorder.record(batch, arrival, frame[start:end])
            batch.settle(connection.id, header.seq)
            if self._bus.congested:
                self._throttle(connection, batch)
            if chi == Chi.HELLO and is_door:
                batch.hellos.append(client)

    def _on_report(self, connection: Connection, parcel: bytes, arrival: Arrival) -> None:
        """What the log has to say about itself is recorded as said by this humd."""
        if not self._is_booted:
            self._reports.append((connection, parcel, arrival))
            return
        batch = self._ledger.batch(now_ms(), len(parcel))
        self._recorder.record(batch, arrival, parcel)
        batch.settle(connection.id, arrival.header.seq)

    def _pass_by(
        self, connection: Connection, client: ClientId, header: Header, raw: bytes
    ) -> None:
        """A tone that is never logged: it changes nothing, and those on its sid hear it."""
        self._settle(connection, header.seq)
        if is_past_dusk(header.dusk, now_ms()):
            return
        newest = self._ledger.newest  # those who hear it hear it after what came before
        for delivery in router.overheard(self._state, header, raw, client):
            if newest is not None:
                newest.effects.append(delivery)
            else:
                self._bus.owe(delivery)

    def _throttle(self, connection: Connection, batch: Batch) -> None:
        """Note that a connection feeds a bee that cannot keep up: its credit will wait."""
        for effect in batch.effects[-LISTENERS_LOOKED_AT:]:
            if isinstance(effect, Deliver):
                instance = door_of(effect.client) or effect.client
                if instance in self._bus.congested and instance != connection.instance:
                    connection.feeds = instance

    def _may_pass(self, connection: Connection, arrival: Arrival, now: int) -> bool:
        """Whether the tone goes on; else it is settled now, and answered when refused."""
        header = arrival.header
        if is_past_dusk(header.dusk, now):
            self._settle(connection, header.seq, "past dusk")
            return False
        if self._ledger.is_over:
            raise _Full
        if header.chi in WORK and not self._takes_work:
            verdict: Refusal | Duplicate | None = _AWAY
        else:
            verdict = authority.judge(self._state, arrival)
        if verdict is None:
            return True
        if isinstance(verdict, Refusal):
            self._metrics.refused.labels(verdict.qualifier).inc()
            self._settle(connection, header.seq, verdict.message)
            self._answer(arrival, verdict)
        else:
            self._settle(connection, header.seq)
        return False

    @property
    def _takes_work(self) -> bool:
        since = self._log_away_since if self._log is None else self._log_full_since
        return since is None or time.monotonic() - since < AWAY_SECONDS

    def _settle(self, connection: Connection, number: int, refused: str | None = None) -> None:
        """Note that a link number needs nothing more, once everything before it is on disk."""
        if refused is not None:
            connection.refused[number] = refused
        newest = self._ledger.newest
        if newest is not None:
            newest.settle(connection.id, number)
        else:
            self._bus.credit(connection, number)

    def _answer(self, arrival: Arrival, refusal: Refusal) -> None:
        """Tell who sent a refused tone, at once; there is nothing to wait for."""
        header = arrival.header
        body: Body = {"message": refusal.message, "qualifier": str(refusal.qualifier)}
        is_call = header.chi in (Chi.TOOL_CALL, Chi.TOOL_RESULT)
        if refusal.qualifier is Qualifier.TONE_MALFORMED:
            is_call = False  # unreadable, or named like another call, which this must not answer
        if is_call and (call_id := arrival.text("callId")):
            body["callId"] = call_id
        assert arrival.client is not None
        answer = Header(Chi.ERROR, header.rid, header.sid, "daemon")
        self._bus.owe(Deliver(arrival.client, answer, frames.pack_body(body)))

    def _follow(self, effect: Effect) -> None:
        """Do what the core decided; its event is on disk."""
        if isinstance(effect, Deliver):
            is_late = self._catch_ups and effect.header.fan
            if not (is_late and self._catch_ups.leaves_out(effect)):
                self._bus.owe(effect)
        elif isinstance(effect, Forget):
            self._bus.forget(effect.client)
            self._catch_ups.forget(effect.client)
        elif isinstance(effect, Inherit):
            self._bus.inherit(effect.old, effect.new)
            self._catch_ups.inherit(effect.old, effect.new)
        elif isinstance(effect, CatchUp):
            if not self._catch_ups.begin(effect):
                self._bus.owe(no_catch_up(effect.client, effect.sid, Qualifier.QUEUE_OVERFLOW))
        elif isinstance(effect, CaughtUp):
            self._catch_ups.end(effect.client, effect.sid)
        elif isinstance(effect, Timed):
            self._projections.timed(effect, now_ms(), is_live=self._is_booted)

    def _on_greeting(self, connection: Connection, header: Header, raw: bytes) -> None:
        """Anything before a believed hello."""
        if connection.instance is not None:
            return
        if header.chi != Chi.HELLO:
            self._bus.reset(connection, "say hello first")
            return
        body = frames.read_body(raw)
        if "signature" not in body:
            epoch, version = self._ledger.epoch, THRUM_VERSION
            challenge = {"nonce": connection.nonce, "epoch": epoch, "protoVersion": version}
            self._bus.control(connection, Header(Chi.BREATH), challenge)
            return
        try:
            proof = believe(body, connection.nonce)
        except NotProven as problem:
            self._metrics.refused.labels(Qualifier.AUTH_DENIED).inc()
            refusal = {"message": problem.message, "qualifier": str(Qualifier.AUTH_DENIED)}
            self._bus.control(connection, Header(Chi.ERROR), refusal)
            return
        wanted = next((role for role in self._keys if role in proof.roles), None)
        if wanted is not None and not self._is_keeper(wanted, proof):
            self._metrics.refused.labels(Qualifier.AUTH_DENIED).inc()
            refusal = {"message": f"you are not the {wanted} of this humd"}
            qualifier = {"qualifier": str(Qualifier.AUTH_DENIED)}
            self._bus.control(connection, Header(Chi.ERROR), refusal | qualifier)
        elif wanted == "log":
            self._log_joins(connection, proof, body)
        elif not self._is_booted or not self._takes_work:
            self._bus.reset(connection, Qualifier.LOG_UNAVAILABLE)
        else:
            self._bee_joins(connection, proof, header)

    def _is_keeper(self, role: str, proof: Proof) -> bool:
        """Whether a bee holds the key that its role needs: its hid is the public half of ours."""
        try:
            return load_identity(self._keys[role], prefix=proof.hid.prefix).hid == proof.hid
        except (OSError, SettingsRefused):
            return False

    def _bee_joins(self, connection: Connection, proof: Proof, header: Header) -> None:
        """Record the hello; it is answered once it is durable."""
        known = self._state.clients.get(proof.instance)
        if known is not None and known.hid != str(proof.hid):
            self._bus.reset(connection, f"{Qualifier.AUTH_DENIED}: not your instance")
            return
        connection.is_resumed = self._state.knows(proof.instance)
        self._bus.admit(connection, proof.instance, is_door=bool(_DOORS & proof.roles))
        connection.is_ensemble = ENSEMBLE in proof.roles
        hello = Header(Chi.HELLO, header.rid, None, str(proof.hid))
        raw = frames.pack_body(proof.body)
        batch = self._ledger.batch(now_ms())
        arrival = Arrival(0, 0, proof.instance, hello, raw)
        self._recorder.record(batch, arrival, frames.pack_header(hello) + raw)
        batch.joins.append((connection, proof.cursor))

    def _joined(self, connection: Connection, cursor: int) -> None:
        """A hello is durable: answer it, and go on where the bee stopped."""
        instance = connection.instance
        client = self._state.clients.get(instance) if instance else None
        if instance is None or client is None:
            return
        if self._bus.connection_of(instance) is connection and self._bus.resume(connection, cursor):
            self._welcome(connection, settled=client.links.settled)

    def _welcome(self, connection: Connection, *, settled: int) -> None:
        body: Body = {
            "epoch": self._ledger.epoch,
            "client": connection.instance,
            "humd": self._humd,
            "settled": settled,
            "resumed": connection.is_resumed,
            "protoVersion": THRUM_VERSION,
            "sessions": [],
        }
        self._bus.control(connection, Header(Chi.BREATH), body)

    def _log_joins(self, connection: Connection, proof: Proof, body: Body) -> None:
        """Offer the log what it has not confirmed, or replay it when we have just started."""
        is_second = self._log is not None or self._humd not in ("", str(proof.hid))
        if is_second or body.get("state") != "writable":
            self._bus.reset(connection, Qualifier.LOG_UNAVAILABLE)
            return
        connection.instance, connection.is_log, connection.is_joined = proof.instance, True, True
        self._log, self._humd = connection, str(proof.hid)
        self._welcome(connection, settled=0)
        self._bus.write()
        if not self._is_booted:
            self._boot.begin()
            return
        head, offer = body.get("head") or {}, body.get("offer") or {}
        number = int(offer.get("batch") or 0)
        self._release(self._ledger.back(self.send_log, offer.get("epoch"), number))
        log.info("log.back", extra={"head": head.get("seq")})
        if int(head.get("seq") or 0) + 1 != self._ledger.oldest_seq:
            raise LogUnavailable(
                f"the log ends at {head.get('seq')}; we hold {self._ledger.oldest_seq} next",
                hint="humd starts again and replays what the log has",
            )

    def _on_own_page(self, rid: str, body: Body) -> None:
        """A page that humd asked for itself."""
        if rid.startswith(RID):
            for delivery in self._catch_ups.page(rid, body):
                self._bus.owe(delivery)
        elif not self._is_booted:
            self._boot.on_page(body)

    def _catch_up(self) -> None:
        """Ask for what late listeners may be read now; note who has everything."""
        if self._log is None or not self._is_booted:
            return
        for request in self._catch_ups.requests(self._bus.takes_more):
            self.send_log(request)
        for client, sid in self._catch_ups.confirmed(self._bus.has_confirmed):
            self._catch_ups.end(client, sid)
            self._recorder.say(router.caught_up(client, sid))

    # --- what a start and a snapshot need (`humd.edge.boot`, `humd.edge.snapshots`)

    @property
    def state(self) -> State:
        return self._state

    @property
    def newest(self) -> tuple[int, int]:
        return self._ledger.next_seq - 1, self._ledger.last_ms

    @property
    def durable_seq(self) -> int:
        return self._ledger.oldest_seq - 1

    def stand_on(self, state: State, *, at_seq: int, at_ms: int) -> None:
        self._state = self._recorder.state = state
        self._ledger.next_seq, self._ledger.last_ms = at_seq + 1, at_ms
        self._bus.start_over()
        self._catch_ups.start_over()

    def owe_again(self, snapshot: Snapshot, events: dict[int, Arrival]) -> None:
        lost = owe_again(self._bus, self._state, snapshot, events)
        for effect in snapshot.catch_ups:
            self._follow(effect)
        if lost:
            log.warning("boot.not_owed_again", extra={"parcels": lost})

    def replay(self, line: str, bodies: Body) -> list[Effect]:
        return self._recorder.replay(line, bodies)

    def follow(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            self._follow(effect)

    def has_drift(self, seq: int, ended_ms: int) -> bool:
        return self._projections.has_drift(seq, ended_ms, now_ms())

    def booted(self, last_seq: int, last_root: str) -> None:
        """Open for business."""
        self._is_booted = True
        self._projections.booted(self._state)
        reports, self._reports = self._reports, []
        self._ledger.back(self.send_log, None, 0)
        self._recorder.say(router.booted(replace(self._basis, humd=self._humd)))
        for report in reports:
            self._on_report(*report)
        self._snapshots.begin(time.monotonic(), last_seq=last_seq, last_root=last_root)
        extra = {"epoch": self._ledger.epoch, "seq": self._ledger.next_seq, "from": last_seq}
        log.info("humd.ready", extra=extra)

    def say(self, emit: Emit) -> None:
        self._recorder.say(emit)

    def owing(self, upto_seq: int) -> list[Owing]:
        return owing_upto(self._bus, self._state, upto_seq)

    def catch_ups(self) -> list[CatchUp]:
        return self._catch_ups.under_way()

    def drift(self) -> tuple[int, int]:
        return self._projections.drift_written()

    def send_log(self, frame: bytes) -> bool:
        return self._log is not None and self._bus.send(self._log, frame)

    def _on_durable(self, body: Body) -> None:
        if body.get("epoch") != self._ledger.epoch:
            return
        if "refused" not in body:
            self._log_full_since = None
            self._release(self._ledger.durable(int(body["batch"])))
        elif not self._ledger.is_flying(int(body["batch"])):
            pass  # sent before we heard that the one before it was refused; it is offered again
        elif body["refused"] == Qualifier.LOG_UNAVAILABLE:
            self._ledger.lost()
            if self._log_full_since is None:
                self._log_full_since = time.monotonic()
                log.warning("log.full", extra={"reason": body.get("reason")})
        else:
            raise LogUnavailable(f"thehum refused batch {body.get('batch')}: {body.get('reason')}")

    def _release(self, done: list[Batch]) -> None:
        """These batches are on disk: settle, deliver, answer, in that order."""
        upto: dict[bytes, int] = {}
        for batch in done:
            upto.update(batch.settled)
        self._credits.update(upto)
        self._give_credit()
        for batch in done:
            for effect in batch.effects:
                self._follow(effect)
            for client in batch.hellos:
                breath = frames.pack_body({"sessions": [], "protoVersion": THRUM_VERSION})
                self._bus.owe(Deliver(client, Header(Chi.BREATH, sender="daemon"), breath))
            for connection, cursor in batch.joins:
                self._joined(connection, cursor)

    def _give_credit(self) -> None:
        """Settle what is durable, but for those who feed a bee that cannot keep up."""
        for connection_id, number in list(self._credits.items()):
            connection = self._bus.connections.get(connection_id)
            if connection is not None and connection.feeds in self._bus.congested:
                continue
            del self._credits[connection_id]
            if connection is not None and number:
                connection.feeds = None
                self._bus.credit(connection, number)

    def _on_unlogged(self, connection: Connection, header: Header, raw: bytes) -> None:
        """Tones that pass the log by."""
        chi = header.chi
        if chi == LinkChi.CREDIT:
            count = frames.read_body(raw).get("count")
            self._bus.received(connection, count if isinstance(count, int) else 0)
            if self._credits:
                self._give_credit()
        elif chi == LinkChi.DURABLE and connection is self._log:
            self._on_durable(frames.read_body(raw))
        elif chi == LinkChi.STATE and connection is self._log:
            about = frames.read_body(raw)
            self._snapshots.answered(about) if self._is_booted else self._boot.on_state(about)
        elif chi in _ASKED_OF_LOG:
            self._on_question(connection, header, raw)
        elif chi == LinkChi.VITALS:
            self._on_vitals(connection, header, raw)

    def _on_question(self, connection: Connection, header: Header, raw: bytes) -> None:
        """A request goes to the log, an answer to who asked."""
        if connection is self._log:
            if header.to == REPLAYER:
                self._on_own_page(header.rid or "", frames.read_body(raw))
            elif header.to is not None and self._state.knows(header.to):
                self._bus.owe(Deliver(header.to, header._replace(to=None, seq=0), raw))
            return
        asker = str(connection.instance)
        if header.client is not None:
            asker = f"{asker}/{header.client}"
        request = frames.pack_header(header._replace(sender=asker, client=None)) + raw
        if not self.send_log(request):
            body = {"message": _AWAY.message, "qualifier": str(_AWAY.qualifier)}
            answer = Header(Chi.ERROR, header.rid, header.sid, "daemon")
            self._bus.owe(Deliver(asker, answer, frames.pack_body(body)))

    def _on_vitals(self, connection: Connection, header: Header, raw: bytes) -> None:
        """Answers go back to who asked; a question goes to every bee, and we answer it too."""
        if header.to is not None:
            asker = self._bus.connection_of(header.to)
            if asker is not None:
                self._bus.pass_on(asker, frames.pack_header(header) + raw)
            return
        reply = Header(LinkChi.VITALS, header.rid, to=connection.instance)
        question = frames.read_body(raw).get("ask")
        if question == "bees":
            bees = [
                {**bee.manifest, "connected": bee.is_connected}
                for bee in self._state.clients.bees()
            ]
            self._bus.control(connection, reply, {"bees": bees, "humd": self._humd})
            return
        if question == "asks":
            known = self._state.clients.get(connection.instance or "")
            is_operator = known is not None and known.is_operator
            asks = asks_of(self._state.asks) if is_operator else []
            self._bus.control(connection, reply, {"asks": asks})
            return
        passed_on = frames.pack_header(header._replace(sender=connection.instance)) + raw
        for other in list(self._bus.connections.values()):
            if other.is_joined and other is not connection:
                self._bus.pass_on(other, passed_on)
        self._projections.measure(self._state)
        catch_ups = len(self._catch_ups)
        mine = self._metrics.vitals(self._state, self._ledger, self._bus, catch_ups=catch_ups)
        self._bus.control(connection, reply, mine)

    def _cut(self, connection: Connection, reason: str) -> None:
        """End a connection from our side. Its bee has a while to come back and offer again."""
        self._bus.reset(connection, reason)
        if connection.is_log:
            self._on_gone(connection)
        elif connection.instance is not None:
            self._recorder.say(router.cut(connection.instance))

    def _on_gone(self, connection: Connection) -> None:
        """A connection is over. A bee that is gone with it will not come back."""
        if connection.is_log:
            if self._log is connection:
                self._log, self._log_away_since = None, time.monotonic()
                self._ledger.lost()
                self._catch_ups.log_lost()
                self._snapshots.log_lost()
                log.warning("log.away")
        elif connection.instance is not None:
            self._recorder.say(router.lost(connection.instance, is_door=connection.is_door))

    def _tick(self) -> None:
        """What time alone brings about."""
        self._next_tick = time.monotonic() + TICK_SECONDS
        self._bus.expire()
        self._give_credit()
        if not self._is_booted:
            return
        if self._log_full_since is not None and self._ledger.send is None:
            self._ledger.back(self.send_log, None, 0)
        for emit in router.due(self._state, now_ms()):
            self._recorder.say(emit)
        is_late = self._ledger.lag_ms(now_ms()) > LATE_MS  # no question would get through
        for emit in [] if is_late else sentinel.due(self._state, now_ms(), beat_ms=self._beat_ms):
            self._metrics.acts.labels(emit.chi).inc()
            self._recorder.say(emit)
        self._snapshots.tick(time.monotonic())
        self._projections.tick(
            self._state,
            time.monotonic(),
            now_ms(),
            next_seq=self._ledger.next_seq,
            durable_seq=self._ledger.oldest_seq - 1,
        )


_DOORS = frozenset({"door", ENSEMBLE})
"""Roles of bees that speak for others."""


def _may_be_named(connection: Connection, client: str) -> bool:
    """Whether a door may call a client so: another humd by its hid, and nobody else like one."""
    if connection.is_ensemble:
        return is_humd(client)
    return client != "" and "/" not in client and not client.startswith(PEER_PREFIX)


class _Full(Exception):
    """Nothing more can be held: the bee must offer again later."""
