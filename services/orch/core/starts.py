"""Whether a service that starts again should wait first, or has failed too often.

Decided from the times of its earlier starts alone. The first restart is immediate; each further one
that follows quickly waits `delay` seconds, doubled every time, at most `DELAY_SECONDS_MAX`. A run
that lasted longer than the limit's interval ends the count. `burst` earlier starts inside
`interval` seconds (waiting not counted) mean giving up.
"""

from collections.abc import Sequence
from typing import NamedTuple

DELAY_SECONDS_MAX = 60.0
"""The longest wait before a restart."""

STARTS_KEPT_MAX = 64
"""Earlier starts that are remembered."""

JITTER = 0.2
"""A wait is up to this share longer or shorter, so that services do not all return at once."""


class Start(NamedTuple):
    """One earlier start: when it was asked for and how long it was held back."""

    at: float
    waited: float


class Policy(NamedTuple):
    """The service's `RESTART_DELAY`, `START_LIMIT_BURST` and `START_LIMIT_INTERVAL`."""

    delay: float
    burst: int
    interval: float


def wait_seconds(
    starts: Sequence[Start], policy: Policy, *, now: float, jitter: float
) -> float | None:
    """Seconds to wait before this start, or None to give up; `jitter` is random in [-1, 1]."""
    latest = starts[-policy.burst :]
    if len(latest) == policy.burst and _running_seconds(latest, now) <= policy.interval:
        return None
    quick = _quick_runs(starts, now=now, interval=policy.interval)
    if quick < 2:
        return 0.0
    wait = min(policy.delay * 2.0 ** (quick - 2), DELAY_SECONDS_MAX)
    return wait * (1.0 + JITTER * jitter)


def _running_seconds(starts: Sequence[Start], now: float) -> float:
    """Time since the first of `starts`, without what was spent waiting."""
    return now - starts[0].at - sum(start.waited for start in starts)


def _quick_runs(starts: Sequence[Start], *, now: float, interval: float) -> int:
    """How many of the latest runs each ended within `interval` seconds."""
    count = 0
    ended = now
    for start in reversed(starts[-STARTS_KEPT_MAX:]):
        if ended - start.at - start.waited > interval:
            break
        count += 1
        ended = start.at
    return count
