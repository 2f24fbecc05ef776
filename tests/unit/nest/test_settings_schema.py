"""The reader of closed settings: a value or violations, whatever it is given."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nest.settings import Settings
from nest.settings.schema import SHOWN_CHARS_MAX, Range, Text, decode, schema_of, shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    some_size: Annotated[int, Range(1, 9)] = 1
    """How big."""
    name: Annotated[str, Text("[a-z]+", "lower-case letters")] = "leaf"
    shape: Literal["round", "flat"] = "round"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    leaves: tuple[Leaf, ...] = ()
    first: Leaf = Leaf()
    note: str | None = None
    odd: bool = field(default=False, metadata={"json": "$odd"})


plain = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=20)
json_values = st.recursive(
    plain | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4)
    ),
    max_leaves=12,
)
near_misses = st.fixed_dictionaries(
    {},
    optional={
        "leaves": json_values | st.lists(st.just({"someSize": 3, "name": "a"}), max_size=3),
        "first": json_values | st.fixed_dictionaries({"someSize": st.integers(0, 10)}),
        "note": plain,
        "$odd": plain,
    },
)


@given(json_values | near_misses)
def test_any_json_gives_a_value_or_violations_never_both(value: object) -> None:
    made, found = decode(Tree, value)

    assert (made is None) == bool(found)


@given(json_values)
def test_the_real_settings_are_as_robust(value: object) -> None:
    made, found = decode(Settings, value)

    assert (made is None) == bool(found)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "leaves": st.lists(
                st.fixed_dictionaries(
                    {"someSize": st.integers(1, 9), "shape": st.sampled_from(["round", "flat"])}
                )
            ),
            "note": st.none() | st.text(),
            "$odd": st.booleans(),
        },
    )
)
def test_what_fits_is_kept_as_given(value: dict[str, object]) -> None:
    made, found = decode(Tree, value)

    assert found == ()
    assert made is not None
    given_leaves = value.get("leaves", [])
    assert isinstance(given_leaves, list)
    assert [{"someSize": leaf.some_size, "shape": leaf.shape} for leaf in made.leaves] == (
        given_leaves
    )
    assert made.note == value.get("note")
    assert made.odd == value.get("$odd", False)


def test_each_violation_has_its_own_path() -> None:
    _, found = decode(
        Tree, {"leaves": [{}, {"someSize": 10, "name": "A"}], "first": {"shape": "x"}, "extra": 1}
    )

    assert [violation.path for violation in found] == [
        "extra",
        "leaves[1].someSize",
        "leaves[1].name",
        "first.shape",
    ]


@pytest.mark.parametrize("name", ["a\n", "a b", ""])
def test_a_pattern_holds_for_the_whole_text(name: str) -> None:
    assert decode(Leaf, {"name": name})[0] is None


def test_a_long_wrong_value_is_cut_short() -> None:
    assert len(shown("x" * 1_000)) == SHOWN_CHARS_MAX + 1


def test_the_schema_follows_the_classes() -> None:
    assert schema_of(Tree)["properties"] == {
        "leaves": {"type": "array", "items": schema_of(Leaf)},
        "first": schema_of(Leaf),
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "$odd": {"type": "boolean"},
    }
    assert schema_of(Leaf)["properties"] == {
        "someSize": {"type": "integer", "minimum": 1, "maximum": 9, "description": "How big."},
        "name": {"type": "string", "pattern": "^(?:[a-z]+)$"},
        "shape": {"enum": ["round", "flat"]},
    }
