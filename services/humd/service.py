"""The poll loop: frames in, decisions, batches to the log, and out again what the log has.

One turn of the loop: take every frame that waits (bounded), judge and apply each tone, send the
batch that came together, hand out what became durable, write to whoever may take more. Nothing
here blocks but the poll.

Read next: `joins` (who may be here), `intake` (what they offer), `loglink` (the log), `release`
(what follows once it is on disk), `questions` (what passes the log by).
"""

import time
from dataclasses import asdict

from humd.core import router, sentinel
from humd.core.basis import Basis
from humd.core.prices import with_own
from humd.core.state import State
from humd.edge.bus import Bus
from humd.edge.catchups import CatchUps
from humd.edge.greeting import Connection
from humd.edge.ledger import Ledger
from humd.edge.metrics import Metrics
from humd.edge.parked import Parked
from humd.edge.prices import bundled_prices
from humd.edge.projections import Projections
from humd.edge.said_logs import BeeLogs
from humd.edge.snapshots import Taking
from humd.intake import Intake
from humd.joins import Joins
from humd.loglink import LogLink
from humd.questions import Questions
from humd.recording import Recorder, now_ms
from humd.release import Release
from nest.known import known_secrets
from nest.lifecycle import Context
from nest.settings import Price
from nest.sockets import Poll
from thrum import frames
from thrum.errors import MalformedTone, Qualifier
from thrum.ids import base36
from thrum.redaction import KnownSecrets

FRAMES_PER_TURN = 512
"""Frames taken before the loop writes; more wait in libzmq."""
TICK_SECONDS = 0.25
"""How often time alone is looked at, and a log that was full is tried again."""
DRAIN_SECONDS = 2.0
"""How long a stop waits for what is on its way to the disk."""
SILENCE_BEATS = 8
"""Beats after which a process that answers nothing at all counts as gone. By then a worker that
promised beats was given up, and its turn went on elsewhere."""
SILENCE_MS_MIN, SILENCE_MS_MAX = 3_000, 40_000
"""The same in ms, however short or long a beat is."""
LATE_MS = 100
"""While the log is behind by more, no worker is judged by its silence."""


class Hub:
    """Everything that humd has in memory, and the loop over it."""

    def __init__(self, context: Context) -> None:
        settings, paths = context.settings, context.paths
        self._stop = context.stop
        self._metrics = Metrics(context.metrics)
        days = settings.humd.drift_retention_days
        self._projections = Projections(paths, context.metrics, drift_days=days)
        beat_ms = self._beat_ms = settings.humd.drone_beat_ms
        silence_ms = min(max(SILENCE_BEATS * beat_ms, SILENCE_MS_MIN), SILENCE_MS_MAX)
        self._bus = Bus(paths.bus_endpoint, self._on_gone, silence_ms=silence_ms)
        basis = Basis(
            default_hive=settings.nest.default,
            permission_dusk_ms=settings.humd.permission_dusk_ms,
            classifier=settings.humd.drone_classifier,
            budgets=[asdict(budget) for budget in settings.humd.budgets],
            prices=with_own(bundled_prices(), map(_priced, settings.humd.prices)),
            unknown_price=settings.humd.unknown_price,
        )
        self._ledger = Ledger(base36(now_ms()))
        self._recorder = Recorder(State(), self._ledger)
        self._catch_ups = CatchUps(basis.permission_dusk_ms)
        self._release = Release(self._bus, self._recorder, self._catch_ups, self._projections)
        self._parked = Parked()
        self._poll = Poll([self._stop.descriptor])

        def read_secrets() -> KnownSecrets:
            return KnownSecrets(known_secrets(paths, settings))

        self._log_link = LogLink(
            self._bus,
            self._recorder,
            self._release,
            self._catch_ups,
            self._projections,
            basis,
            Taking(
                self._poll,
                context.metrics,
                settings.humd.thehum.snapshot_interval_ms / 1000,
                read_secrets,
            ),
            paths.thehum,
        )
        keys = {
            "log": paths.bee_key("thehum"),
            "operator": paths.operator_key,
            "sidecar": paths.bee_key("sidecar"),
        }
        self._joins = Joins(self._bus, self._recorder, self._log_link, self._metrics, keys)
        excluded = frozenset(settings.humd.thehum.exclude)
        self._intake = Intake(
            self._bus, self._recorder, self._log_link, self._metrics, excluded=excluded
        )
        self._questions = Questions(
            self._bus,
            self._recorder,
            self._release,
            self._log_link,
            metrics=self._metrics,
            projections=self._projections,
            catch_ups=self._catch_ups,
            bee_logs=BeeLogs(context.metrics, read_secrets),
            parked=self._parked,
        )
        self._joins.asked = self._questions.visited
        self._next_tick = 0.0

    def run(self) -> None:
        """Route until asked to stop; then let what is on its way reach the disk."""
        poll = self._poll
        self._bus.watch(poll)
        self._projections.begin()
        try:
            while not self._stop.requested:
                poll.wait(self._wait_ms())
                self._turn()
            ends = time.monotonic() + DRAIN_SECONDS
            while self._ledger.newest and time.monotonic() < ends:
                poll.wait(1)
                self._turn()
        finally:
            self._log_link.snapshots.close()
            is_durable = self._log_link.is_booted and self._ledger.newest is None
            self._projections.end(self._recorder.state, is_durable=is_durable)
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
        while self._parked and not self._ledger.is_over:
            self._take(*self._parked.take())
        self._bus.probe()
        if time.monotonic() >= self._next_tick:
            self._tick()
        self._questions.tell_of_log()
        if self._catch_ups:
            self._log_link.catch_up()
        self._log_link.snapshots.advance()
        self._ledger.flush()
        self._bus.write()

    def _on_frame(self, connection: Connection, frame: bytes) -> None:
        """Take a frame, or let it wait while the log has too much to write before it."""
        may_wait = connection.is_joined and not connection.is_log
        if may_wait and (self._ledger.is_over or self._parked.holds(connection)):
            if not self._parked.put(connection, frame):
                self._metrics.refused.labels(Qualifier.LOG_UNAVAILABLE).inc()
                self._cut(connection, Qualifier.LOG_UNAVAILABLE)
        else:
            self._take(connection, frame)

    def _take(self, connection: Connection, frame: bytes) -> None:
        """Read a frame; one that waited for its turn while its connection ended is nothing."""
        if connection.id not in self._bus.connections:
            return
        connection.is_heard = connection.is_joined
        try:
            spans = frames.read_spans(frame)
            if connection.is_joined:
                self._intake.parcels(connection, frame, spans, self._questions.unlogged)
            else:
                for span in spans:
                    self._joins.greeting(connection, span.header, frame[span.body : span.end])
        except MalformedTone as problem:
            self._metrics.refused.labels(Qualifier.TONE_MALFORMED).inc()
            self._cut(connection, f"{Qualifier.TONE_MALFORMED}: {problem.message}")
        if connection is self._log_link.connection:
            self._log_link.heard()
            self._questions.tell_of_log(is_heard=True)

    def _cut(self, connection: Connection, reason: str) -> None:
        """End a connection from our side. Its bee has a while to come back and offer again."""
        self._bus.reset(connection, reason)
        if connection.is_log:
            self._log_link.gone(connection)
        elif connection.is_guest:
            self._log_link.guest_left(connection)
        elif connection.instance is not None:
            self._recorder.say(router.cut(connection.instance))

    def _on_gone(self, connection: Connection) -> None:
        """A connection is over. A bee that is gone with it will not come back.

        One that did not hear our answer to its hello in time closes that connection and makes
        another: we read of both at once, and must not give it up for the first. One that heard it
        says so at once.
        """
        if connection.is_log:
            self._log_link.gone(connection)
        elif connection.is_guest:
            self._log_link.guest_left(connection)
        elif connection.instance is not None and not connection.is_heard:
            self._recorder.say(router.cut(connection.instance))
        elif connection.instance is not None:
            self._recorder.say(router.lost(connection.instance, is_door=connection.is_door))

    def _tick(self) -> None:
        """What time alone brings about."""
        self._next_tick = time.monotonic() + TICK_SECONDS
        self._bus.expire()
        self._release.give_credit()
        if not self._log_link.is_booted:
            return
        self._log_link.retry()
        state, now = self._recorder.state, now_ms()
        for emit in router.due(state, now):
            self._recorder.say(emit)
        is_late = self._ledger.lag_ms(now_ms()) > LATE_MS  # no question would get through
        for emit in [] if is_late else sentinel.due(state, now_ms(), beat_ms=self._beat_ms):
            self._metrics.acts.labels(emit.chi).inc()
            self._recorder.say(emit)
        self._log_link.snapshots.tick(time.monotonic())
        self._projections.tick(
            state,
            time.monotonic(),
            now_ms(),
            next_seq=self._ledger.next_seq,
            durable_seq=self._ledger.oldest_seq - 1,
        )


def _priced(price: Price) -> tuple[str, tuple[str | None, ...]]:
    return price.model, (price.input, price.output, price.cache_read, price.cache_write)
