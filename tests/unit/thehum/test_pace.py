"""Housekeeping rests between its slices."""

from thehum.core.pace import Pace


def test_a_slice_is_followed_by_a_rest_of_twice_its_length() -> None:
    pace = Pace()
    assert pace.is_rested(100.0)
    assert pace.wait_ms(100.0) == 0

    pace.worked(100.0, 100.25)

    assert not pace.is_rested(100.25)
    assert pace.wait_ms(100.25) == 500
    assert not pace.is_rested(100.5)
    assert pace.wait_ms(100.5) == 250
    assert pace.is_rested(100.75)
    assert pace.wait_ms(101.0) == 0
