"""Late listeners: which catch-up an end is about."""

import pytest

from humd.core.arrivals import CatchUp
from humd.edge.catchups import CatchUps


def asked(seq: int) -> CatchUp:
    return CatchUp("c", "s", from_seq=1, from_wane=1, after=0, seq=seq)


@pytest.fixture
def catch_ups() -> CatchUps:
    catch_ups = CatchUps(60_000)
    assert catch_ups.begin(asked(5))
    return catch_ups


def test_the_end_of_an_earlier_one_leaves_the_later_one_going(catch_ups: CatchUps) -> None:
    """A listener that attaches anew has confirmed the first one in the same breath."""
    assert catch_ups.begin(asked(9))

    catch_ups.end("c", "s", 5)
    assert len(catch_ups) == 1
    catch_ups.end("c", "s", 9)
    assert len(catch_ups) == 0


def test_a_detach_ends_whichever_there_is(catch_ups: CatchUps) -> None:
    catch_ups.end("c", "s", None)

    assert len(catch_ups) == 0
