"""Letting connections in at a bounded rate."""

from hypothesis import given
from hypothesis import strategies as st

from nest.bucket import Bucket


def test_a_rested_bucket_lets_a_burst_in_and_then_its_rate() -> None:
    bucket = Bucket(rate=100, burst=100)

    at_once = [bucket.take(5.0) for _ in range(100)]

    assert at_once == [0.0] * 100
    assert bucket.take(5.0) == 0.01
    assert bucket.take(5.02) == 0.0
    assert bucket.take(5.02) > 0


def test_a_rest_never_saves_up_more_than_the_burst() -> None:
    bucket = Bucket(rate=100, burst=3)

    bucket.take(0.0)

    assert [bucket.take(1_000.0) for _ in range(4)][-1] > 0


@given(st.lists(st.floats(0, 0.05), max_size=200))
def test_whoever_waits_as_told_is_let_in(pauses: list[float]) -> None:
    bucket, now = Bucket(rate=100, burst=2), 0.0

    for pause in pauses:
        now += pause
        wait = bucket.take(now)
        if wait:
            assert bucket.take(now + wait + 1e-9) == 0
            now += wait + 1e-9
