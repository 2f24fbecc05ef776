"""What goes to another humd: prompts without room here, and calls of tools where the files are."""

from typing import Any

import pytest
from tests.support.world import OURS, World, hid_named, tables

from humd.core.arrivals import Refusal
from humd.core.peers import ADDRESS_BYTES_MAX
from thrum.errors import Qualifier

NEST = "scout"
HIDS = sorted(hid_named(name, prefix="humd") for name in ("one", "two", "three"))
FIRST, SECOND, THIRD = (f"E/{hid}" for hid in HIDS)
READ = {"name": "read"}


@pytest.fixture
def world() -> World:
    """Worker W takes one turn of model m, and A has it."""
    world = World(NEST)
    world.joins("W", "worker", models=["m"], capacity=1)
    world.joins("A", "asker")
    world.joins("B", "asker")
    world.joins("E", "ensemble")
    world.says("A", "prompt", sid="busy", modelId="m")
    world.hears("W")
    return world


def links(world: World, peer: str, **about: Any) -> None:
    world.joins(peer, **{"nests": [NEST], **about})


def taker(world: World, sid: str = "s", by: str = "B") -> str | None:
    """Which humd a prompt goes to."""
    world.says(by, "prompt", sid=sid, modelId="m", content="hi")
    return next((peer for peer in (FIRST, SECOND, THIRD) if "prompt" in world.chis(peer)), None)


class TestOverflow:
    @pytest.mark.parametrize(
        ("first", "second", "chosen"),
        [
            ({}, {}, FIRST),
            ({"free_slots": 3}, {"free_slots": 4}, SECOND),
            ({"free_slots": 3}, {}, SECOND),
            ({"free_slots": 0}, {"free_slots": 1, "headroom": {"pressure": "hot"}}, SECOND),
            ({"free_slots": 0}, {"free_slots": 0}, FIRST),
            ({"headroom": {"pressure": "warm"}}, {"headroom": {"pressure": "cool"}}, SECOND),
            ({"headroom": {"pressure": "refuse"}}, {"free_slots": 0}, SECOND),
            ({"nests": ["another"]}, {}, SECOND),
            ({"nests": []}, {"headroom": {"pressure": "refuse"}}, None),
            ({"free_slots": -1, "headroom": "odd"}, {"free_slots": 1}, FIRST),
        ],
    )
    def test_goes_where_there_is_most_room(
        self, world: World, first: dict[str, Any], second: dict[str, Any], chosen: str | None
    ) -> None:
        links(world, SECOND, **second)
        links(world, FIRST, **first)

        assert taker(world) == chosen

    def test_counts_what_it_has_sent_there(self, world: World) -> None:
        links(world, FIRST, free_slots=2)
        links(world, SECOND, free_slots=1)

        assert [taker(world, f"s{number}") for number in range(3)] == [FIRST, FIRST, SECOND]

    def test_stays_with_the_humd_that_had_the_last_turn(self, world: World) -> None:
        links(world, SECOND)
        assert taker(world) == SECOND
        world.says(SECOND, "finish", sid="s")
        links(world, FIRST)

        assert taker(world) == SECOND
        assert taker(world, "other") == FIRST

    def test_comes_home_when_there_is_room_here(self, world: World) -> None:
        links(world, FIRST)
        world.says("W", "finish", sid="busy")

        assert taker(world) is None
        assert world.chis("W") == ["prompt"]

    def test_of_another_humd_goes_no_further(self, world: World) -> None:
        links(world, FIRST, grants=["prompt"])
        links(world, SECOND)

        world.says(FIRST, "prompt", sid="s", modelId="m")
        (error,) = world.hears(FIRST)
        assert error.body["qualifier"] == Qualifier.OVERFLOW_NO_CAPACITY
        world.says(FIRST, "prompt", sid="t", modelId="unheard of")
        assert world.hears(SECOND) == []
        (error,) = world.hears(FIRST)
        assert error.body["qualifier"] == Qualifier.OVERFLOW_MODEL_UNAVAILABLE

    def test_is_answered_with_what_the_other_humd_says(self, world: World) -> None:
        links(world, FIRST)
        taker(world)

        world.says(FIRST, "error", sid="s", qualifier="overflow.no-capacity", message="full")

        (error,) = world.hears("B")
        assert error.body["qualifier"] == "overflow.no-capacity"

    def test_comes_out_the_same_in_replay(self, world: World) -> None:
        links(world, FIRST, free_slots=1, alias="box", tools=[READ])
        links(world, SECOND)
        for number in range(4):
            taker(world, f"s{number}")

        assert tables(world.replayed()) == tables(world.state)


class TestAPlace:
    @pytest.fixture
    def placed(self, world: World) -> World:
        """File tools are here and on FIRST, which is called box; W is free."""
        world.says("W", "finish", sid="busy")
        world.joins("F", "forager", tools=[READ, {"name": "grep"}], provides=["fs"])
        world.joins("G", "forager", tools=[{"name": "mail"}])
        links(world, FIRST, alias="box", tools=[READ, {"name": "far"}])
        for client in ("W", "A", "B"):
            world.hears(client)
        return world

    def prompts(self, world: World, cwd: object) -> object:
        verdict = world.says("B", "prompt", sid="s", modelId="m", cwd=cwd)
        heard = [tone for tone in world.hears("W") if tone.chi == "prompt"]
        return verdict if verdict is not None else heard[0].body["cwd"]

    @pytest.mark.parametrize("host", ["box", HIDS[0], HIDS[0][:17]])
    def test_gives_the_worker_the_path_alone(self, placed: World, host: str) -> None:
        assert self.prompts(placed, f"hum://{host}/a/b") == "/a/b"

    @pytest.mark.parametrize("cwd", [f"hum://{OURS}/a", f"hum://{OURS[:17]}/a"])
    def test_here_is_a_plain_path(self, placed: World, cwd: str) -> None:
        assert self.prompts(placed, cwd) == "/a"

        placed.says("W", "tool-call", sid="s", callId="c", toolName="read")
        assert placed.chis("F") == ["tool-call"]

    @pytest.mark.parametrize("cwd", ["/a", "relative", 7, None, "http://x"])
    def test_that_is_no_address_stays_as_it_is(self, placed: World, cwd: object) -> None:
        assert self.prompts(placed, cwd) == cwd

    @pytest.mark.parametrize(
        ("cwd", "qualifier"),
        [
            ("hum://nowhere/a", Qualifier.PEER_LOST),
            (f"hum://wbee_{HIDS[0][5:]}/a", Qualifier.PEER_LOST),
            ("hum:///a", Qualifier.TONE_MALFORMED),
            ("hum://humd_12/a", Qualifier.TONE_MALFORMED),
            ("hum://humd_121212121212/a", Qualifier.PEER_LOST),
            (f"hum://box/{'a' * ADDRESS_BYTES_MAX}", Qualifier.TONE_MALFORMED),
        ],
    )
    def test_that_is_nowhere_is_refused(
        self, placed: World, cwd: str, qualifier: Qualifier
    ) -> None:
        verdict = self.prompts(placed, cwd)

        assert isinstance(verdict, Refusal)
        assert verdict.qualifier is qualifier

    @pytest.mark.parametrize(
        ("tool", "goes_to"), [("read", FIRST), ("grep", FIRST), ("far", FIRST), ("mail", "G")]
    )
    def test_is_where_calls_of_its_tools_go(self, placed: World, tool: str, goes_to: str) -> None:
        self.prompts(placed, "hum://box/a")

        placed.says("W", "tool-call", sid="s", callId="c", toolName=tool)

        assert placed.chis(goes_to) == ["tool-call"]
        assert placed.chis("F") == []
        if goes_to == FIRST:
            placed.says(FIRST, "tool-result", sid="s", callId="c", output="x")
            assert placed.chis("W") == ["tool-result"]

    def test_has_calls_of_other_ids_than_those_that_named_that_humd(self, placed: World) -> None:
        self.prompts(placed, "hum://box/a")
        far: dict[str, Any] = {"sid": "q", "slots": {"to": HIDS[0]}, "toolName": "far"}
        placed.says("A", "tool-call", callId="c", **far)
        placed.says("W", "tool-call", sid="s", callId="d", toolName="read")

        verdicts = [
            placed.says("W", "tool-call", sid="s", callId="c", toolName="read"),
            placed.says("A", "tool-call", callId="d", **far),
        ]

        found = [verdict.qualifier for verdict in verdicts if isinstance(verdict, Refusal)]
        assert found == [Qualifier.TONE_MALFORMED] * 2

    def test_without_a_link_is_no_reason_to_read_files_here(self, placed: World) -> None:
        self.prompts(placed, "hum://box/a")
        placed.says("E", "bee-retract")  # the ensemble's own announcement
        placed.says(FIRST, "bee-retract", scope="client", reason="disconnect")
        placed.hears("W")

        placed.says("W", "tool-call", sid="s", callId="c", toolName="read")
        placed.says("W", "tool-call", sid="s", callId="d", toolName="mail")

        (error,) = placed.hears("W")
        assert (error.body["qualifier"], error.body["callId"]) == (Qualifier.PEER_LOST, "c")
        assert (placed.chis("F"), placed.chis("G")) == ([], ["tool-call"])

    def test_holds_for_one_turn(self, placed: World) -> None:
        self.prompts(placed, "hum://box/a")
        placed.says("W", "finish", sid="s")
        self.prompts(placed, "/a")

        placed.says("W", "tool-call", sid="s", callId="c", toolName="read")

        assert placed.chis("F") == ["tool-call"]

    def test_travels_with_a_prompt_for_another_humd_by_hid(self, placed: World) -> None:
        links(placed, SECOND)

        slots = {"to": HIDS[1]}
        placed.says("B", "prompt", sid="s", slots=slots, modelId="m", cwd="hum://box/a b")
        placed.says("A", "prompt", sid="t", slots=slots, modelId="m", cwd=f"hum://{OURS}/a")

        cwds = [tone.body["cwd"] for tone in placed.hears(SECOND)]
        assert cwds == [f"hum://{HIDS[0]}/a b", f"hum://{OURS}/a"]

    def test_that_left_while_the_prompt_waited_is_an_error(self, placed: World) -> None:
        self.prompts(placed, "/a")
        placed.says("B", "prompt", sid="s", modelId="m", cwd="hum://box/a")
        placed.says(FIRST, "bee-retract", scope="client", reason="disconnect")
        placed.says("W", "finish", sid="s")

        errors = [tone.body["qualifier"] for tone in placed.hears("B") if tone.chi == "error"]
        assert errors == [Qualifier.PEER_LOST]

    def test_is_the_same_in_replay(self, placed: World) -> None:
        self.prompts(placed, "hum://box/a")
        placed.says("W", "tool-call", sid="s", callId="c", toolName="read")

        assert tables(placed.replayed()) == tables(placed.state)
        assert placed.state.sessions.by_sid["s"].place == HIDS[0]
