"""What bees offer: each tone is judged, applied and recorded, or answered and forgotten.

The hot path of the router. A frame is taken whole; what it settles is settled in order.
"""

from collections.abc import Callable
from dataclasses import replace

from humd.core import authority, router
from humd.core.arrivals import Arrival, ClientId, Deliver, Duplicate, Refusal
from humd.core.clients import PEER_PREFIX, door_of
from humd.edge.bus import Bus
from humd.edge.greeting import Connection
from humd.edge.ledger import Batch
from humd.edge.metrics import Metrics
from humd.loglink import LogLink
from humd.recording import Recorder, now_ms
from thrum import frames
from thrum.chi import LOGGED, WORK, Chi, LinkChi
from thrum.errors import MalformedTone, Qualifier
from thrum.frames import BODY_BYTES_MAX, HEADER_BYTES_MAX, Header, Span
from thrum.ids import is_humd
from thrum.tones import Body, is_past_dusk

LISTENERS_LOOKED_AT = 16
"""Last effects of a batch that are checked for congestion."""
UNLOGGED_BYTES_MAX = 1024 * 1024
"""Body of a tone that is never logged; what a bee asks for may be passed on to all of them."""
MESSAGE_CHARS_MAX = 1_024
"""Of why a tone is refused; it quotes names that have no bound of their own."""
UNLOGGED: frozenset[str] = frozenset({*Chi, *LinkChi}) - LOGGED

Unlogged = Callable[[Connection, Header, bytes], None]


class Intake:
    """See the module. `excluded` are kinds of tone that are routed and never logged."""

    def __init__(
        self,
        bus: Bus,
        recorder: Recorder,
        log_link: LogLink,
        metrics: Metrics,
        *,
        excluded: frozenset[str],
    ) -> None:
        self._bus = bus
        self._recorder = recorder
        self._ledger = recorder.ledger
        self._log_link = log_link
        self._metrics = metrics
        self._excluded = excluded - UNLOGGED

    def parcels(
        self, connection: Connection, frame: bytes, spans: list[Span], unlogged: Unlogged
    ) -> None:
        """Judge, apply and record every tone of one frame of a joined connection.

        Raises `MalformedTone` for one that its sender may not write so; what came before it in the
        frame is taken.
        """
        instance, is_door = connection.instance, connection.is_door
        assert instance is not None
        now, ledger, congested = now_ms(), self._ledger, self._bus.congested
        refusal = self._log_link.refusal
        for span in spans:
            header, start, body, end = span
            chi = header.chi
            is_long = end - start > HEADER_BYTES_MAX and not connection.is_log
            if is_long and self._is_too_long(connection, span):
                continue
            if chi in UNLOGGED:
                unlogged(connection, header, frame[body:end])
                continue
            if connection.is_log:
                about = Arrival(0, 0, None, header, b"")
                self._log_link.report(connection, frame[start:end], about)
                continue
            client = instance if header.client is None else _client_of(connection, header.client)
            if chi in self._excluded:
                self._pass_by(connection, client, header, frame[body:end])
                continue
            if refusal is not None:
                self._refuse(connection, Arrival(0, 0, client, header, frame[body:end]), refusal)
                continue
            batch = ledger.batch(now, end - start)
            arrival = Arrival(ledger.next_seq, batch.at_ms, client, header, frame[body:end])
            if not self._may_pass(connection, arrival, now):
                continue
            self._metrics.count(chi)
            self._recorder.record(batch, arrival, frame[start:end])
            batch.settle(connection.id, header.seq)
            if congested:
                self._throttle(connection, batch)
            if is_door and chi == Chi.HELLO:
                batch.hellos.append(client)

    def _is_too_long(self, connection: Connection, span: Span) -> bool:
        """Whether a tone is longer than may be passed on; then its sender is told."""
        header, start, body, end = span
        body_bytes_max = UNLOGGED_BYTES_MAX if header.chi in UNLOGGED else BODY_BYTES_MAX
        if body - start > HEADER_BYTES_MAX:
            message = f"a header of {body - start} bytes; at most {HEADER_BYTES_MAX} can travel"
            header = Header("tone", seq=header.seq, client=header.client)
        elif end - body > body_bytes_max:
            message = f"{header.chi}: a body of {end - body} bytes; at most {body_bytes_max}"
        else:
            return False
        client = connection.instance
        if header.client is not None:
            client = _client_of(connection, header.client)
        refusal = Refusal(Qualifier.FRAME_TOO_LARGE, message)
        self._refuse(connection, Arrival(0, 0, client, header, frames.pack_body({})), refusal)
        return True

    def _pass_by(
        self, connection: Connection, client: ClientId, header: Header, raw: bytes
    ) -> None:
        """A tone that is never logged: it changes nothing, and those on its sid hear it."""
        self._settle(connection, header.seq)
        if is_past_dusk(header.dusk, now_ms()):
            return
        newest = self._ledger.newest  # those who hear it hear it after what came before
        for delivery in router.overheard(self._recorder.state, header, raw, client):
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
        if header.dusk is not None and is_past_dusk(header.dusk, now):
            self._settle(connection, header.seq, "past dusk")
            return False
        if header.chi in WORK and not self._log_link.takes_work:
            verdict: Refusal | Duplicate | None = self._log_link.away()
        else:
            verdict = authority.judge(self._recorder.state, arrival)
        if verdict is None:
            return True
        if isinstance(verdict, Refusal):
            self._refuse(connection, arrival, verdict)
        else:
            self._settle(connection, header.seq)
        return False

    def _refuse(self, connection: Connection, arrival: Arrival, refusal: Refusal) -> None:
        """Settle a tone that goes no further, and say why."""
        self._metrics.refused.labels(refusal.qualifier).inc()
        message = refusal.message[:MESSAGE_CHARS_MAX]
        if arrival.header.seq:
            self._settle(connection, arrival.header.seq, message)
        self._answer(arrival, replace(refusal, message=message))

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
        if refusal.retry_ms is not None:
            body["retryMs"] = refusal.retry_ms
        if refusal.cause is not None:
            body["cause"] = refusal.cause
        is_call = header.chi in (Chi.TOOL_CALL, Chi.TOOL_RESULT)
        if refusal.qualifier is Qualifier.TONE_MALFORMED:
            is_call = False  # unreadable, or named like another call, which this must not answer
        if is_call and (call_id := arrival.text("callId")):
            body["callId"] = call_id
        assert arrival.client is not None
        answer = Header(Chi.ERROR, header.rid, header.sid, "daemon")
        self._bus.owe(Deliver(arrival.client, answer, frames.pack_body(body)))


def _client_of(connection: Connection, named: str) -> ClientId:
    """For whom a door speaks; raises `MalformedTone` when it may not."""
    if not connection.is_door or not _may_be_named(connection, named):
        raise MalformedTone("only a door speaks for others, by a plain name")
    return f"{connection.instance}/{named}"


def _may_be_named(connection: Connection, client: str) -> bool:
    """Whether a door may call a client so: another humd by its hid, and nobody else like one."""
    if connection.is_ensemble:
        return is_humd(client)
    return client != "" and "/" not in client and not client.startswith(PEER_PREFIX)
