"""A state and its leaves: nothing is forgotten, and a start from them is a start from nothing."""

from collections import deque
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import pytest
from tests.support.world import World, attributes, tables

from humd.core import router
from humd.core.arrivals import Arrival
from humd.core.clients import Client
from humd.core.leaves import (
    DERIVED,
    TABLES,
    MalformedLeaves,
    freeze,
    leaves,
    prompts_in,
    restore,
)
from humd.core.records import Record
from humd.core.sessions import Call, Session
from humd.core.state import State
from thrum.snapshots import root_of

RECORDS = (Client, Session, Call)


def busy() -> World:
    """A world in which every field of every record is something else than its default."""
    world = World()
    world.joins("W", "worker", models=["m"], version="1.2", source="x")
    world.joins(
        "F", "forager", tools=[{"name": "t", "inputSchema": {"x": b"\xff"}}], provides=["fs"]
    )
    world.joins("D", "door")
    world.joins("D/a", "asker", hid="a")
    world.joins("D/h", "asker", hid="h")
    world.says("D/a", "prompt", sid="s", modelId="m", tools=[{"name": "ask"}], rid="once")
    world.says("D/h", "attach", sid="s", hearOnly=True)
    world.says("D/a", "attach", sid="s", hearOnly=False)
    world.says("D/a", "prompt", sid="s", modelId="m", content=b"\xfe")
    world.says("D/a", "prompt", sid="s", modelId="m", content="text")
    world.says("W", "tool-call", sid="s", callId="c", toolName="t")
    world.says("W", "tool-call", sid="s", callId="d", toolName="ask")
    world.says("D/h", "prompt", sid="closed", modelId="m")
    world.says("W", "finish", sid="closed")
    world.says("D/h", "prompt", sid="orphan", modelId="m")
    world.says("D/h", "bee-retract", scope="client")
    world.joins("E", "door")
    world.joins("E/a", "asker", hid="a")
    world.loses("E")
    world.emits(router.cut("F"))
    return world


def reachable(of: object, found: dict[type, object]) -> dict[type, object]:
    """One object of each of our classes that a state leads to."""
    kind = type(of)
    if isinstance(of, dict):
        of = [*of.keys(), *of.values()]
    if isinstance(of, list | tuple | deque | set | frozenset):
        for item in of:
            reachable(item, found)
    elif kind.__module__.startswith("humd.") and kind is not Arrival and kind not in found:
        found[kind] = of
        for name, item in attributes(of).items():
            if f"{kind.__name__}.{name}" not in DERIVED:
                reachable(item, found)
    return found


def test_every_attribute_of_the_state_is_in_a_leaf_or_derived() -> None:
    held = {name for table in TABLES for name in table.holds}
    found = {
        f"{kind.__name__}.{name}"
        for kind, one in reachable(busy().state, {}).items()
        if not is_dataclass(kind)
        for name in attributes(one)
    }

    assert found - held - set(DERIVED) == set(), "humd.core.leaves: name it in TABLES or DERIVED"
    assert (held | set(DERIVED)) - found == set(), "humd.core.leaves names what there is no more"


def test_every_dataclass_of_the_state_is_a_record() -> None:
    kinds = {kind for kind in reachable(busy().state, {}) if is_dataclass(kind)}

    assert kinds == set(RECORDS)


@pytest.mark.parametrize("kind", RECORDS)
def test_no_field_is_always_at_its_default_in_these_tests(kind: type) -> None:
    """Otherwise a field that is written wrongly would go unseen."""
    record: Record[Any] = Record(kind)
    seen: set[str] = set()
    for key, value in busy().snapshot():
        if key.startswith({"Client": "bee/", "Session": "sid/", "Call": "call/"}[kind.__name__]):
            seen |= value.keys()

    assert {field.name for field in fields(kind)} - seen == set(), record.schema


def test_tables_stand_in_the_order_of_their_keys() -> None:
    assert [table.prefix for table in TABLES] == sorted(table.prefix for table in TABLES)


def test_leaves_are_sorted_and_no_key_comes_twice() -> None:
    keys = [key for key, _ in busy().snapshot()]

    assert keys == sorted(set(keys))


def test_a_restored_state_is_the_state() -> None:
    world = busy()

    found = world.snapshot()
    state = world.restored(found)

    assert tables(state) == tables(world.state)
    assert root_of(leaves(freeze(state))) == root_of(found)
    assert {name: bee.id for name, bee in state.catalogue.owners.items()} == {
        name: bee.id for name, bee in world.state.catalogue.owners.items()
    }


def test_what_happens_after_the_freeze_does_not_show() -> None:
    world = busy()
    before = root_of(world.snapshot())

    frozen = freeze(world.state)
    world.says("D/a", "prompt", sid="s", modelId="m", rid="later")
    world.says("W", "finish", sid="s")
    world.says("D/a", "detach", sid="s")
    world.loses("W")
    world.loses("D")
    world.waits(700_000)

    assert root_of(leaves(frozen)) == before
    assert root_of(leaves(freeze(world.state))) != before


def test_prompts_that_wait_are_named_by_seq() -> None:
    world = busy()

    found = world.snapshot()

    assert prompts_in(found) == [one.seq for one in world.state.sessions.by_sid["s"].waiting]


def test_an_empty_state_has_leaves_too() -> None:
    found = list(leaves(freeze(State())))

    assert tables(restore(found, {})) == tables(State())


@pytest.mark.parametrize(
    "found",
    [
        [("else/x", {})],
        [("bee", {})],
        [("bee/x", {})],
        [("bee/x", [])],
        [("bee/x", {"id": "x", "door": None, "roles": 1})],
        [("sid/x", {"sid": "x", "owner": None, "waiting": [7]})],
        [("rids/x", {"n": 0})],
        [("state", {})],
    ],
)
def test_what_are_no_leaves_is_said(found: list[tuple[str, Any]]) -> None:
    with pytest.raises(MalformedLeaves):
        restore(found, {})


def test_a_field_of_a_type_that_nobody_can_write_is_refused_at_once() -> None:
    @dataclass
    class Odd:
        thing: complex = 0

    with pytest.raises(TypeError, match=r"Odd\.thing: no way to write"):
        Record(Odd)
