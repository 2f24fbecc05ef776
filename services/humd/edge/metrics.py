"""What humd counts, and its answer to the sidecar."""

from humd.core.state import State
from humd.edge.bus import Bus
from humd.edge.ledger import Ledger
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
        self._sizes = registry.gauge("hum_table_size", "Entries of a router's table.", ("table",))

    def count(self, chi: str) -> None:
        """One more tone of this chi was taken."""
        self._counts[chi] = self._counts.get(chi, 0) + 1

    def vitals(self, state: State, ledger: Ledger, bus: Bus) -> Body:
        """The snapshot that goes to the sidecar."""
        for chi, count in self._counts.items():
            self._tones.labels(chi).inc(count)
        self._counts.clear()
        self._overflows.inc(bus.overflows - self._overflows.value)
        sizes = {
            "clients": len(state.clients.by_id),
            "sessions": len(state.sessions.by_sid),
            "calls": len(state.calls.waiting),
            "held": ledger.held_parcels,
            "connections": len(bus.connections),
            "turns": len(state.watch.turns),
            "wanes": len(state.watch.wanes),
        }
        for table, size in sizes.items():
            self._sizes.labels(table).set(size)
        return {"hive": "humd", "metrics": self._registry.snapshot()}
