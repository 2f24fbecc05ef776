"""Lifetime counters."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from humd.core.penny import COUNTER_MAX, DELTA_MAX, DELTAS_MAX, NAME_CHARS_MAX, NAMES_MAX, Penny

amounts = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3)
deltas = st.dictionaries(st.text(max_size=NAME_CHARS_MAX + 2), amounts) | amounts


def test_tokens_of_a_turn_go_to_their_counters() -> None:
    penny = Penny()

    tokens = penny.spend(
        {
            "input_tokens": 7,
            "output_tokens": 5,
            "cache_read_input_tokens": 2,
            "cache_creation_input_tokens": 1,
            "other": 100,
        }
    )

    assert tokens == 15
    assert penny.counters == {
        "totalInputTokens": 7,
        "totalOutputTokens": 5,
        "totalCacheReadTokens": 2,
        "totalCacheWriteTokens": 1,
    }


@pytest.mark.parametrize("amount", [-1, True, 1.5, "7", [], DELTA_MAX + 1, 2**70])
def test_what_is_no_plausible_amount_is_ignored_and_counted(amount: object) -> None:
    penny = Penny()

    penny.merge({"blooms": amount})

    assert penny.counters == {}
    assert penny.ignored == 1


def test_nothing_is_no_delta() -> None:
    penny = Penny()

    penny.merge({"blooms": 0})

    assert (penny.counters, penny.ignored) == ({}, 0)


def test_a_counter_stays_at_its_end() -> None:
    penny = Penny({"blooms": COUNTER_MAX - 1})

    penny.add("blooms", 5)

    assert penny.counters["blooms"] == COUNTER_MAX


def test_one_prompt_brings_a_bounded_number_of_counters() -> None:
    penny = Penny()

    penny.merge({f"n{number:03}": 1 for number in range(100)})

    assert sorted(penny.counters) == [f"n{number:03}" for number in range(DELTAS_MAX)]
    assert penny.ignored == 100 - DELTAS_MAX


def test_further_names_are_ignored_and_known_ones_go_on() -> None:
    penny = Penny()
    for number in range(NAMES_MAX):
        penny.merge({f"n{number}": 1})

    penny.merge({"one too many": 1, "n0": 1, "x" * (NAME_CHARS_MAX + 1): 1})

    assert len(penny.counters) == NAMES_MAX
    assert penny.counters["n0"] == 2
    assert penny.ignored == 2


def test_stored_counters_are_taken_over_as_far_as_they_are_some() -> None:
    stored: dict[str, Any] = {"a": 3, "b": 2.9, "c": -1, "d": "4", "e": True, "f": 2**70, "g": None}

    assert Penny(stored).counters == {"a": 3, "b": 2, "f": COUNTER_MAX}


@given(st.lists(deltas))
def test_no_delta_lowers_a_counter_or_makes_it_something_else(every: list[Any]) -> None:
    penny = Penny()
    for delta in every:
        before = dict(penny.counters)

        penny.merge(delta)
        penny.spend(delta)

        assert all(penny.counters[name] >= value for name, value in before.items())
        assert all(0 < value <= COUNTER_MAX for value in penny.counters.values())
