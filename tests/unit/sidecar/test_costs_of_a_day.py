"""Which days the sidecar can tell of; the others are refused, not answered with today."""

from datetime import UTC, date, datetime

import pytest

from sidecar.app import DAYS_KEPT, Costs, midnight_ms, unanswerable

TODAY = date(2030, 3, 31)
ROW = {"model": "m", "requests": 1}


def told(day: date, *rows: dict[str, object]) -> Costs:
    at_ms = int(datetime(2030, 3, 31, 23, 59, tzinfo=UTC).timestamp()) * 1_000
    return Costs(
        at_ms=at_ms, day_ms=midnight_ms(day), rows=list(rows), budgets=[], keys=[],
        unknown_price="refuse",
    )  # fmt: skip


@pytest.mark.parametrize("day", [TODAY, date(2030, 3, 30), date(2030, 2, 25)])
def test_a_day_that_is_kept_is_told(day: date) -> None:
    assert unanswerable(day, told(day)) == ""
    assert unanswerable(day, told(day, ROW)) == ""


def test_a_day_that_has_not_begun_is_refused() -> None:
    assert "has not begun" in unanswerable(date(2030, 4, 1), told(date(2030, 4, 1)))


def test_another_day_than_the_one_asked_for_is_no_answer() -> None:
    assert "cannot be told" in unanswerable(date(1969, 12, 31), told(TODAY, ROW))


def test_an_older_day_is_told_only_if_something_of_it_is_kept() -> None:
    old = date.fromordinal(TODAY.toordinal() - DAYS_KEPT)

    assert "is not kept" in unanswerable(old, told(old))
    assert unanswerable(old, told(old, ROW)) == ""
