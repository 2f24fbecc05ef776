"""The tools that a prompt carries: every one callable, each under one name (features A14)."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.world import World

from humd.core.catalogue import NAME_CHARS_MAX

HASHED = r"F_[a-z_]*_[0-9a-f]{8}"
NAMES = st.text("ab._ é-", min_size=1, max_size=70)


@pytest.fixture
def world() -> World:
    world = World()
    world.joins("W", "worker", models=["m"])
    world.joins("A", "asker")
    return world


def prompted(world: World, **body: Any) -> dict[str, Any]:
    """The prompt as the worker gets it."""
    world.says("A", "prompt", sid="s", modelId="m", **body)
    (prompt,) = world.hears("W")
    return prompt.body


def listed(world: World, **body: Any) -> list[str]:
    return [tool["name"] for tool in prompted(world, **body)["foragerTools"]]


def forager(world: World, name: str, *tools: str, hid: str = "", hive: str = "") -> None:
    offered = [{"name": tool, "description": f"{tool} of {name}"} for tool in tools]
    world.joins(name, "forager", hid=hid, hive=hive or name, tools=offered)


def own_tools(*names: str) -> list[dict[str, Any]]:
    return [{"name": name, "inputSchema": {}} for name in names]


def called(world: World, tool: str) -> list[tuple[str, str]]:
    """Who got a call of this name, and what the tool was called to it."""
    world.says("W", "tool-call", sid="s", callId=f"c-{tool}", toolName=tool, name=tool, args={})
    return [
        (client, heard.body["toolName"])
        for client in ("F", "G", "H", "I", "A")
        for heard in world.hears(client)
        if heard.chi == "tool-call"
    ]


class TestTwoForagersWithOneName:
    def test_are_both_listed_and_say_which_is_which(self, world: World) -> None:
        forager(world, "F", "read")
        forager(world, "G", "read", "other")

        tools = prompted(world)["foragerTools"]

        assert {tool["name"] for tool in tools} == {"F_read", "G_read", "other"}
        assert {tool.get("bee") for tool in tools} == {"F", "G", None}
        assert "[G] read of G" in [tool["description"] for tool in tools]

    def test_are_both_called_under_their_own_names_for_it(self, world: World) -> None:
        forager(world, "F", "read")
        forager(world, "G", "read")
        prompted(world)

        assert called(world, "F_read") == [("F", "read")]
        assert called(world, "G_read") == [("G", "read")]
        assert called(world, "read") in ([("F", "read")], [("G", "read")])

    def test_of_one_hive_are_told_apart_by_their_hid(self, world: World) -> None:
        forager(world, "F", "read", hive="files")
        forager(world, "G", "read", hive="files")

        names = listed(world)

        assert len(set(names)) == 2
        assert [called(world, name) for name in names] in (
            [[("F", "read")], [("G", "read")]],
            [[("G", "read")], [("F", "read")]],
        )

    def test_keep_the_qualified_name_when_the_other_goes(self, world: World) -> None:
        forager(world, "F", "read")
        forager(world, "G", "read")
        prompted(world)
        world.says("W", "finish", sid="s")
        world.loses("F")

        assert listed(world) == ["read"]
        assert called(world, "G_read") == [("G", "read")]


def test_who_calls_its_tools_like_anothers_gets_none_of_its_calls(world: World) -> None:
    """The names that a tool has beside its own are known to everybody."""
    forager(world, "F", "read", "a b")
    forager(world, "G", "read")
    taken = [name for name in world.state.catalogue.offers if name.startswith("F_")]
    hive, _, rest = next(name for name in taken if re.fullmatch(HASHED, name)).rpartition("_")
    forager(world, "H", *taken, hid="first of all")
    forager(world, "I", rest, hive=hive)
    forager(world, "J", rest)

    names = listed(world)

    assert len(names) == len(set(names))
    exact = [name for name in names if re.fullmatch(HASHED, name)]
    assert [called(world, name)[0] for name in exact] == [("F", "read"), ("F", "a b")]


class TestAnAskersOwnTool:
    def test_keeps_its_name_and_the_foragers_gets_another(self, world: World) -> None:
        forager(world, "F", "read", "write")

        body = prompted(world, tools=[{"name": "read", "inputSchema": {}}])

        assert [tool["name"] for tool in body["tools"]] == ["read"]
        assert [tool["name"] for tool in body["foragerTools"]] == ["F_read", "write"]
        assert called(world, "read") == [("A", "read")]
        assert called(world, "F_read") == [("F", "read")]

    def test_of_a_qualified_name_gets_that_too(self, world: World) -> None:
        forager(world, "F", "read")

        tools = own_tools("read", "F_read")
        (name,) = listed(world, tools=tools)

        assert name not in ("read", "F_read")
        assert called(world, name) == [("F", "read")]

    def test_of_one_prompt_is_not_that_of_the_next(self, world: World) -> None:
        forager(world, "F", "read")
        prompted(world, tools=[{"name": "read", "inputSchema": {}}])
        world.says("W", "finish", sid="s")

        prompted(world)

        assert called(world, "read") == [("F", "read")]

    def test_without_a_schema_gets_an_empty_one(self, world: World) -> None:
        parameters = {"name": "c", "parameters": {"type": "object"}}
        tools: list[Any] = [{"name": "a", "inputSchema": None}, {"name": "b"}, parameters, "junk"]

        body = prompted(world, tools=tools)

        empty = {"type": "object", "properties": {}}
        assert body["tools"] == [
            {"name": "a", "inputSchema": empty},
            {"name": "b", "inputSchema": empty},
            parameters,
            "junk",
        ]

    def test_with_schemas_stays_byte_for_byte(self, world: World) -> None:
        tools: list[Any] = [{"name": "a", "inputSchema": {"type": "object"}, "odd": [1, None]}]

        assert prompted(world, tools=tools)["tools"] == tools


@given(
    st.lists(st.tuples(st.sampled_from(["F", "G"]), NAMES), max_size=12),
    st.lists(NAMES, max_size=4),
)
def test_every_tool_is_listed_once_under_a_name_that_every_model_takes(
    offered: list[tuple[str, str]], own: list[str]
) -> None:
    world = World()
    world.joins("W", "worker", models=["m"])
    world.joins("A", "asker")
    for client in ("F", "G"):
        forager(world, client, *(name for bee, name in offered if bee == client))

    body = prompted(world, tools=own_tools(*own))

    names = [tool["name"] for tool in body.get("foragerTools", [])]
    assert len(names) == len(set(names)) == len(set(offered))
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name) for name in names)
    assert all(len(name) <= NAME_CHARS_MAX for name in names)
    assert set(names).isdisjoint(own)
    reached = [call for name in names for call in called(world, name)]
    assert sorted(reached) == sorted(set(offered))
