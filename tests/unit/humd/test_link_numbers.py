"""Which link numbers the log has, and what is offered again after humd died."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.world import World

from humd.core.arrivals import Duplicate, Refusal
from humd.core.links import WINDOW, Links


@given(st.lists(st.integers(1, 60), max_size=60))
def test_it_has_what_was_added_and_settles_up_to_the_first_gap(numbers: list[int]) -> None:
    links, known = Links(), set[int]()
    for number in numbers:
        links.add(number)
        known.add(number)

    assert links.upto == max(known, default=0)
    assert all(links.has(number) == (number in known) for number in range(1, links.upto + 1))
    missing = set(range(1, links.upto + 1)) - known
    assert links.settled == min(missing, default=links.upto + 1) - 1


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(0, 2 * WINDOW)), max_size=40))
def test_it_keeps_no_more_than_a_window_of_gaps(steps: list[tuple[int, int]]) -> None:
    links = Links()
    for count, jump in steps:
        for _ in range(count):
            links.add(links.upto + 1)
        links.add(links.upto + 2 + jump)

    assert sum(last - first + 1 for first, last in links.gaps) <= 2 * WINDOW
    assert links.settled >= links.upto - 2 * WINDOW


class TestAfterADeathOfHumd:
    """A number that was refused is not taken for one that is in the log."""

    @pytest.fixture
    def world(self) -> World:
        world = World()
        world.joins("W", "worker", models=["m"])
        world.joins("A", "asker")
        world.says("A", "prompt", sid="s", modelId="m", link=1)
        assert isinstance(world.says("A", "chunk", sid="s", link=2), Refusal)
        world.says("A", "attach", sid="t", link=3)
        world.boots()
        world.joins("A", "asker")
        return world

    def test_the_bee_offers_again_from_the_refused_one_on(self, world: World) -> None:
        client = world.state.clients.get("A")

        assert client is not None
        assert client.links.settled == 1

    def test_the_refused_one_is_refused_again(self, world: World) -> None:
        assert isinstance(world.says("A", "chunk", sid="s", link=2), Refusal)
        assert isinstance(world.says("A", "attach", sid="t", link=3), Duplicate)

    def test_one_that_may_pass_by_now_is_taken_once(self, world: World) -> None:
        assert world.says("A", "attach", sid="u", link=2) is None
        assert isinstance(world.says("A", "attach", sid="u", link=2), Duplicate)
