"""Limits: their text, their windows."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thrum.limits import AMOUNT_MAX, UNITS, WINDOWS, Limit, limits_of, read_limit


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("5 usd/day", Limit(5_000_000, "usd", "day")),
        ("0.25usd / month", Limit(250_000, "usd", "month")),
        (" 60 requests/minute ", Limit(60, "requests", "minute")),
        ("0 tokens/hour", Limit(0, "tokens", "hour")),
    ],
)
def test_a_limit_is_read(text: str, limit: Limit) -> None:
    assert read_limit(text) == limit


@pytest.mark.parametrize(
    "text",
    ["", "5", "5 usd", "usd/day", "-5 usd/day", "1.5 requests/day", "5 eur/day", "5 usd/week",
     "5 usd/dayx", "0.1234567 usd/day", f"{AMOUNT_MAX} usd/day", "٣ usd/day" * 2],
)  # fmt: skip
def test_what_is_no_limit_is_none(text: str) -> None:
    assert read_limit(text) is None


@given(
    st.builds(Limit, st.integers(0, AMOUNT_MAX), st.sampled_from(UNITS), st.sampled_from(WINDOWS))
)
def test_a_limit_survives_its_text(limit: Limit) -> None:
    assert read_limit(str(limit)) == limit


@pytest.mark.parametrize(
    ("window", "began", "ends"),
    [
        ("minute", "2028-02-29T23:59:00", "2028-03-01T00:00:00"),
        ("hour", "2028-02-29T23:00:00", "2028-03-01T00:00:00"),
        ("day", "2028-02-29T00:00:00", "2028-03-01T00:00:00"),
        ("month", "2028-02-01T00:00:00", "2028-03-01T00:00:00"),
    ],
)
def test_a_window_begins_and_ends_at_a_round_time_of_utc(
    window: str, began: str, ends: str
) -> None:
    limit = read_limit(f"1 requests/{window}")
    assert limit is not None
    at = ms("2028-02-29T23:59:30")

    assert (limit.began_ms(at), limit.ends_ms(at)) == (ms(began), ms(ends))


@given(st.integers(0, 4_000_000_000_000), st.sampled_from(WINDOWS))
def test_a_moment_lies_in_its_window_and_windows_touch(at: int, window: str) -> None:
    limit = read_limit(f"1 requests/{window}")
    assert limit is not None

    assert limit.began_ms(at) <= at < limit.ends_ms(at)
    assert limit.began_ms(limit.ends_ms(at)) == limit.ends_ms(at)


def test_limits_of_a_body_are_bounded_and_malformed_ones_are_left_out() -> None:
    found = limits_of(["1 requests/day", 3, "x", "2 requests/day"], 3)

    assert found == (Limit(1, "requests", "day"),)
    assert limits_of("1 requests/day", 3) == ()
