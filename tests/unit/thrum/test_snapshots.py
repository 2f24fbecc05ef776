"""Roots over leaves, as they were specified."""

import pytest

from thrum.canonical import dumps
from thrum.snapshots import hash_leaf, root_of

VECTORS: list[tuple[dict[str, object], str]] = [
    ({}, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    (
        {"bee/wbee_00": {"models": ["m"], "name": "x"}},
        "bba138b4602bf5134e2d9edd4394a0ef5bb39e13d0fd45e5fd97133957212388",
    ),
    (
        {"bee/a": {"n": 1}, "bee/b": {"n": 2}, "sid/hum-X": {"worker": "wbee_00"}},
        "8b446a09ad5c5f2065518e0df8b26372a901633747c6ae8198e524d2751c49e1",
    ),
    (
        {"k0": 0, "k1": 1, "k2": 2, "k3": 3, "k4": 4},
        "11ff5f897dc293e87335b10480d6e81cbe81f79646553bec18952b70001ae2ac",
    ),
]


@pytest.mark.parametrize(("state", "root"), VECTORS)
def test_roots_are_those_of_the_vectors(state: dict[str, object], root: str) -> None:
    assert root_of(state.items()).hex() == root


def test_leaf_hashes_are_those_of_the_vectors() -> None:
    leaves = VECTORS[2][0].items()

    assert [hash_leaf(key, dumps(value)).hex() for key, value in leaves] == [
        "34cbf1f908109d56c7c66e5173e585471b0a108c1f2141663a0f07d07806a3c0",
        "863096d37c16f9f63031d3b1bc5cdf91e086f9bb9ee22d9832a4577afddddd2b",
        "d3d4bb02d54d82c991882bc4e509935c4199270c5741727ef57ad67f8c503d27",
    ]


def test_the_border_between_key_and_value_is_part_of_a_leaf() -> None:
    assert hash_leaf("a1", b"2") != hash_leaf("a", b"12")
