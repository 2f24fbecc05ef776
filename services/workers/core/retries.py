"""When a model service is asked again: only while nothing of its answer has been seen."""

from collections import OrderedDict
from email.utils import parsedate_to_datetime
from math import inf, isfinite

RETRIES_MAX = 2
"""Further tries of one completion."""
WAIT_SECONDS = 0.5
"""Wait before the first further try; it doubles."""
RETRY_AFTER_SECONDS_MAX = 20.0
"""A service that wants a longer pause is not asked again."""


RETRIES_OF_SID_MAX = 8
"""Further tries within one conversation in `RETRY_WINDOW_SECONDS`, however many its turns need."""
RETRY_WINDOW_SECONDS = 60.0
SIDS_MAX = 4_096
"""Conversations whose tries are counted; the oldest is forgotten first."""


class RetryBudget:
    """How often a conversation may have a service asked again."""

    def __init__(self) -> None:
        self._tries: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def take(self, sid: str, now: float) -> bool:
        """Count one more try; False when there are none left."""
        began, tries = self._tries.get(sid, (now, 0))
        if now - began >= RETRY_WINDOW_SECONDS:
            began, tries = now, 0
        if tries >= RETRIES_OF_SID_MAX:
            return False
        self._tries[sid] = began, tries + 1
        self._tries.move_to_end(sid)
        if len(self._tries) > SIDS_MAX:
            self._tries.popitem(last=False)
        return True


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
    """How long a service wants us to wait, from its header; None when it does not say.

    What is no time at all is for ever.
    """
    if not retry_after:
        return None
    try:
        seconds = float(retry_after)
    except ValueError:
        pass
    else:
        return max(0.0, seconds) if isfinite(seconds) else inf
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - now)
    except (ValueError, OverflowError):
        return None
