"""Where clients and humd meet: one bee on the bus, any number of clients at the door.

Every tone of a client goes to humd with the client's id beside it, and every tone from humd names
the client it is for. The door reads from clients only while humd takes what it sends, so a pause of
humd pauses them; an echo leaves only when its tone is on disk or refused.
"""

import asyncio
import logging
import secrets
import time
from collections import deque

from nest.bee import Bee
from nest.bucket import Bucket
from nest.large import give_back
from nest.link import Joined, Settled
from nest.metrics import Registry
from thrum.chi import Chi
from thrum.errors import HumError, MalformedTone, Qualifier
from thrum.ids import HUMID_RANDOM_BYTES, mint_humid
from thrum.tones import Tone
from thrumd.core import inbound
from thrumd.core.inbound import Kept, Reason
from thrumd.core.outbound import addressed
from thrumd.core.receipts import Receipt, Receipts
from thrumd.core.waiting import Waiting, worst
from thrumd.edge.connection import SLOW_READER, Connection
from thrumd.edge.counts import Counts

CLIENTS_MAX = 16_384
"""Connections at once. One more is told so and closed."""
UNFINISHED_BYTES_MAX = 64 * 1024 * 1024
"""Bytes of unfinished lines, over all clients; a long line that would exceed it is skipped."""
DISCONNECT = "disconnect"
"""What humd hears of a client that left by itself."""
NOISE_PER_SECOND = 20_000.0
NOISE_BURST = 20_000.0
"""Lines of all clients together that may lead nowhere; beyond it, whoever sends more is paced."""
PACED_SECONDS = 0.001
"""Between two turns of clients that say what leads nowhere, however many of them there are."""
QUIET_SECONDS = 0.05
"""After so long without a tone from or for anybody they may have what nobody else wants."""
SHORT_LINE_BYTES = 64 * 1024
"""An unfinished line up to this is kept whatever others hold."""

log = logging.getLogger(__name__)


class Door:
    """See the module. `bee` is set by the service before the first client arrives."""

    bee: Bee

    def __init__(self, metrics: Registry, *, nest: str, line_bytes_max: int) -> None:
        self.line_bytes_max = line_bytes_max
        self._nest = nest
        self._clients: dict[str, Connection] = {}
        self._receipts = Receipts()
        self._waiting: deque[Connection] = deque()
        self._noise = Bucket(NOISE_PER_SECOND, NOISE_BURST)
        self._is_busy = True
        """Whether a tone came or went since a paced client was served."""
        self._quiet_at = 0.0
        self._paced: deque[Connection] = deque()
        """Clients whose lines lead nowhere: one of them has a turn every `PACED_SECONDS`."""
        self._watched: set[Connection] = set()
        self._gone: deque[tuple[str, str]] = deque()
        """Clients that left and why, which humd is still to hear."""
        self._unfinished_bytes = 0
        self._owed = Waiting()
        self._is_closing = False
        self._has_joined = False
        self.emptied = asyncio.Event()
        """Set once the last client is gone, after `close`."""
        self._count = Counts(metrics)

    @property
    def is_full(self) -> bool:
        """Whether no more clients are let in."""
        return len(self._clients) >= CLIENTS_MAX

    @property
    def client_count(self) -> int:
        return len(self._clients)

    def connection(self) -> Connection:
        """A new client with an id of its own."""
        now_ms = time.time_ns() // 1_000_000
        return Connection(self, mint_humid(now_ms, secrets.token_bytes(HUMID_RANDOM_BYTES)))

    def refused(self, reason: str) -> None:
        """Count a connection that was not let in."""
        self._count.refused.labels(reason).inc()

    async def receive(self) -> None:
        """Deliver what humd sends, for ever.

        Raises `StreamBroken` when tones went missing on the way: then the door had better end, so
        that its clients come back and nobody waits for what was lost.
        """
        while True:
            tones, mark = await self.bee.inbox.take(), self.bee.mark
            for tone in tones:
                self._deliver(tone)
            self.bee.handled(mark)
            self._is_busy = True

    def sweep(self, now: float) -> None:
        """End the connections that are overdue, and give back the memory that is free since.

        Call it about once a second.
        """
        for client in list(self._watched):
            if client.is_deaf(now):
                client.cut()
            elif (reason := client.overdue(now)) is not None:
                self.cut(client, reason)
            elif not client.is_watched:
                self._watched.discard(client)
        if self._owed.has_fallen():
            give_back()

    def stop(self) -> None:
        """Take nothing more from clients, and tell humd that they are gone."""
        self._is_closing = True
        for client in self._clients.values():
            client.stop_reading()
            self._retract(client, DISCONNECT)

    def close(self) -> None:
        """Close every connection once its lines are written."""
        for client in list(self._clients.values()):
            client.close()
        self._mind_empty()

    def arrived(self, client: Connection) -> None:
        """A client is there: it hears the first breath before it has said anything."""
        self._clients[client.client] = client
        self._count.clients.set(len(self._clients))
        client.reply(inbound.first_breath())

    def left(self, client: Connection) -> None:
        """A client is gone: humd is told, as soon as it takes anything."""
        self._watched.discard(client)
        self._leave(client, DISCONNECT)

    def _leave(self, client: Connection, reason: str) -> None:
        """Deliver nothing more to a client, and tell humd why; once for each."""
        if self._clients.pop(client.client, None) is None:
            return
        self._count.clients.set(len(self._clients))
        self.hold(-client.held_bytes, 0)
        if self._is_closing:
            self._mind_empty()
        else:
            self._retract(client, reason)

    def watch(self, client: Connection) -> None:
        """Look at this client at the next sweeps."""
        self._watched.add(client)

    def cut(self, client: Connection, reason: str) -> None:
        """End a connection that harms the others. humd hears the reason, and so may the client."""
        self._count.cut.labels(reason).inc()
        if reason == SLOW_READER:
            lost = client.cut(inbound.slow_reader_line())
            self.watch(client)  # until it has read that, or is deaf
        else:
            lost = client.cut()
        self._count.undelivered.labels(reason).inc(lost)
        seen = {"client": client.client, "reason": reason, "undelivered": lost}
        log.warning("door.cut", extra=seen)
        self._leave(client, reason)

    def hold(self, more: int, whole: int) -> bool:
        """Account for `more` bytes of an unfinished line of now `whole` bytes.

        False when all clients together hold too much: then the caller gives this line up.
        """
        self._unfinished_bytes += more
        return whole <= SHORT_LINE_BYTES or self._unfinished_bytes <= UNFINISHED_BYTES_MAX

    def owe(self, more: int) -> None:
        """Account for `more` bytes that wait for a client; cut those with most when it is too much.

        The caller may be among them.
        """
        self._owed.move(more)
        self._count.waiting.set(self._owed.total)
        if more > 0 and self._owed.is_over:
            owed = {client: client.owed_bytes for client in self._clients.values()}
            for client in worst(owed):
                self.cut(client, SLOW_READER)

    @property
    def has_room(self) -> bool:
        """Whether a line may be taken."""
        return self.bee.has_room and self._receipts.has_room and not self._is_closing

    def wait_for_room(self, client: Connection) -> None:
        """Give this client its turn once there is room."""
        self._waiting.append(client)

    def is_noisy(self, lines: int) -> bool:
        """Whether so many more lines that lead nowhere are too many for the door."""
        return self._noise.take(asyncio.get_running_loop().time(), lines) > 0

    def pace(self, client: Connection) -> None:
        """Give this client its turn among those whose lines lead nowhere."""
        self._count.paced.inc()
        self._paced.append(client)
        if len(self._paced) == 1:
            self._pace_on()

    def _pace_on(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        if self._is_busy:
            self._is_busy, self._quiet_at = False, now + QUIET_SECONDS
        wait = PACED_SECONDS if now < self._quiet_at else 0
        loop.call_later(wait, self._serve_paced)

    def _serve_paced(self) -> None:
        client = self._paced.popleft()
        if self._paced:
            self._pace_on()
        client.take_turn()

    def take(self, client: Connection, line: bytes | None) -> bool:
        """Handle one line; None stands for one over the limit. The caller has seen `has_room`.

        Whether it is a tone that goes on: the others are what a client is paced for.
        """
        self._count.lines_in.inc()
        if line is None:
            self._keep(client, Reason.TOO_LARGE, inbound.too_large_line(self.line_bytes_max))
            return False
        decision = inbound.decide(line, time.time_ns() // 1_000_000)
        if isinstance(decision, Kept):
            self._keep(client, decision.reason, decision.reply)
            return False
        return decision is not None and self._forward(client, decision, len(line))

    def joined(self, event: Joined) -> None:
        """Note that humd answered our hello, and says what it has on disk.

        A humd that had given us up knows none of our clients any more: they must say hello again,
        and the only way to make them is to end their connections.
        """
        log.info("door.joined", extra={"epoch": event.epoch, "clients": len(self._clients)})
        self._settle(event.settled, {})
        if self._has_joined and not event.is_resumed:
            for client in list(self._clients.values()):
                if client.is_known:
                    self.cut(client, "given-up")
        self._has_joined = True

    def settled(self, event: Settled) -> None:
        """Echo the tones that humd has on disk, or refused."""
        self._settle(event.upto, event.refused)

    def _settle(self, upto: int, refused: dict[int, str]) -> None:
        echoes: dict[str, list[bytes]] = {}
        for receipt, reason in self._receipts.settle(upto, refused):
            line = inbound.echo_line(receipt.rid or "", reason)
            echoes.setdefault(receipt.client, []).append(line)
        for name, lines in echoes.items():
            if (client := self._clients.get(name)) is not None:
                self._count.lines_out.inc(len(lines))
                client.reply(b"".join(lines))
        self._flush_gone()
        for _ in range(len(self._waiting)):
            if not self.has_room:
                return
            self._waiting.popleft().take_turn()

    def _keep(self, client: Connection, reason: Reason, reply: bytes) -> None:
        self._count.dropped[reason].inc()
        if reply:
            self._count.lines_out.inc()
            client.reply(reply)

    def _forward(self, client: Connection, tone: Tone, size: int) -> bool:
        if tone.chi == Chi.LOG and not client.may_talk():
            self._keep(client, Reason.TALK, b"")
            return False
        self._is_busy = True
        rid = tone.rid
        tone.client = client.client
        if tone.chi == Chi.HELLO:
            for concern in inbound.concerns(tone):
                self._count.concerns.inc()
                log.warning("door.hello", extra={"client": client.client, "reason": concern})
            if skew := inbound.skew_line(tone):
                client.reply(skew)
        try:
            number = self.bee.post(tone)
        except MalformedTone as problem:
            line = inbound.error_line(Qualifier.TONE_MALFORMED, problem.message, tone)
            self._keep(client, Reason.MALFORMED, line)
            return False
        client.is_known = True
        if number:
            self._receipts.expect(Receipt(number, client.client, rid, size))
        elif (
            rid is not None and tone.chi != Chi.LOG
        ):  # never logged, so there is nothing to wait for
            client.reply(inbound.echo_line(rid, None if self.bee.is_connected else "humd is away"))
        return True

    def _deliver(self, tone: Tone) -> None:
        client = self._clients.get(tone.client or "")
        if client is None:
            self._count.undelivered.labels("client-gone").inc()
            return
        try:
            is_sent = client.deliver(addressed(tone, self._nest))
        except HumError as problem:
            log.error("door.unwritable", extra={"chi": tone.chi, "reason": problem.message})
            self._count.undelivered.labels("unwritable").inc()
            return
        if is_sent:
            self._count.lines_out.inc()
        else:
            self._count.undelivered.labels("slow-reader").inc()

    def _mind_empty(self) -> None:
        if not self._clients:
            self.emptied.set()

    def _retract(self, client: Connection, reason: str) -> None:
        if client.is_known:
            self._gone.append((client.client, reason))
            self._flush_gone()

    def _flush_gone(self) -> None:
        """Tell humd which clients are gone, as far as it takes anything."""
        while self._gone and self.bee.has_room:
            name, reason = self._gone.popleft()
            body = {"scope": "client", "reason": reason}
            self.bee.post(Tone(chi=Chi.BEE_RETRACT, client=name, body=body))
