"""What humd counts, and its answer to the sidecar."""

from humd.core.state import State
from humd.edge.bus import Bus
from humd.edge.ledger import Ledger
from humd.edge.parked import Parked
from nest.metrics import Registry
from thrum.tones import Body


class Metrics:
    """Counting on the hot path is one dictionary entry; series follow when asked for."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._tones = registry.counter("hum_tones_total", "Tones taken into the log.", ("chi",))
        self._counts: dict[str, int] = {}
        self.refused = registry.counter("hum_tones_refused_total", "Tones refused.", ("reason",))
        self._overflows = registry.counter(
            "hum_outbox_overflows_total", "Bees cut off as too slow."
        )
        self._parked = registry.counter(
            "hum_frames_parked_total", "Frames that waited because the log was too far behind."
        )
        self._undelivered = registry.counter(
            "hum_undelivered_total", "Parcels that their bee will not get.", ("reason",)
        )
        self._asks = registry.gauge(
            "hum_asks", "Permission asks that ever came to a state.", ("state",)
        )
        self.acts = registry.counter(
            "hum_drone_acts_total", "What was said about workers that are silent.", ("chi",)
        )
        self._sizes = registry.gauge("hum_table_size", "Entries of a router's table.", ("table",))

    def count(self, chi: str) -> None:
        """One more tone of this chi was taken."""
        self._counts[chi] = self._counts.get(chi, 0) + 1

    def vitals(
        self, state: State, ledger: Ledger, bus: Bus, *, catch_ups: int, parked: Parked
    ) -> Body:
        """The snapshot that goes to the sidecar."""
        for chi, count in self._counts.items():
            self._tones.labels(chi).inc(count)
        self._counts.clear()
        self._overflows.inc(bus.overflows - self._overflows.value)
        self._parked.inc(parked.count - self._parked.value)
        for reason, count in bus.undelivered.items():
            self._undelivered.labels(reason).inc(count)
        bus.undelivered.clear()
        for outcome, count in state.asks.counts.items():
            self._asks.labels(outcome).set(count)
        sizes = {
            "asks": len(state.asks.pending),
            "bees": len(state.clients.bees()),
            "calls": len(state.calls.waiting),
            "catch-ups": catch_ups,
            "clients": len(state.clients.by_id),
            "connections": len(bus.connections),
            "held": ledger.held_parcels,
            "links": state.clients.links_known,
            "numbers": state.sessions.numbers_known,
            "outboxes": bus.outbox_count,
            "parked": len(parked),
            "owed": bus.owed_parcels,
            "rids": state.clients.rids_known,
            "sessions": len(state.sessions.by_sid),
            "turns": len(state.watch.turns),
            "wanes": len(state.watch.wanes),
        }
        for table, size in sizes.items():
            self._sizes.labels(table).set(size)
        return {"hive": "humd", "metrics": self._registry.snapshot()}
