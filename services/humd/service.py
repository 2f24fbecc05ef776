"""The poll loop: frames in, decisions, batches to the log, and out again what the log has.

One turn of the loop: take every frame that waits (bounded), judge and apply each tone, send the
batch that came together, hand out what became durable, write to whoever may take more. Nothing
here blocks but the poll.
"""

import logging
import time

from humd.core import authority, router
from humd.core.arrivals import (
    Arrival,
    Deliver,
    Duplicate,
    Effect,
    Forget,
    Inherit,
    Refusal,
)
from humd.core.clients import door_of
from humd.core.state import State
from humd.edge import projections
from humd.edge.bus import Bus
from humd.edge.greeting import LOG_PREFIX, Connection, NotProven, Proof, believe
from humd.edge.ledger import Batch, Ledger
from humd.edge.metrics import Metrics
from humd.recording import Recorder, now_ms
from nest.lifecycle import Context
from nest.sockets import Poll
from thrum import frames
from thrum.chi import THRUM_VERSION, WORK, Chi, LinkChi
from thrum.errors import LogUnavailable, MalformedTone, Qualifier
from thrum.frames import Header, Span
from thrum.ids import base36
from thrum.tones import Body, is_past_dusk

FRAMES_PER_TURN = 512
"""Frames taken before the loop writes; more wait in libzmq."""
TICK_SECONDS = 0.25
"""How often time alone is looked at, and a log that was full is tried again."""
AWAY_SECONDS = 2.0
"""How long thehum may be away before new work is refused."""
DRAIN_SECONDS = 2.0
"""How long a stop waits for what is on its way to the disk."""
REPLAY_PAGE_EVENTS = 4_096
LISTENERS_LOOKED_AT = 16
"""Last effects of a batch that are checked for congestion."""
REPLAYER = "humd"
"""Whose name is on humd's own `backfill` requests."""

_UNLOGGED: frozenset[str] = frozenset({Chi.ECHO, Chi.LOG, Chi.BACKFILL, *LinkChi})
_AWAY = Refusal(
    Qualifier.LOG_UNAVAILABLE,
    "the log cannot be written now, so no new work is taken; try again in a moment",
)
log = logging.getLogger("humd")


class Hub:
    """Everything that humd has in memory, and the loop over it."""

    def __init__(self, context: Context) -> None:
        self._bees_json = context.paths.bees_json
        self._stop = context.stop
        self._metrics = Metrics(context.metrics)
        self._bus = Bus(context.paths.bus_endpoint, self._on_gone)
        self._state = State()
        self._default_hive = context.settings.nest.default
        self._ledger = Ledger(base36(now_ms()))
        self._recorder = Recorder(self._state, self._ledger)
        self._log: Connection | None = None
        self._log_away_since = time.monotonic()
        self._log_full_since: float | None = None
        """When thehum began to refuse batches for want of room; None while it takes them."""
        self._humd = ""
        self._is_booted = False
        self._credits: dict[bytes, int] = {}
        """Link numbers that are durable and not yet settled, by connection."""
        self._next_tick = 0.0
        self._written_generation = -1

    def run(self) -> None:
        """Route until asked to stop; then let what is on its way reach the disk."""
        poll = Poll([self._stop.descriptor])
        self._bus.watch(poll)
        projections.write_bees(self._bees_json, [])
        try:
            while not self._stop.requested:
                poll.wait(self._wait_ms())
                self._turn()
            ends = time.monotonic() + DRAIN_SECONDS
            while self._ledger.newest and time.monotonic() < ends:
                poll.wait(1)
                self._turn()
        finally:
            projections.write_bees(self._bees_json, [])
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
            client = instance
            if header.client is not None:
                if not is_door or not header.client or "/" in header.client:
                    raise MalformedTone("only a door speaks for others, by a plain name")
                client = f"{instance}/{header.client}"
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
            self._bus.owe(effect)
        elif isinstance(effect, Forget):
            self._bus.forget(effect.client)
        elif isinstance(effect, Inherit):
            self._bus.inherit(effect.old, effect.new)

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
        if "log" in proof.roles and proof.hid.prefix == LOG_PREFIX:
            self._log_joins(connection, proof, body)
        elif not self._is_booted or not self._takes_work:
            self._bus.reset(connection, Qualifier.LOG_UNAVAILABLE)
        else:
            self._bee_joins(connection, proof, header)

    def _bee_joins(self, connection: Connection, proof: Proof, header: Header) -> None:
        """Record the hello; it is answered once it is durable."""
        known = self._state.clients.get(proof.instance)
        if known is not None and known.hid != str(proof.hid):
            self._bus.reset(connection, f"{Qualifier.AUTH_DENIED}: not your instance")
            return
        connection.is_resumed = self._state.knows(proof.instance)
        self._bus.admit(connection, proof.instance, is_door="door" in proof.roles)
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
            self._welcome(connection, settled=client.link)

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
            self._ask_page(self._ledger.next_seq)
            return
        head, offer = body.get("head") or {}, body.get("offer") or {}
        number = int(offer.get("batch") or 0)
        self._release(self._ledger.back(self._send_log, offer.get("epoch"), number))
        log.info("log.back", extra={"head": head.get("seq")})
        if int(head.get("seq") or 0) + 1 != self._ledger.oldest_seq:
            raise LogUnavailable(
                f"the log ends at {head.get('seq')}; we hold {self._ledger.oldest_seq} next",
                hint="humd starts again and replays what the log has",
            )

    def _ask_page(self, from_seq: int) -> None:
        header = Header(Chi.BACKFILL, f"replay-{from_seq}", sender=REPLAYER)
        body = {"from_seq": from_seq, "limit": REPLAY_PAGE_EVENTS, "bulk": True}
        self._send_log(frames.pack(header, body))

    def _on_page(self, body: Body) -> None:
        """Replay one page; after the last one, open for business."""
        if self._is_booted:
            return
        for line in body.get("events", []):
            for effect in self._recorder.replay(line):
                self._follow(effect)
        if body.get("next_seq"):
            self._ask_page(int(body["next_seq"]))
            return
        self._is_booted = True
        self._ledger.back(self._send_log, None, 0)
        self._recorder.say(router.booted(self._default_hive))
        log.info("humd.ready", extra={"epoch": self._ledger.epoch, "seq": self._ledger.next_seq})

    def _send_log(self, frame: bytes) -> bool:
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
        elif chi == Chi.BACKFILL:
            self._on_backfill(connection, header, raw)
        elif chi == LinkChi.VITALS:
            self._on_vitals(connection, header, raw)

    def _on_backfill(self, connection: Connection, header: Header, raw: bytes) -> None:
        """A request goes to the log, an answer to who asked."""
        if connection is self._log:
            if header.to == REPLAYER:
                self._on_page(frames.read_body(raw))
            elif header.to is not None and self._state.knows(header.to):
                self._bus.owe(Deliver(header.to, header._replace(to=None, seq=0), raw))
            return
        asker = str(connection.instance)
        if header.client is not None:
            asker = f"{asker}/{header.client}"
        request = frames.pack_header(header._replace(sender=asker, client=None)) + raw
        if not self._send_log(request):
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
        if frames.read_body(raw).get("ask") == "bees":
            bees = [
                {**bee.manifest, "connected": bee.is_connected}
                for bee in self._state.clients.bees()
            ]
            self._bus.control(connection, reply, {"bees": bees, "humd": self._humd})
            return
        question = frames.pack_header(header._replace(sender=connection.instance)) + raw
        for other in list(self._bus.connections.values()):
            if other.is_joined and other is not connection:
                self._bus.pass_on(other, question)
        mine = self._metrics.vitals(self._state, self._ledger, self._bus)
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
            self._ledger.back(self._send_log, None, 0)
        for emit in router.due(self._state, now_ms()):
            self._recorder.say(emit)
        if self._written_generation != self._state.clients.generation:
            self._written_generation = self._state.clients.generation
            projections.write_bees(self._bees_json, self._state.clients.bees())


class _Full(Exception):
    """Nothing more can be held: the bee must offer again later."""
