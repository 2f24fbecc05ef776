"""What can go wrong, and whose fault it is.

`PeerError`: they broke the protocol. `LocalError`: we did, or our machine. Below them one class
per thing that a caller handles differently. A message says what happened and where; `hint` says
how to mend it.
"""

from enum import StrEnum

from thrum.members import direct


@direct
class Qualifier(StrEnum):
    """The dotted reason on an `error` tone (docs/wire.md, section 4)."""

    AUTH_DENIED = "auth.denied"
    BUDGET_NO_PRICE = "budget.no-price"
    BUDGET_SPENT = "budget.spent"
    FEDERATION_SCOPE_DENIED = "federation.scope.denied"
    FRAME_TOO_LARGE = "frame.too-large"
    HEAR_ONLY_DENIED = "hearOnly.denied"
    LOG_BEHIND = "log.behind"
    LOG_UNAVAILABLE = "log.unavailable"
    OVERFLOW_MODEL_UNAVAILABLE = "overflow.model-unavailable"
    OVERFLOW_NO_CAPACITY = "overflow.no-capacity"
    OVERFLOW_NO_ROUTE = "overflow.no-route"
    PEER_LOST = "peer.lost"
    PERMIT_EXPIRED = "permit.expired"
    PERMIT_REASKED = "permit.reasked"
    PROMPT_NO_SID = "prompt.no-sid"
    PROMPT_NO_WORKER = "prompt.no-worker"
    PROMPT_QUEUE_FULL = "prompt.queue-full"
    QUEUE_OVERFLOW = "queue.overflow"
    RATE_LIMITED = "rate.limited"
    STREAM_GAP = "stream.gap"
    TONE_MALFORMED = "tone.malformed"
    TOOL_FORAGER_LOST = "tool.forager-lost"
    TOOL_OUTSIDE_ROOTS = "tool.outside-roots"
    TOOL_TIMEOUT = "tool.timeout"
    TOOL_UNKNOWN = "tool.unknown"
    UPSTREAM_FAILED = "upstream.failed"
    VERSION_SKEW = "version.skew"
    WORKER_BUSY = "worker.busy"
    WORKER_LOST = "worker.lost"


class HumError(Exception):
    """Base of everything hum raises on purpose: a sentence, and in `hint` the mend."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class PeerError(HumError):
    """The other side broke the protocol."""


class LocalError(HumError):
    """We did, or our machine."""


class MalformedTone(PeerError):
    """Bytes that are not a tone. The sender's link goes on; the bytes are dropped and counted."""


class FrameTooLarge(PeerError):
    """A line or frame over the limit. Nothing of it was kept."""


class MalformedId(PeerError):
    """Text that is not an identifier of the kind it claims to be."""


class SettingsRefused(LocalError):
    """Settings, paths or permissions that cannot be used; exit 78, nothing changed."""


class DaemonAbsent(LocalError):
    """The process that should answer is not there."""


class LogUnavailable(LocalError):
    """The log cannot take events now: no log, no action."""
