"""Lamport counters, with the vectors of docs/wire.md, section 3."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thrum.wane import WANE_MAX, WANE_STEP_MAX, WaneTracker

snapshots = st.dictionaries(st.sampled_from("abcd"), st.integers(0, 100))


def test_a_tick_counts_from_zero() -> None:
    wane = WaneTracker()

    assert [wane.get("a"), wane.tick("a"), wane.tick("a"), wane.get("b")] == [0, 1, 2, 0]


def test_only_a_higher_remote_value_is_ahead() -> None:
    wane = WaneTracker()

    assert wane.rise("s", 41)

    assert wane.tick("s") == 42
    assert not wane.behind("s", 42)
    assert wane.behind("s", 43)


def test_a_merge_takes_the_maximum_and_counts_what_advanced() -> None:
    wane = WaneTracker({"a": 3, "b": 7})

    assert wane.merge({"a": 5, "b": 2, "c": 1}) == 2
    assert wane.snapshot() == {"a": 5, "b": 7, "c": 1}
    assert wane.merge({"a": 5, "b": 2, "c": 1}) == 0
    assert wane.snapshot() == {"a": 5, "b": 7, "c": 1}


def test_after_a_partition_both_sides_agree_on_the_higher_value() -> None:
    one, other = WaneTracker({"s": 8}), WaneTracker({"s": 4})

    one.merge(other.snapshot())
    other.merge(one.snapshot())

    assert (one.get("s"), other.get("s")) == (8, 8)


def test_a_new_sigil_is_known_even_at_zero() -> None:
    wane = WaneTracker()

    assert wane.merge({"new": 0}) == 0
    assert wane.snapshot() == {"new": 0}


def test_a_hostile_snapshot_neither_pins_a_counter_nor_makes_one() -> None:
    wane = WaneTracker({"a": 1})

    advanced = wane.merge(
        {"a": 2 + WANE_STEP_MAX, "b": WANE_MAX + 1, "c": -1, "d": True, "e": "9", "f": 1.0}
    )

    assert advanced == 0
    assert wane.snapshot() == {"a": 1}
    assert wane.merge({"a": 1 + WANE_STEP_MAX}) == 1


@given(snapshots, snapshots)
def test_merging_is_the_same_in_either_order(one: dict[str, int], other: dict[str, int]) -> None:
    forth, back = WaneTracker(one), WaneTracker(other)

    forth.merge(other)
    back.merge(one)

    assert forth.snapshot() == back.snapshot()


def test_a_snapshot_is_a_copy() -> None:
    wane = WaneTracker({"a": 1})

    wane.snapshot()["a"] = 9

    assert wane.get("a") == 1


def test_a_counter_never_goes_down() -> None:
    wane = WaneTracker({"a": 5})

    assert wane.rise("a", 3)
    assert not wane.rise("a", -1)
    assert wane.get("a") == 5


def test_the_sigil_not_touched_for_longest_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thrum.wane.SIGILS_MAX", 2)
    wane = WaneTracker()

    for sigil in ("a", "b", "a", "c"):
        wane.tick(sigil)

    assert wane.snapshot() == {"a": 2, "c": 1}
    assert (len(wane), wane.forgotten) == (2, 1)
