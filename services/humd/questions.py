"""Tones that pass the log by: credit, questions and answers of the log, metrics, lines of bees."""

import time

from humd.core import costs
from humd.core.arrivals import Deliver, Refusal
from humd.core.clients import SEE_ASKS, door_of
from humd.core.holding import State as LogState
from humd.core.state import State
from humd.edge.bus import Bus
from humd.edge.catchups import REPLAYER, CatchUps
from humd.edge.greeting import Connection
from humd.edge.metrics import Metrics
from humd.edge.parked import Parked
from humd.edge.projections import Projections, asks_of
from humd.edge.said_logs import BeeLogs
from humd.loglink import LogLink
from humd.recording import Recorder, now_ms
from humd.release import Release
from thrum import frames
from thrum.chi import Chi, LinkChi
from thrum.errors import Qualifier
from thrum.frames import Header

_ASKED_OF_LOG: frozenset[str] = frozenset(
    {Chi.BACKFILL, Chi.CHECKPOINT, Chi.COSIGN, Chi.SIGN, Chi.ROTATE_KEY}
)
"""Questions that go to the log, and its answers."""
OPEN_MAX = 4_096
"""Requests for events that are remembered until they are answered; who asked first is forgotten
first, and not told when the log goes."""
WONDERING_MAX = 256
"""Who may wait to hear how the log is; then all are told what is known."""
TOO_MANY = "you ask more often than anybody can answer; wait, and ask again"
DAY_MS_MAX = 4_102_444_800_000
"""A later day is not asked for."""
_NOT_FOR_YOU = Refusal(Qualifier.AUTH_DENIED, "that is not for you to ask of the log")


class Questions:
    """See the module."""

    def __init__(
        self,
        bus: Bus,
        recorder: Recorder,
        release: Release,
        log_link: LogLink,
        *,
        metrics: Metrics,
        projections: Projections,
        catch_ups: CatchUps,
        bee_logs: BeeLogs,
        parked: Parked,
    ) -> None:
        self._bus = bus
        self._recorder = recorder
        self._release = release
        self._log_link = log_link
        self._metrics = metrics
        self._projections = projections
        self._catch_ups = catch_ups
        self._bee_logs = bee_logs
        self._parked = parked
        self._open: dict[tuple[str, str], Header] = {}
        """Requests for events that the log has not answered, by asker and rid."""
        self._wondering: list[tuple[Connection, Header]] = []
        """Who asked how the log is, and the header of the answer, until that is known."""
        log_link.lost = self._log_lost

    @property
    def _state(self) -> State:
        return self._recorder.state

    def unlogged(self, connection: Connection, header: Header, raw: bytes) -> None:
        """Take one of them."""
        chi = header.chi
        if chi == LinkChi.CREDIT:
            count = frames.read_body(raw).get("count")
            self._bus.received(connection, count if isinstance(count, int) else 0)
            self._release.give_credit()
        elif chi == LinkChi.DURABLE and connection is self._log_link.connection:
            self._log_link.durable(frames.read_body(raw))
        elif chi == LinkChi.STATE and connection is self._log_link.connection:
            self._log_link.about_state(frames.read_body(raw))
        elif chi in _ASKED_OF_LOG:
            self._of_log(connection, header, raw)
        elif chi == LinkChi.VITALS:
            self._vitals(connection, header, raw)
        elif chi == Chi.LOG:
            self._said(connection, header, raw)

    def _said(self, connection: Connection, header: Header, raw: bytes) -> None:
        """A bee has something to say, for people to read."""
        client = str(connection.instance)
        if connection.is_door and header.client is not None:
            client = f"{client}/{header.client}"
        known = self._state.clients.get(client)
        name = known.name if known is not None else None
        self._bee_logs.write(client, name, header, raw, time.monotonic())

    def _of_log(self, connection: Connection, header: Header, raw: bytes) -> None:
        """A request goes to the log, an answer to who asked."""
        if connection is self._log_link.connection:
            if header.to == REPLAYER:
                self._log_link.page(header.rid or "", frames.read_body(raw))
                return
            self._open.pop((header.to or "", header.rid or ""), None)
            if header.to is not None and self._is_here(header.to):
                self._bus.owe(Deliver(header.to, header._replace(to=None, seq=0), raw))
            return
        asker = str(connection.instance)
        if header.client is not None:
            asker = f"{asker}/{header.client}"
        request = frames.pack_header(header._replace(sender=asker, client=None)) + raw
        refusal = None if self._may_ask(connection, header) else _NOT_FOR_YOU
        if refusal is None and not self._log_link.send(request):
            refusal = self._log_link.away()
        if refusal is not None:
            self._refuse(asker, header, refusal)
        elif header.rid and header.chi == Chi.BACKFILL:
            self._open[asker, header.rid] = header
            if len(self._open) > OPEN_MAX:
                del self._open[next(iter(self._open))]

    def _log_lost(self) -> None:
        """Nobody will answer what the log was asked."""
        asked, self._open = self._open, {}
        for (asker, _), header in asked.items():
            self._refuse(asker, header, self._log_link.away())

    def _refuse(self, asker: str, header: Header, refusal: Refusal) -> None:
        if self._is_here(asker):
            body = {"message": refusal.message, "qualifier": str(refusal.qualifier)}
            answer = Header(Chi.ERROR, header.rid, header.sid, "daemon")
            self._bus.owe(Deliver(asker, answer, frames.pack_body(body)))

    def _is_here(self, client: str) -> bool:
        """Whether an answer can reach a client: humd knows its bee, or it is a guest."""
        instance = door_of(client) or client
        return self._state.knows(instance) or self._bus.connection_of(instance) is not None

    def _may_ask(self, connection: Connection, header: Header) -> bool:
        """Whether somebody may have the key of this hum sign, or be replaced.

        The mesh and the operator have statements signed; the operator and a person at the door
        have the key replaced. Everything else anyone may ask.
        """
        known = self._state.clients.get(connection.instance or "")
        is_operator = known is not None and known.is_operator
        if header.chi == Chi.SIGN:
            return connection.is_ensemble or is_operator
        if header.chi == Chi.ROTATE_KEY:
            return is_operator or (connection.is_door and not connection.is_ensemble)
        return True

    def _vitals(self, connection: Connection, header: Header, raw: bytes) -> None:
        """Answers go back to who asked; a question goes to every bee, and we answer it too."""
        if header.to is not None:
            asker = self._bus.connection_of(header.to)
            if asker is not None:
                self._bus.relay(asker, frames.pack_header(header) + raw)
            return
        reply = Header(LinkChi.VITALS, header.rid, to=connection.instance)
        if connection.questions.take(time.monotonic()):
            self._bus.control(connection, reply, {"refused": TOO_MANY})
            return
        if not self._answers(connection, reply, raw):
            self._ask_all(connection, header, raw)

    def visited(self, connection: Connection, header: Header, raw: bytes) -> None:
        """A question of one that only asks; other humds' bees and ours are not bothered."""
        self._answers(connection, Header(LinkChi.VITALS, header.rid), raw)

    def _answers(self, connection: Connection, reply: Header, raw: bytes) -> bool:
        """Answer a question about our state; False when it is none."""
        question = frames.read_body(raw).get("ask")
        if question == "log":
            self._wondering.append((connection, reply))
            self._log_link.probe()
            self.tell_of_log()
            return True
        if not self._log_link.is_booted and question in ("asks", "costs"):
            self._bus.control(connection, reply, {"refused": self._log_link.holding().sentence})
            return True
        if question == "bees":
            bees = [
                {**bee.manifest, "connected": bee.is_connected}
                for bee in self._state.clients.bees()
            ]
            self._bus.control(connection, reply, {"bees": bees, "humd": self._release.humd})
            return True
        if question == "asks":
            known = self._state.clients.get(connection.instance or "")
            sees_asks = known is not None and known.sees_asks
            sees_asks = sees_asks or bool(SEE_ASKS & (connection.visits_as or frozenset()))
            asks = asks_of(self._state.asks) if sees_asks else []
            self._bus.control(connection, reply, {"asks": asks})
            return True
        if question == "costs":
            day_ms = frames.read_body(raw).get("day_ms")
            at_ms = now_ms()
            day_ms = day_ms if type(day_ms) is int and 0 < day_ms < DAY_MS_MAX else at_ms
            body = costs.view(self._state, at_ms=at_ms, day_ms=day_ms)
            self._bus.control(connection, reply, body)
            return True
        return False

    def tell_of_log(self, *, is_heard: bool = False) -> None:
        """Answer who asked how the log is: once it gives a sign of life, or is known to hold back.

        Call it for each sign of life, and again and again.
        """
        if not self._wondering:
            return
        holding, is_over = self._log_link.holding(), len(self._wondering) >= WONDERING_MAX
        if holding.state is LogState.OK and not (is_heard or is_over):
            return
        since_ms = None
        if holding.since is not None:
            since_ms = now_ms() - int((time.monotonic() - holding.since) * 1000)
        told = {"why": holding.why, "mend": holding.mend, "since_ms": since_ms}
        for connection, reply in self._wondering:
            if connection.id in self._bus.connections:
                self._bus.control(connection, reply, {"log": {"state": str(holding.state), **told}})
        self._wondering.clear()

    def _ask_all(self, connection: Connection, header: Header, raw: bytes) -> None:
        """Every bee says how it is, and so do we."""
        reply = Header(LinkChi.VITALS, header.rid, to=connection.instance)
        passed_on = frames.pack_header(header._replace(sender=connection.instance)) + raw
        for other in list(self._bus.connections.values()):
            if other.is_joined and other is not connection:
                self._bus.relay(other, passed_on)
        self._projections.measure(self._state)
        ledger, catch_ups = self._recorder.ledger, len(self._catch_ups)
        mine = self._metrics.vitals(
            self._state, ledger, self._bus, catch_ups=catch_ups, parked=self._parked
        )
        self._bus.control(connection, reply, mine)
