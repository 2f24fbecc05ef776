"""When a model service is asked again."""

import pytest

from workers.core.retries import (
    RETRIES_MAX,
    RETRIES_OF_SID_MAX,
    RETRY_AFTER_SECONDS_MAX,
    RETRY_WINDOW_SECONDS,
    RetryBudget,
    is_passing,
    wait_seconds,
)

NOW = 1_700_000_000.0
"""Tue, 14 Nov 2023 22:13:20 GMT."""


def wait(tries: int = 1, retry_after: str | None = None, jitter: float = 0.0) -> float | None:
    return wait_seconds(tries, retry_after=retry_after, now=NOW, jitter=jitter)


def test_waits_double_and_jitter_shortens_them_by_up_to_a_half() -> None:
    assert [wait(1), wait(2), wait(1, jitter=1.0)] == [0.5, 1.0, 0.25]


def test_tries_are_bounded() -> None:
    assert wait(RETRIES_MAX) is not None
    assert wait(RETRIES_MAX + 1) is None


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("3", 3.0),
        ("0", 0.5),
        ("-1", 0.5),
        ("Tue, 14 Nov 2023 22:13:25 GMT", 5.0),
        ("Tue, 14 Nov 2023 22:13:00 GMT", 0.5),
        ("soon", 0.5),
        ("nan", None),
        (str(RETRY_AFTER_SECONDS_MAX + 1), None),
        ("inf", None),
    ],
)
def test_the_pause_that_a_service_wants_is_kept_or_it_is_not_asked_again(
    header: str, seconds: float | None
) -> None:
    assert wait(retry_after=header) == seconds


def test_only_passing_troubles_are_worth_another_try() -> None:
    assert [is_passing(status) for status in (400, 401, 404, 408, 429, 500, 503)] == [
        *(False, False, False),
        *(True, True, True, True),
    ]


def test_a_conversation_has_so_many_further_tries_in_a_time() -> None:
    """Features D14."""
    budget = RetryBudget()

    taken = [budget.take("a", NOW) for _ in range(RETRIES_OF_SID_MAX + 3)]

    assert taken == [True] * RETRIES_OF_SID_MAX + [False] * 3
    assert budget.take("b", NOW)
    assert not budget.take("a", NOW + RETRY_WINDOW_SECONDS - 1)
    assert budget.take("a", NOW + RETRY_WINDOW_SECONDS)
