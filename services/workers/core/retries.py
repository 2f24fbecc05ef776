"""When a model service is asked again: only while nothing of its answer has been seen."""

from email.utils import parsedate_to_datetime

RETRIES_MAX = 2
"""Further tries of one completion."""
WAIT_SECONDS = 0.5
"""Wait before the first further try; it doubles."""
RETRY_AFTER_SECONDS_MAX = 20.0
"""A service that wants a longer pause is not asked again."""


def is_passing(status: int) -> bool:
    """Whether an HTTP status says that the same request may work later."""
    return status in (408, 425, 429) or status >= 500


def wait_seconds(tries: int, *, retry_after: str | None, now: float, jitter: float) -> float | None:
    """Seconds to wait after `tries` failed ones; None when it is not worth another one.

    `retry_after` is the header, in seconds or as a date; `now` in Unix seconds; `jitter` in 0..1
    shortens our own waits by up to a half, never the service's.
    """
    if tries > RETRIES_MAX:
        return None
    ours = WAIT_SECONDS * (1 << (tries - 1)) * (1 - jitter / 2)
    theirs = asked_seconds(retry_after, now)
    if theirs is None:
        return ours
    return max(ours, theirs) if theirs <= RETRY_AFTER_SECONDS_MAX else None


def asked_seconds(retry_after: str | None, now: float) -> float | None:
    """How long a service wants us to wait, from its header; None when it does not say."""
    if not retry_after:
        return None
    try:
        return float(retry_after)
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - now)
    except (ValueError, OverflowError):
        return None
