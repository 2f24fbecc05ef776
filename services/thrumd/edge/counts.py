"""The door's metrics."""

from nest.metrics import Registry
from thrumd.core.inbound import Reason


class Counts:
    """Made once for a door."""

    def __init__(self, metrics: Registry) -> None:
        lines = metrics.counter("hum_door_lines_total", "Lines at the door.", ("direction",))
        self.lines_in, self.lines_out = lines.labels("in"), lines.labels("out")
        self.clients = metrics.gauge("hum_door_clients", "Connections at the door.")
        self.waiting = metrics.gauge(
            "hum_door_waiting_bytes", "Bytes that wait for clients that read slowly."
        )
        dropped = metrics.counter(
            "hum_door_dropped_total", "Lines that humd did not get.", ("reason",)
        )
        self.dropped = {reason: dropped.labels(reason) for reason in Reason}
        self.undelivered = metrics.counter(
            "hum_door_undelivered_total", "Tones that their client did not get.", ("reason",)
        )
        self.refused = metrics.counter(
            "hum_door_refused_total", "Connections not let in.", ("reason",)
        )
        self.cut = metrics.counter("hum_door_cut_total", "Connections we ended.", ("reason",))
        self.paced = metrics.counter(
            "hum_door_paced_total", "Turns put off because a client's lines lead nowhere."
        )
        self.concerns = metrics.counter(
            "hum_door_hello_concerns_total", "Hellos served with a warning."
        )
