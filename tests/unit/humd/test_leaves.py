"""A state and its leaves: nothing is forgotten, and a start from them is a start from nothing.

What happens to snapshots in traffic of every kind is in test_replay.py.
"""

from collections import OrderedDict, deque
from contextlib import suppress
from dataclasses import FrozenInstanceError, dataclass, fields, is_dataclass, replace
from enum import StrEnum
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

import orjson
import pytest
from tests.support.world import World, attributes, is_ours, tables

from humd.core.arrivals import Arrival, Emit
from humd.core.leaves import (
    DERIVED,
    RUN,
    TABLES,
    Layout,
    MalformedLeaves,
    Table,
    freeze,
    leaves,
    prompts_in,
    restore,
)
from humd.core.records import codec_of
from humd.core.state import State
from thrum.canonical import dumps
from thrum.chi import Chi
from thrum.frames import Header
from thrum.snapshots import Leaf, root_of
from thrum.tones import Body

ADVICE = "say in humd.core.leaves which leaf it is in (TABLES), or why none (DERIVED)"
PROMPTS = {
    seq: Arrival(seq, 1, "A", Header("prompt", f"r-{seq}", "s"), b"\x80") for seq in range(50)
}


def objects(of: object, found: dict[str, object]) -> dict[str, object]:
    """One object of each of our classes in a state that are no records."""
    if is_ours(type(of)) and not is_dataclass(of) and type(of).__name__ not in found:
        found[type(of).__name__] = of
        for item in attributes(of).values():
            objects(item, found)
    return found


class Samples:
    """Values of any type of the state, no two alike and none of them a default."""

    def __init__(self) -> None:
        self._count = 0

    def of(self, hint: Any) -> Any:
        self._count += 1
        origin, args = get_origin(hint), get_args(hint)
        if origin is UnionType:
            return self.of(next(kind for kind in args if kind is not NoneType))
        if hint in (None, NoneType):
            return None
        if hint == Body:
            return {f"key-{self._count}": b"\xff"}
        if hint is Arrival:
            return PROMPTS[self._count % len(PROMPTS)]
        if origin in (dict, OrderedDict):
            return origin((self.of(args[0]), self.of(args[1])) for _ in range(2))
        if origin in (list, deque, set, frozenset) or args[1:] == (...,):
            return origin(self.of(args[0]) for _ in range(2))
        if origin is tuple:
            return tuple(map(self.of, args))
        return self._simple(hint)

    def _simple(self, kind: Any) -> Any:
        if hasattr(kind, "__dataclass_fields__"):
            hints = get_type_hints(kind)
            return kind(**{one.name: self.of(hints[one.name]) for one in fields(kind)})
        if issubclass(kind, StrEnum):
            return list(kind)[-1]
        if issubclass(kind, tuple):
            return kind(*(self.of(hint) for hint in get_type_hints(kind).values()))
        if kind is bool:
            return self._count % 2 == 0
        return f"text-{self._count}" if kind is str else kind(self._count)


def filled(*, entries: int = 3) -> State:
    """A state with something of everything: in every table, in every field."""
    samples, state = Samples(), State()
    for table in TABLES:
        owner, name = table.place(state)
        if table.layout is Layout.WHOLE:
            setattr(owner, name, samples.of(table.hint))
            continue
        key, value = table.hint
        for _ in range(entries):
            getattr(owner, name)[samples.of(key)] = samples.of(value)
    return state


def stored(state: State) -> list[Leaf]:
    """The leaves as they come back from a file."""
    found = [orjson.loads(dumps(leaf)) for leaf in leaves(freeze(state))]
    return [(key, value) for key, value in found]


def test_every_attribute_of_the_state_is_in_a_leaf_or_derived() -> None:
    state = State()
    written = {
        f"{type(owner).__name__}.{name}" for owner, name in (one.place(state) for one in TABLES)
    }
    found = objects(state, {})
    held = {
        f"{kind}.{name}"
        for kind, one in found.items()
        for name, value in attributes(one).items()
        if type(value).__name__ not in found or f"{kind}.{name}" in DERIVED
    }

    assert held - written - set(DERIVED) == set(), ADVICE
    assert written | set(DERIVED) == held, "humd.core.leaves names what there is no more"


def test_everything_comes_back() -> None:
    state = filled()

    found = stored(state)
    again = restore(found, PROMPTS)

    assert tables(again) == tables(state)
    assert root_of(leaves(freeze(again))) == root_of(found)


def test_a_table_of_many_runs_comes_back_in_order() -> None:
    state = State()
    for at in reversed(range(3 * RUN + 1)):
        state.watch.wanes.rise(f"sigil-{at}", at)

    found = stored(state)

    assert [key for key, _ in found if key.startswith("wanes/")] == [
        f"wanes/{number:08d}" for number in range(4)
    ]
    assert tables(restore(found, {})) == tables(state)


def test_what_is_derived_is_derived_again() -> None:
    world = World()
    world.joins("W", "worker", models=["m"])
    world.joins("F", "forager", tools=[{"name": "t"}])
    world.joins("D", "door")
    world.joins("D/a", "asker", hid="a")
    world.says("D/a", "prompt", sid="s", modelId="m")
    world.says("W", "tool-call", sid="s", callId="c", toolName="t")
    world.says("W", "permission-ask", sid="s", askId="k")

    again = world.restored(world.snapshot())

    for kind, one in objects(world.state, {}).items():
        for name in (name for name in attributes(one) if f"{kind}.{name}" in VIEWS):
            assert getattr(objects(again, {})[kind], name) == getattr(one, name), f"{kind}.{name}"
            assert getattr(one, name), f"{kind}.{name} is empty here"
    assert again.catalogue.offers.keys() == world.state.catalogue.offers.keys()
    assert again.workers == world.state.workers


VIEWS = {name for name, why in DERIVED.items() if why.startswith("another view")}


def test_leaves_are_sorted_and_no_key_comes_twice() -> None:
    keys = [key for key, _ in stored(filled(entries=30))]

    assert keys == sorted(set(keys))


def test_what_happens_after_the_freeze_does_not_show() -> None:
    state = filled()
    before = root_of(leaves(freeze(state)))

    frozen = freeze(state)
    for table in TABLES:
        owner, name = table.place(state)
        value = getattr(owner, name)
        if table.layout is Layout.WHOLE:
            setattr(owner, name, Samples().of(table.hint))
            continue
        for one in value.values():
            shake(one)
        value.popitem()

    assert root_of(leaves(frozen)) == before
    assert tables(state) != tables(filled())


def shake(value: Any) -> None:
    """Change whatever in a value can be changed, down to the leaves."""
    if isinstance(value, list | deque):
        value.clear()
    elif isinstance(value, dict):
        for item in value.values():
            shake(item)
        value.clear()
    elif is_dataclass(value):
        for one in fields(value):
            held = getattr(value, one.name)
            if one.name in ("manifest",):  # taken over whole from a tone, and never changed
                continue
            shake(held)
            with suppress(FrozenInstanceError):
                setattr(value, one.name, None)


def test_prompts_are_named_by_seq() -> None:
    world = World()
    world.joins("W", "worker", models=["m"], chis=["drone"])
    world.joins("A", "asker")
    for _ in range(3):
        world.says("A", "prompt", sid="s", modelId="m")

    found = world.snapshot()

    assert prompts_in(found) == [3, 4, 5]
    assert tables(world.restored(found)) == tables(world.state)


def test_an_empty_state_has_leaves_too() -> None:
    assert tables(restore(stored(State()), {})) == tables(State())


@pytest.mark.parametrize(
    "leaf",
    [
        ("else/x", {}),
        ("bee/x", {}),
        ("bee/x", []),
        ("bee/x", {"n": 0, "id": "x", "door": None, "roles": 1}),
        ("sid/x", {"n": 0, "sid": "x", "waiting": [777]}),
        ("call/x", {"n": 0}),
        ("closed/00000000", 7),
        ("basis", {"colour": "blue"}),
    ],
)
def test_what_is_no_leaf_is_said(leaf: Leaf) -> None:
    with pytest.raises(MalformedLeaves):
        restore([leaf], {})


def test_a_field_of_a_type_that_nobody_can_write_is_refused() -> None:
    @dataclass
    class Odd:
        thing: complex = 0

    with pytest.raises(TypeError, match=r"Odd\.thing: no way to write"):
        codec_of(Odd)


def test_a_table_of_such_a_type_is_refused() -> None:
    with pytest.raises(TypeError, match="no way to write"):
        assert Table("odd", "odd", complex).codec


def test_what_was_forgotten_is_in_no_leaf() -> None:
    world = World()
    world.basis = replace(world.basis, classifier="phrases")
    world.boots()
    world.joins("W", "worker", models=["m"], chis=["drone"])
    world.joins("A", "asker")
    world.says("A", "prompt", sid="s", modelId="m", content="secret words")
    for number in range(2):
        asked: dict[str, Any] = {"tool": "t", "question": "a secret?", "path": "/secret"}
        world.says("W", "permission-ask", sid="s", askId=f"k{number}", **asked)
    world.says("A", "release-permit", sid="s", askId="k0", decision="allow")
    world.says("W", "chunk", sid="s", delta="the secret is out")
    assert b"secret" in dumps(world.snapshot())

    world.emits(Emit(Chi.FORGOTTEN, {"order": 1, "whole": True}, "s"))

    assert b"secret" not in dumps(world.snapshot())
    assert tables(world.replayed()) == tables(world.state)
