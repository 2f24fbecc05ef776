"""What the times of two addresses add up to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hum.bench.figures import Times, compare, event_ms, quantile
from hum.bench.probe import Run, Sample


def test_rows_are_ours_theirs_and_the_difference() -> None:
    ours, theirs = Times(), Times()
    ours.single = [Sample(0.004, 0.003, 1)] * 3
    theirs.single = [Sample(0.001, 0.001, 1)] * 3
    for times, rate in ((ours, 10), (theirs, 40)):
        times.add_load(Run(1.0, [Sample(0.1, 0.1, 1)] * rate))

    rows = {row.name: row for row in compare(ours, theirs)}

    assert rows["one at a time, p50"].difference == pytest.approx(3.0)
    assert rows["many at once"].ours == 10
    assert rows["many at once"].difference == -30
    assert "from event to event" not in rows  # nobody streamed


def test_an_event_costs_what_lies_between_the_first_and_the_last() -> None:
    assert event_ms([Sample(0.103, 0.003, 101), Sample(9.0, 1.0, 1)]) == pytest.approx(1.0)
    assert event_ms([Sample(0.1, 0.1, 1)]) == -1


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0, 1))
def test_a_quantile_is_one_of_the_values_and_grows_with_its_share(
    values: list[float], share: float
) -> None:
    found = quantile(values, share)

    assert found in values
    assert quantile(values, 0) == min(values) <= found <= quantile(values, 1) == max(values)


def test_nothing_has_no_quantile() -> None:
    assert quantile([], 0.5) == -1
