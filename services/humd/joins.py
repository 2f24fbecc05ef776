"""A connection before its hello is believed: challenge, proof, and what a role needs besides."""

from collections.abc import Callable, Mapping
from pathlib import Path

from humd.core.arrivals import Arrival
from humd.core.clients import ENSEMBLE
from humd.core.hellos import too_long
from humd.edge.bus import Bus
from humd.edge.greeting import Connection, NotProven, Proof, believe
from humd.edge.metrics import Metrics
from humd.loglink import LogLink
from humd.recording import Recorder, now_ms
from nest.identity import load_identity
from thrum import frames
from thrum.chi import THRUM_VERSION, Chi, LinkChi
from thrum.errors import Qualifier, SettingsRefused
from thrum.frames import Header

_DOORS = frozenset({"door", ENSEMBLE})
"""Roles of bees that speak for others."""


class Joins:
    """See the module. `keys` has the roles that need a key of this humd, and its file."""

    def __init__(
        self,
        bus: Bus,
        recorder: Recorder,
        log_link: LogLink,
        metrics: Metrics,
        keys: Mapping[str, Path],
    ) -> None:
        self._bus = bus
        self._recorder = recorder
        self._log_link = log_link
        self._metrics = metrics
        self._keys = keys
        self.asked: Callable[[Connection, Header, bytes], None] = lambda *_: None
        """What to do with a question of one that only asks."""

    def greeting(self, connection: Connection, header: Header, raw: bytes) -> None:
        """Anything before a believed hello."""
        if connection.instance is not None:
            return
        if connection.visits_as is not None:
            if header.chi == LinkChi.VITALS:
                self.asked(connection, header, raw)
            return
        if header.chi != Chi.HELLO:
            self._bus.reset(connection, "say hello first")
            return
        body = frames.read_body(raw)
        if "signature" not in body:
            epoch, version = self._recorder.ledger.epoch, THRUM_VERSION
            challenge = {"nonce": connection.nonce, "epoch": epoch, "protoVersion": version}
            self._bus.control(connection, Header(Chi.BREATH), challenge)
            return
        try:
            proof = believe(body, connection.nonce)
        except NotProven as problem:
            self._deny(connection, problem.message)
            return
        if message := too_long(raw):
            self._deny(connection, message)
            return
        wanted = next((role for role in self._keys if role in proof.roles), None)
        if wanted is not None and not self._is_keeper(wanted, proof):
            self._deny(connection, f"you are not the {wanted} of this humd")
        elif wanted == "log":
            self._log_link.joins(connection, proof, body)
        elif body.get("visit") is True:
            connection.visits_as = proof.roles
            self._log_link.welcome_visitor(connection)
        elif self._log_link.refusal is not None:
            connection.is_ensemble = ENSEMBLE in proof.roles
            self._log_link.visit(connection, proof, is_door=bool(_DOORS & proof.roles))
        elif not self._log_link.is_booted or not self._log_link.takes_work:
            refusal = self._log_link.away()
            self._bus.reset(connection, f"{refusal.qualifier}: {refusal.message}")
        else:
            self._bee(connection, proof, header)

    def _deny(self, connection: Connection, message: str) -> None:
        self._metrics.refused.labels(Qualifier.AUTH_DENIED).inc()
        refusal = {"message": message, "qualifier": str(Qualifier.AUTH_DENIED)}
        self._bus.control(connection, Header(Chi.ERROR), refusal)

    def _is_keeper(self, role: str, proof: Proof) -> bool:
        """Whether a bee holds the key that its role needs: its hid is the public half of ours."""
        try:
            return load_identity(self._keys[role], prefix=proof.hid.prefix).hid == proof.hid
        except (OSError, SettingsRefused):
            return False

    def _bee(self, connection: Connection, proof: Proof, header: Header) -> None:
        """Record the hello; it is answered once it is durable."""
        state = self._recorder.state
        known = state.clients.get(proof.instance)
        if known is not None and known.hid != str(proof.hid):
            self._bus.reset(connection, f"{Qualifier.AUTH_DENIED}: not your instance")
            return
        connection.is_resumed = state.knows(proof.instance)
        self._bus.admit(connection, proof.instance, is_door=bool(_DOORS & proof.roles))
        connection.is_ensemble = ENSEMBLE in proof.roles
        hello = Header(Chi.HELLO, header.rid, None, str(proof.hid))
        raw = frames.pack_body(proof.body)
        batch = self._recorder.ledger.batch(now_ms())
        arrival = Arrival(0, 0, proof.instance, hello, raw)
        self._recorder.record(batch, arrival, frames.pack_header(hello) + raw)
        batch.joins.append((connection, proof.cursor))
