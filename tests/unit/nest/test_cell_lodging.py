"""Who has a cell, and who loses it (features A9)."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nest.cells.lodging import End, Ending, Enter, Lodging, Spawn, Wait

IDLE = 300.0


@pytest.fixture
def lodging() -> Lodging:
    return Lodging(places_max=2, idle_seconds=IDLE)


def rested(lodging: Lodging, sid: str, now: float) -> None:
    assert lodging.ask(sid, "x", now) == Spawn()
    lodging.rest(sid, now)


def test_a_sid_keeps_its_cell_between_prompts(lodging: Lodging) -> None:
    rested(lodging, "a", 0)

    assert lodging.ask("a", "x", 1) == Enter()
    assert lodging.ask("a", "x", 1) == Wait()  # it works
    assert len(lodging) == 1


def test_a_prompt_that_wants_another_cell_ends_the_first(lodging: Lodging) -> None:
    rested(lodging, "a", 0)

    assert lodging.ask("a", "y", 1) == End("a", Ending.CHANGED)
    assert lodging.ask("a", "y", 1) == Wait()
    lodging.gone("a")
    assert lodging.ask("a", "y", 2) == Spawn()


def test_the_one_that_rested_longest_goes_first(lodging: Lodging) -> None:
    rested(lodging, "a", 0)
    rested(lodging, "b", 1)
    assert lodging.ask("a", "x", 2) == Enter()
    lodging.rest("a", 3)

    assert lodging.ask("c", "x", 4) == End("b", Ending.LRU)


def test_a_place_is_free_only_when_nothing_is_left_of_who_had_it(lodging: Lodging) -> None:
    rested(lodging, "a", 0)
    rested(lodging, "b", 1)
    assert lodging.ask("c", "x", 2) == End("a", Ending.LRU)

    assert lodging.ask("c", "x", 2) == Wait()
    assert len(lodging) == 2
    lodging.gone("a")
    assert lodging.ask("c", "x", 3) == Spawn()


def test_one_that_works_is_never_taken(lodging: Lodging) -> None:
    assert lodging.ask("a", "x", 0) == Spawn()
    assert lodging.ask("b", "x", 0) == Spawn()

    assert lodging.ask("c", "x", 1_000) == Wait()
    assert lodging.overdue(1_000) == []
    assert lodging.look_in(1_000) is None


def test_one_that_rests_for_too_long_goes(lodging: Lodging) -> None:
    rested(lodging, "a", 0)
    rested(lodging, "b", 10)

    assert lodging.look_in(100) == IDLE - 100
    assert lodging.overdue(IDLE - 1) == []
    assert lodging.overdue(IDLE) == [End("a", Ending.IDLE)]
    assert lodging.overdue(IDLE) == []  # it is leaving
    assert lodging.look_in(IDLE) == 10
    assert lodging.resting() == ["b"]


def test_one_that_leaves_is_ended_once(lodging: Lodging) -> None:
    rested(lodging, "a", 0)

    assert lodging.leave("a")
    assert not lodging.leave("a")
    assert not lodging.leave("nobody")
    lodging.rest("a", 1)
    assert lodging.resting() == []


@given(st.integers(0, 2**32), st.integers(1, 5))
def test_never_more_than_the_places_and_all_are_served(seed: int, places: int) -> None:
    """A cell that is being ended counts; whoever waits is served in the end."""
    chance = random.Random(seed)
    lodging = Lodging(places_max=places, idle_seconds=5)
    working: set[str] = set()
    leaving: set[str] = set()
    waiting = [f"s{chance.randrange(8)}" for _ in range(60)]
    served = 0
    for now in range(10_000):
        if not waiting:
            break
        if leaving and chance.random() < 0.5:
            lodging.gone(leaving.pop())
        if working and chance.random() < 0.5:
            lodging.rest(working.pop(), now)
        leaving |= {end.sid for end in lodging.overdue(now)}
        answer = lodging.ask(waiting[0], chance.randrange(2), now)
        if isinstance(answer, End):
            assert answer.sid not in working
            leaving.add(answer.sid)
        elif not isinstance(answer, Wait):
            working.add(waiting.pop(0))
            served += 1
        assert len(lodging) <= places

    assert served == 60
