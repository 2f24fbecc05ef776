"""What bees say in `log` tones, written into humd's own log.

Each is one line `bee.says` at the level that the bee gave, with who said it beside it: the bee's
words are a field and never the event. A bee that says more than its share is cut short, and how
much of it is missing is said once it has room again. What a bee says of a secret of this hum is
masked: it may have got it back from a service that was given it.
"""

import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from humd.core.arrivals import ClientId
from nest.bucket import Bucket
from nest.metrics import Registry
from thrum import frames
from thrum.errors import MalformedTone
from thrum.frames import Header
from thrum.redaction import KnownSecrets
from thrum.tones import Body

LINES_PER_SECOND = 5.0
"""Of one bee, in the long run."""
LINES_BURST = 50.0
LINES_OF_ALL_PER_SECOND = 100.0
LINES_OF_ALL_BURST = 1_000.0
"""Of all bees together, however many there are."""
BODY_BYTES_MAX = 8 * 1024
"""Of one log tone; a longer one is dropped."""
BEES_MAX = 1_024
"""Bees whose share is kept; the one silent for longest starts anew."""
SECRETS_SECONDS = 30.0
"""The secrets are read again when a line comes after so long: as often as thehum reads them."""
LEVELS = {
    "trace": logging.DEBUG,
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
log = logging.getLogger("humd.bees")


@dataclass(slots=True)
class _Share:
    bucket: Bucket = field(default_factory=lambda: Bucket(LINES_PER_SECOND, LINES_BURST))
    missing: int = 0
    """Lines dropped since the last one that was written."""


class BeeLogs:
    """See the module. `read_secrets` gives those of this hum as they are now."""

    def __init__(self, metrics: Registry, read_secrets: Callable[[], KnownSecrets]) -> None:
        self._read_secrets = read_secrets
        self._secrets = KnownSecrets()
        self._secrets_due_at = 0.0
        self._shares: OrderedDict[ClientId, _Share] = OrderedDict()
        self._all = Bucket(LINES_OF_ALL_PER_SECOND, LINES_OF_ALL_BURST)
        self._written = metrics.counter(
            "hum_bee_log_lines_total", "Log lines of bees that were written.", ("level",)
        )
        self._dropped = metrics.counter(
            "hum_bee_log_lines_dropped_total", "Log lines of bees that were not.", ("reason",)
        )

    def write(
        self, client: ClientId, name: str | None, header: Header, raw: bytes, now: float
    ) -> None:
        """Write one line for `client`, or count why not. `now` is by the monotonic clock."""
        if len(raw) > BODY_BYTES_MAX:
            self._dropped.labels("too-large").inc()
            return
        try:
            body = frames.read_body(self._masked(raw, now))
        except MalformedTone:
            self._dropped.labels("malformed").inc()
            return
        share = self._share(client)
        if share.bucket.take(now) or self._all.take(now):
            share.missing += 1
            self._dropped.labels("rate").inc()
            return
        level = _level(body)
        fields: Body = {"client": client, "bee": name, "sid": header.sid, "says": _text(body)}
        if "data" in body:
            fields["data"] = body["data"]
        if share.missing:
            fields["missing"], share.missing = share.missing, 0
        self._written.labels(logging.getLevelName(level).lower()).inc()
        log.log(level, "bee.says", extra=fields)

    def _masked(self, raw: bytes, now: float) -> bytes:
        """The body without this hum's secrets; every length in it is as it was."""
        if now >= self._secrets_due_at:
            self._secrets_due_at = now + SECRETS_SECONDS
            self._secrets = self._read_secrets()
        return self._secrets.mask(raw)

    def _share(self, client: ClientId) -> _Share:
        share = self._shares.setdefault(client, _Share())
        self._shares.move_to_end(client)
        if len(self._shares) > BEES_MAX:
            self._shares.popitem(last=False)
        return share


def _level(body: Body) -> int:
    """The level that the bee gave; information when it gave none that we know."""
    level = body.get("level")
    return LEVELS.get(level.lower(), logging.INFO) if isinstance(level, str) else logging.INFO


def _text(body: Body) -> str:
    """The event or message; both names are in use."""
    for key in ("event", "message"):
        if isinstance(text := body.get(key), str):
            return text
    return ""
