"""The bus socket: connections, what is owed on each, and writing it.

Everything here is keyed by connection or by instance and decides nothing about tones. A connection
that ends is reported once through `on_gone`.
"""

import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterable

from humd.core.arrivals import ClientId, Deliver, Inherit
from humd.core.authority import TELEMETRY
from humd.core.clients import door_of
from humd.core.hellos import HEARD_MAX
from humd.edge.greeting import Connection
from humd.edge.outbox import STALL_SECONDS, Outbox, Owed
from nest.sockets import Poll, RouterSocket, Sent
from thrum import frames
from thrum.chi import Chi, LinkChi
from thrum.errors import Qualifier
from thrum.frames import FRAME_BYTES_MAX, Header
from thrum.tones import Body

CONNECTIONS_MAX = 4_096
"""Connections at once; past it the oldest that has not greeted is forgotten."""
CONTROL_PARCELS_MAX = 4_096
"""Link tones that wait for one connection; then its bee is cut off."""
RELAYED_PARCELS_MAX = 64
"""Link tones of others that wait for one connection; one more is not passed on."""
PROBES = 3
"""Looks for a peer that is gone: libzmq tells of the end a moment before it lets go of the peer."""
CATCH_UP_PARCELS = 1_024
"""A late listener is read more while fewer than these wait for its bee."""
CREDIT_SECONDS = 0.005
"""How long a credit may wait for something else that goes to the same bee."""
CREDIT_AT_ONCE = 256
"""Parcels settled that are told without waiting: their sender may soon have to stop."""
GREETING_SECONDS = 5.0
"""How long a connection may stay without a believed hello."""
_GAP = frames.pack_body(
    {
        "message": "the door was killed while this conversation was told, and you did not say what "
        "you have heard of it: some may be missing; attach with the wane of the last tone heard",
        "qualifier": str(Qualifier.STREAM_GAP),
    }
)
_new = tuple.__new__


class Bus:
    """See the module."""

    def __init__(
        self, endpoint: str, on_gone: Callable[[Connection], None], *, silence_ms: int
    ) -> None:
        """A process that does not even answer on the wire for `silence_ms` is gone."""
        self._socket = RouterSocket(endpoint, silence_ms=silence_ms)
        self._on_gone = on_gone
        self.connections: dict[bytes, Connection] = {}
        self._by_instance: dict[ClientId, Connection] = {}
        self._outboxes: dict[ClientId, Outbox] = {}
        self._dirty: dict[bytes, Connection] = {}
        self._credits_due: dict[bytes, float] = {}
        """Connections with a credit that nothing carried yet, the longest waiting first."""
        self.congested: dict[ClientId, float] = {}
        """Instances that are owed too much, and when they last took something."""
        self._probes_due = 0
        self.undelivered: Counter[str] = Counter()
        """Parcels that their bee will not get, by reason."""
        self.overflows = 0
        """Bees cut off because they did not take what they were owed."""

    def watch(self, poll: Poll) -> None:
        poll.watch(self._socket)

    def close(self) -> None:
        self._socket.close()

    @property
    def owed_parcels(self) -> int:
        """Parcels in all outboxes."""
        return sum(map(len, self._outboxes.values()))

    @property
    def outbox_count(self) -> int:
        return len(self._outboxes)

    @property
    def has_unwritten(self) -> bool:
        """Whether something waits to be written that could not be written yet."""
        return bool(self._dirty)

    def receive(self) -> tuple[Connection, bytes] | None:
        """The next frame and its connection, which is made when it is new."""
        received = self._socket.receive()
        if received is None:
            return None
        connection_id, frame = received
        return self.connections.get(connection_id) or self._open(connection_id), frame

    def connection_of(self, instance: ClientId) -> Connection | None:
        """The live connection of a bee."""
        return self._by_instance.get(instance)

    def admit(self, connection: Connection, instance: ClientId, *, is_door: bool) -> None:
        """This connection speaks for `instance` now; an older one of it is forgotten."""
        before = self._by_instance.pop(instance, None)
        if before is not None:
            self._forget_connection(before)
        connection.instance, connection.is_door = instance, is_door
        self._by_instance[instance] = connection

    def resume(self, connection: Connection, cursor: int) -> bool:
        """The hello is answered: go on after what the bee has seen.

        False when some of what it has not seen is no longer here; then it is cut off.
        """
        assert connection.instance is not None
        outbox = self._outboxes.setdefault(connection.instance, Outbox())
        if not outbox.resume(cursor):
            self._overflow(connection)
            return False
        if connection.instance in self.congested:
            self._relieve(connection.instance, outbox)
        connection.is_joined = True
        self._dirty[connection.id] = connection
        return True

    def control(self, connection: Connection, header: Header, body: Body) -> None:
        """Send a link tone, before anything that is owed."""
        self.pass_on(connection, frames.pack(header, body))

    def pass_on(self, connection: Connection, parcel: bytes) -> None:
        """Send a link tone as it is. A bee that takes none of them is cut off."""
        if len(parcel) > FRAME_BYTES_MAX:
            self.undelivered["too-large"] += 1
            return
        connection.control.append(parcel)
        self._dirty[connection.id] = connection
        if len(connection.control) == CONTROL_PARCELS_MAX:
            self._write(connection)
            if connection.control and connection.id in self.connections:
                self._overflow(connection)

    def relay(self, connection: Connection, parcel: bytes) -> None:
        """Send what one bee asks of another, or answers it, unless too much of it waits."""
        if len(connection.control) >= RELAYED_PARCELS_MAX:
            self._write(connection)
        if len(connection.control) >= RELAYED_PARCELS_MAX:
            self.undelivered["relay"] += 1
        else:
            self.pass_on(connection, parcel)

    def credit(self, connection: Connection, upto: int) -> None:
        """Everything up to this link number is settled: the bee will be told.

        At once when something else goes to it, when it is a door (its clients wait for echoes), or
        when much was settled; else within `CREDIT_SECONDS`. Waking a bee only for this would cost
        more than routing a tone, and just when somebody else has work to do.
        """
        connection.settled = upto
        is_much = upto - connection.credited >= CREDIT_AT_ONCE
        if connection.is_door or is_much or connection.refused:
            self._dirty[connection.id] = connection
        else:
            self._credits_due.setdefault(connection.id, time.monotonic() + CREDIT_SECONDS)

    def received(self, connection: Connection, count: int) -> None:
        """A bee says how many parcels it has received."""
        outbox = self._outboxes.get(connection.instance or "")
        if outbox is not None:
            outbox.credit(count)
            self._dirty[connection.id] = connection
            if connection.instance in self.congested:
                self._relieve(connection.instance, outbox)

    def owe(self, delivery: Deliver) -> None:
        """Put a parcel into the outbox of its bee, or of its client's door."""
        client, header, raw = delivery
        instance = door_of(client)
        if instance is None:
            instance = client
        else:
            header = header._replace(client=client[len(instance) + 1 :])
        outbox = self._outboxes.get(instance)
        if outbox is None:
            outbox = self._outboxes[instance] = Outbox()
        outbox.put(_new(Owed, (header, raw)))
        connection = self._by_instance.get(instance)
        if connection is not None:
            self._dirty[connection.id] = connection
            if outbox.is_over:
                self._overflow(connection)
            elif instance not in self.congested and outbox.is_congested:
                self.congested[instance] = time.monotonic()
        elif outbox.is_over:
            outbox.shed()

    def outboxes(self) -> Iterable[tuple[ClientId, Outbox]]:
        """Every instance and what it is owed."""
        return self._outboxes.items()

    def outbox(self, instance: ClientId) -> Outbox:
        """What an instance is owed."""
        return self._outboxes.setdefault(instance, Outbox())

    def start_over(self) -> None:
        """Owe nothing to anybody: what was read so far was not believed."""
        self._outboxes.clear()

    def takes_more(self, client: ClientId) -> bool:
        """Whether a client is here and has taken most of what it was sent."""
        instance = door_of(client) or client
        connection, outbox = self._by_instance.get(instance), self._outboxes.get(instance)
        if connection is None or not connection.is_joined or outbox is None:
            return False
        return len(outbox) < CATCH_UP_PARCELS

    def has_confirmed(self, client: ClientId) -> bool:
        """Whether a client has confirmed everything that was read to it from the log."""
        outbox = self._outboxes.get(door_of(client) or client)
        return outbox is not None and not outbox.read_from_log

    def inherit(self, effect: Inherit) -> None:
        """What waits for a client of one door is for a client of another, but what it has heard.

        One that does not say what it has heard is told nothing twice: where some of a sid may have
        been told, it gets an `error` in its place.
        """
        old, new, seq, heard = effect
        door = door_of(old)
        outbox = self._outboxes.get(door) if door else None
        if outbox is None:
            return
        mine = outbox.take_for(old.rpartition("/")[2])
        gaps = _gaps(mine) if heard is None else []
        for (header, raw), may_be_told in mine:
            sid, wane = header.sid, header.wane
            if header.fan and sid and wane:
                if heard is None and may_be_told:
                    self.undelivered["told-perhaps"] += 1
                    if sid in gaps:
                        gaps.remove(sid)
                        error = Header(Chi.ERROR, None, sid, "daemon", seq=seq)
                        self.owe(Deliver(new, error, _GAP))
                    continue
                if heard is not None and wane <= heard.get(sid, 0):
                    continue
            number = seq if header.seq else 0
            self.owe(Deliver(new, header._replace(client=None, seq=number), raw))

    def forget(self, client: ClientId) -> None:
        """Nothing is owed to this client any more."""
        outbox = self._outboxes.pop(client, None)
        if outbox is not None:
            self.undelivered["bee-gone"] += len(outbox)
            self.undelivered["shed"] += outbox.shed_count
        self.congested.pop(client, None)

    @property
    def credit_due_at(self) -> float | None:
        """When, by the monotonic clock, the next credit is due that nothing carries."""
        return next(iter(self._credits_due.values()), None)

    def write(self) -> None:
        """Write to every connection whatever it may take now."""
        while self._credits_due and next(iter(self._credits_due.values())) <= time.monotonic():
            connection_id = next(iter(self._credits_due))
            del self._credits_due[connection_id]
            if (late := self.connections.get(connection_id)) is not None:
                self._dirty[connection_id] = late
        for connection in list(self._dirty.values()):
            self._write(connection)

    def reset(self, connection: Connection, reason: str) -> None:
        """End a connection without calling its bee gone; a well-behaved one makes a new one."""
        connection.control.append(frames.pack(Header(LinkChi.RESET), {"reason": str(reason)}))
        connection.is_joined = False
        self._write(connection)
        self._forget_connection(connection)
        if connection.instance and self._by_instance.get(connection.instance) is connection:
            del self._by_instance[connection.instance]

    def probe(self) -> None:
        """After some connection ended, find out which."""
        if self._socket.disconnects():
            self._probes_due = PROBES
            self._find_gone()

    def _find_gone(self) -> None:
        """An empty frame tells which peers are no longer there."""
        self._probes_due -= 1
        for connection in list(self.connections.values()):
            if self._socket.send(connection.id, b"") is Sent.GONE:
                self.gone(connection)

    def expire(self) -> None:
        """Forget connections that never said who they are; cut off bees that take nothing."""
        if self._probes_due:
            self._find_gone()
        for instance, since in list(self.congested.items()):
            connection = self._by_instance.get(instance)
            if connection is not None and since + STALL_SECONDS < time.monotonic():
                self._overflow(connection)
        latest = time.monotonic() - GREETING_SECONDS
        for connection in list(self.connections.values()):
            if connection.instance is None and connection.opened_at < latest:
                self._forget_connection(connection)

    def gone(self, connection: Connection) -> None:
        """A connection is over; tell, unless its bee speaks on another one already."""
        self._forget_connection(connection)
        instance = connection.instance
        if instance is not None and self._by_instance.get(instance) is connection:
            del self._by_instance[instance]
        elif not connection.is_log:
            return
        self._on_gone(connection)

    def send(self, connection: Connection, frame: bytes) -> bool:
        """Send one frame now; False when it was not taken."""
        return self._socket.send(connection.id, frame) is Sent.YES

    def _relieve(self, instance: ClientId, outbox: Outbox) -> None:
        if outbox.is_relieved:
            del self.congested[instance]
        else:
            self.congested[instance] = time.monotonic()

    def _overflow(self, connection: Connection) -> None:
        """Cut off a bee for good: what it drove is wound up."""
        self.overflows += 1
        self.reset(connection, Qualifier.QUEUE_OVERFLOW)
        self._on_gone(connection)

    def _open(self, connection_id: bytes) -> Connection:
        if len(self.connections) >= CONNECTIONS_MAX:
            strangers = (other for other in self.connections.values() if other.instance is None)
            if (oldest := next(strangers, None)) is not None:
                self._forget_connection(oldest)
        connection = Connection(connection_id, secrets.token_hex(16), time.monotonic())
        self.connections[connection_id] = connection
        return connection

    def _forget_connection(self, connection: Connection) -> None:
        self.connections.pop(connection.id, None)
        self._dirty.pop(connection.id, None)
        self._credits_due.pop(connection.id, None)

    def _tell_settled(self, connection: Connection) -> None:
        """Put the credit that is owed before what is written."""
        if connection.settled == connection.credited and not connection.refused:
            return
        upto = connection.settled
        refused = {number: why for number, why in connection.refused.items() if number <= upto}
        if upto == connection.credited and not refused:
            return
        for number in refused:
            del connection.refused[number]
        texts = {str(number): why for number, why in refused.items()}
        body = {"upto": upto, "refused": texts}
        connection.control.append(frames.pack(Header(LinkChi.CREDIT), body))
        connection.credited = upto
        self._credits_due.pop(connection.id, None)

    def _write(self, connection: Connection) -> None:
        outbox = self._outboxes.get(connection.instance or "") if connection.is_joined else None
        self._tell_settled(connection)
        while True:
            run = outbox.next_frame() if outbox is not None else None
            if run is None and not connection.control:
                break
            count, head = _head(connection.control, FRAME_BYTES_MAX - len(run or b""))
            is_whole = count == len(connection.control)
            if run is not None and outbox is not None and not is_whole:
                outbox.unsent()  # what is owed comes behind all that waits before it
                run = None
                count, head = _head(connection.control, FRAME_BYTES_MAX)
            sent = self._socket.send(connection.id, head + run if run else head)
            if sent is Sent.YES:
                del connection.control[:count]
                continue
            if run is not None and outbox is not None:
                outbox.unsent()
            if sent is Sent.GONE:
                self.gone(connection)
                break
            return
        self._dirty.pop(connection.id, None)


def _head(control: list[bytes], bytes_max: int) -> tuple[int, bytes]:
    """The link tones that fit, the oldest first, and how many they are."""
    size = count = 0
    for parcel in control:
        size += len(parcel)
        if size > bytes_max:
            break
        count += 1
    return count, b"".join(control[:count])


def _gaps(owed: Iterable[tuple[Owed, bool]]) -> list[str]:
    """Sids of which something may have been told and will not be told again, the newest ones."""
    found: dict[str, None] = {}
    for (header, _), may_be_told in owed:
        if (
            may_be_told
            and header.fan
            and header.sid
            and header.wane
            and header.chi not in TELEMETRY
        ):
            found.pop(header.sid, None)
            found[header.sid] = None
    return list(found)[-HEARD_MAX:]
