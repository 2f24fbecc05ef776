"""What thehum counts."""

from collections.abc import Sequence

from nest.metrics import Registry
from thehum.core.forgetting import Done
from thehum.core.keeping import Aside
from thehum.edge.cursors import Cursors
from thehum.edge.log import Log
from thehum.edge.retention import Retention
from thehum.edge.witness import Witness


class Metrics:
    """See the module."""

    def __init__(self, registry: Registry, opened: Log) -> None:
        self._events = registry.counter("hum_log_events_total", "Events on disk since the start.")
        self._batches = registry.counter("hum_log_batches_total", "Batches taken.")
        self._groups = registry.counter("hum_log_groups_total", "Commit groups: writes and syncs.")
        self._seconds = registry.histogram(
            "hum_log_commit_seconds", "From taking a group's batches to having them on disk."
        )
        self._head = registry.gauge("hum_log_head", "Seq of the newest durable event.")
        self._bodies = registry.counter("hum_log_bodies_total", "Bodies stored beside the log.")
        self._bodies_bytes = registry.counter(
            "hum_log_bodies_bytes_total", "Bytes of bodies stored beside the log."
        )
        self._forgotten = registry.counter(
            "hum_log_bodies_forgotten_total", "Bodies erased because somebody asked for it."
        )
        self._held = registry.gauge("hum_log_witnessed", "Other logs of which a head is held.")
        self._caught = registry.gauge(
            "hum_log_two_histories", "Other logs that were caught with two histories."
        )
        self._cursors = registry.gauge("hum_log_cursors", "Readers that follow by a cursor.")
        self._lapsed = registry.gauge(
            "hum_log_cursors_lapsed", "Of those, readers that were too far behind."
        )
        self._first = registry.gauge("hum_log_first", "Seq of the oldest event that is kept.")
        self._kept_bytes = registry.gauge(
            "hum_log_kept_bytes", "On disk for full segments, their bodies and all hashes."
        )
        self._dropped = registry.gauge(
            "hum_log_dropped_segments",
            "Segments dropped since the start, for the bound.",
        )
        self._over = registry.gauge(
            "hum_log_over_bound", "1 when events stay beyond the bound because somebody needs them."
        )
        self.anchor_failures = registry.gauge(
            "hum_log_anchor_failures", "Tries in a row to anchor a root that failed."
        )
        self.refused = registry.counter("hum_log_refused_total", "Batches not taken.", ("reason",))
        self._head.set(opened.head.seq)
        recovered = registry.gauge(
            "hum_log_recovered_bytes", "Bytes of a torn tail that this start quarantined."
        )
        recovered.set(opened.recovered_bytes)
        self._read_only = registry.gauge(
            "hum_log_read_only", "1 when the log is damaged or cut short."
        )
        self._read_only.set(opened.read_only is not None)

    def damaged(self) -> None:
        """The log is not written any more."""
        self._read_only.set(1)

    def committed(self, events: int, batches: int, seconds: float) -> None:
        """A group is on disk."""
        self._events.inc(events)
        self._batches.inc(batches)
        self._groups.inc()
        self._seconds.observe(seconds)
        self._head.inc(events)

    def witnessed(self, witness: Witness) -> None:
        """Heads of other logs may have come."""
        self._held.set(witness.held)
        self._caught.set(witness.conflicts)

    def kept(self, retention: Retention, first_seq: int) -> None:
        """What the log keeps was looked at."""
        self._first.set(first_seq)
        self._kept_bytes.set(retention.kept_bytes)
        self._dropped.set(retention.dropped)
        self._over.set(retention.is_over)

    def followed(self, cursors: Cursors) -> None:
        """Who follows was looked at."""
        self._cursors.set(len(cursors))
        self._lapsed.set(cursors.lapsed)

    def aside(self, asides: Sequence[Aside]) -> None:
        """These bodies are on disk beside the log."""
        if asides:
            self._bodies.inc(len(asides))
            self._bodies_bytes.inc(sum(len(aside.raw) for aside in asides))

    def forgotten(self, done: Done) -> None:
        """An order to forget was carried out."""
        self._forgotten.inc(done.bodies)
