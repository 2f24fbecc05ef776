"""When a service that starts again waits, and when it gives up."""

from orch.core.starts import DELAY_SECONDS_MAX, Policy, Start, wait_seconds

POLICY = Policy(delay=1.0, burst=20, interval=10.0)


def crash(times: int, policy: Policy, *, run: float = 0.5) -> list[float | None]:
    """The waits before each start of a service whose every run takes `run` seconds."""
    starts: list[Start] = []
    now = 1000.0
    waits: list[float | None] = []
    for _ in range(times):
        wait = wait_seconds(starts, policy, now=now, jitter=0.0)
        waits.append(wait)
        if wait is None:
            break
        starts.append(Start(now, wait))
        now += wait + run
    return waits


def test_the_first_restart_is_immediate_and_later_ones_wait_twice_as_long_each() -> None:
    assert crash(6, POLICY) == [0.0, 0.0, 1.0, 2.0, 4.0, 8.0]


def test_a_wait_has_an_upper_bound() -> None:
    assert crash(12, POLICY)[-1] == DELAY_SECONDS_MAX


def test_too_many_starts_in_the_interval_mean_giving_up() -> None:
    assert crash(9, Policy(delay=1.0, burst=3, interval=10.0)) == [0.0, 0.0, 1.0, None]


def test_waiting_does_not_count_as_running() -> None:
    policy = Policy(delay=30.0, burst=4, interval=10.0)

    assert crash(9, policy) == [0.0, 0.0, 30.0, 60.0, None]


def test_a_long_run_ends_the_count() -> None:
    starts = [Start(float(at), 0.0) for at in (0, 1, 2)]

    assert wait_seconds(starts, POLICY, now=100.0, jitter=0.0) == 0.0


def test_jitter_moves_a_wait_by_at_most_a_fifth() -> None:
    starts = [Start(0.0, 0.0), Start(1.0, 0.0)]

    waits = [wait_seconds(starts, POLICY, now=2.0, jitter=jitter) for jitter in (-1.0, 1.0)]

    assert waits == [0.8, 1.2]
