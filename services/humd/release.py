"""What follows once events are on disk: senders are settled, tones delivered, hellos answered.

Nothing here runs for an event that could still be lost. Within a batch the order is fixed: credit,
then deliveries in the order of their events, then the breaths that answer hellos. How long a turn
took is taken down once its end is told.
"""

from humd.core.arrivals import CatchUp, CaughtUp, Deliver, Effect, Forget, Inherit, Timed
from humd.edge.bus import Bus
from humd.edge.catchups import CatchUps, no_catch_up
from humd.edge.greeting import Connection
from humd.edge.ledger import Batch
from humd.edge.projections import Projections
from humd.recording import Recorder, now_ms
from thrum import frames
from thrum.chi import THRUM_VERSION, Chi
from thrum.errors import Qualifier
from thrum.frames import Header


class Release:
    """See the module."""

    def __init__(
        self, bus: Bus, recorder: Recorder, catch_ups: CatchUps, projections: Projections
    ) -> None:
        self._bus = bus
        self._recorder = recorder
        self._catch_ups = catch_ups
        self._projections = projections
        self._credits: dict[bytes, int] = {}
        """Link numbers that are durable and not yet settled, by connection."""
        self.is_live = False
        """Whether the log is replayed: what is durable from now on happens now."""
        self.humd = ""
        """Our own hid, once the log said it."""

    def batches(self, done: list[Batch]) -> None:
        """These batches are on disk: settle, deliver, answer, in that order."""
        upto: dict[bytes, int] = {}
        for batch in done:
            upto.update(batch.settled)
        self._credits.update(upto)
        self.give_credit()
        timed: list[Timed] = []
        for batch in done:
            for effect in batch.effects:
                if type(effect) is Timed:
                    timed.append(effect)
                else:
                    self.follow(effect)
            for client in batch.hellos:
                breath = frames.pack_body({"sessions": [], "protoVersion": THRUM_VERSION})
                self._bus.owe(Deliver(client, Header(Chi.BREATH, sender="daemon"), breath))
            for connection, cursor in batch.joins:
                self._joined(connection, cursor)
        if timed:
            self._bus.write()  # whoever waits for the end of a turn does not wait for its record
        for effect in timed:
            self.follow(effect)

    def give_credit(self) -> None:
        """Settle what is durable, but for those who feed a bee that cannot keep up."""
        if not self._credits:
            return
        for connection_id, number in list(self._credits.items()):
            connection = self._bus.connections.get(connection_id)
            if connection is not None and connection.feeds in self._bus.congested:
                continue
            del self._credits[connection_id]
            if connection is not None and number:
                connection.feeds = None
                self._bus.credit(connection, number)

    def follow(self, effect: Effect) -> None:
        """Do what the core decided; its event is on disk."""
        if type(effect) is Deliver:
            if not (self._catch_ups.jobs and self._catch_ups.leaves_out(effect)):
                self._bus.owe(effect)
        elif isinstance(effect, Forget):
            self._bus.forget(effect.client)
            self._catch_ups.forget(effect.client)
        elif isinstance(effect, Inherit):
            self._bus.inherit(effect)
            self._catch_ups.inherit(effect.old, effect.new)
        elif isinstance(effect, CatchUp):
            if not self._catch_ups.begin(effect):
                self._bus.owe(no_catch_up(effect.client, effect.sid, Qualifier.QUEUE_OVERFLOW))
        elif isinstance(effect, CaughtUp):
            self._catch_ups.end(effect.client, effect.sid, effect.begun)
        elif isinstance(effect, Timed):
            self._projections.timed(effect, now_ms(), is_live=self.is_live)

    def welcome(self, connection: Connection, *, settled: int) -> None:
        """Answer a hello."""
        breath = {
            "epoch": self._recorder.ledger.epoch,
            "client": connection.instance,
            "humd": self.humd,
            "settled": settled,
            "resumed": connection.is_resumed,
            "protoVersion": THRUM_VERSION,
            "sessions": (),
        }
        self._bus.control(connection, Header(Chi.BREATH), breath)

    def _joined(self, connection: Connection, cursor: int) -> None:
        """A hello is durable: answer it, and go on where the bee stopped."""
        instance = connection.instance
        client = self._recorder.state.clients.get(instance) if instance else None
        if instance is None or client is None:
            return
        if self._bus.connection_of(instance) is connection and self._bus.resume(connection, cursor):
            self.welcome(connection, settled=client.links.settled)
