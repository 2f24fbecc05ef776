"""Other humds, as this one sees them: clients of the ensemble, each under its own hid."""

from typing import Any

import pytest
from tests.support.world import OURS, World, hid_named

from humd.core.arrivals import Refusal
from humd.core.clients import ADRIFT_MS
from humd.core.sessions import ORPHAN_MS
from thrum.errors import Qualifier

FAR = hid_named("far", prefix="humd")
OTHER = hid_named("other", prefix="humd")
PEER, THIRD = f"E/{FAR}", f"E/{OTHER}"


@pytest.fixture
def world() -> World:
    """Worker W and asker A are here; the humd FAR may prompt, attach and call tools."""
    world = World()
    world.joins("W", "worker", models=["m"])
    world.joins("A", "asker")
    world.joins("E", "ensemble")
    world.joins(PEER, grants=["prompt", "attach", "tool-call", "cancel"])
    world.hears(PEER)
    return world


def qualifier(verdict: object) -> Qualifier | None:
    return verdict.qualifier if isinstance(verdict, Refusal) else None


def to(hid: str, **slots: Any) -> dict[str, Any]:
    return {"to": hid, **slots}


class TestAPromptForAnotherHumd:
    def test_goes_there_as_it_came_and_to_no_worker_here(self, world: World) -> None:
        world.says("A", "prompt", sid="s", slots=to(FAR), modelId="m", content="hi")

        (prompt,) = world.hears(PEER)
        assert prompt.body == {"modelId": "m", "content": "hi"}
        assert (prompt.header.sender, prompt.header.to) == (OURS, FAR)
        assert world.chis("W") == []

    def test_is_answered_from_there(self, world: World) -> None:
        world.says("A", "prompt", sid="s", slots=to(FAR), modelId="m")

        assert world.says(PEER, "chunk", sid="s", slots={"sender": FAR}) is None
        assert world.says(PEER, "finish", sid="s") is None

        assert world.chis("A") == ["chunk", "finish"]

    @pytest.mark.parametrize("text", [OURS, OURS[:17], "", "scout", "humd_12", f"wbee_{FAR[5:]}"])
    def test_is_for_this_one_when_it_names_it_or_no_humd(self, world: World, text: str) -> None:
        world.says("A", "prompt", sid="s", slots=to(text), modelId="m")

        assert world.chis("W") == ["prompt"]

    def test_without_a_link_is_refused(self, world: World) -> None:
        verdict = world.says("A", "prompt", sid="s", slots=to(OTHER), modelId="m")

        assert qualifier(verdict) is Qualifier.PEER_LOST

    def test_ends_with_the_link(self, world: World) -> None:
        world.says("A", "prompt", sid="s", slots=to(FAR), modelId="m")

        world.says(PEER, "bee-retract", scope="client")

        (error,) = world.hears("A")
        assert error.body["qualifier"] == Qualifier.PEER_LOST

    def test_that_waited_until_the_link_was_down_is_an_error(self, world: World) -> None:
        world.says("A", "prompt", sid="s", modelId="m")
        world.says("A", "prompt", sid="s", slots=to(FAR), modelId="m")
        world.says(PEER, "bee-retract", scope="client")

        world.says("W", "finish", sid="s")

        assert [heard.chi for heard in world.hears("A")] == ["finish", "error"]
        assert world.chis("W") == ["prompt"]

    def test_goes_on_when_the_ensemble_comes_back(self, world: World) -> None:
        world.says("A", "prompt", sid="s", slots=to(FAR), modelId="m")
        world.loses("E")
        world.waits(ADRIFT_MS - 1)
        world.joins("E2", "ensemble", hid="E")
        world.joins(f"E2/{FAR}")

        world.says(f"E2/{FAR}", "finish", sid="s")

        assert world.chis("A") == ["finish"]


class TestAPromptFromAnotherHumd:
    def test_is_answered_there_and_nowhere_else(self, world: World) -> None:
        world.says(PEER, "prompt", sid="s", modelId="m")
        world.says("W", "finish", sid="s")

        (finish,) = world.hears(PEER)
        assert (finish.header.sender, finish.header.to) == (OURS, FAR)
        assert world.chis("A") == []

    def test_reaches_the_worker_as_from_there_whatever_it_says(self, world: World) -> None:
        world.says(PEER, "prompt", sid="s", slots={"sender": "someone"}, modelId="m")

        (prompt,) = world.hears("W")
        assert prompt.header.sender == FAR

    @pytest.mark.parametrize("sender", [OTHER, OTHER[:17], OURS])
    def test_that_says_it_is_from_a_third_is_refused(self, world: World, sender: str) -> None:
        verdict = world.says(PEER, "prompt", sid="s", slots={"sender": sender}, modelId="m")

        assert qualifier(verdict) is Qualifier.AUTH_DENIED

    def test_is_not_relayed_to_a_third(self, world: World) -> None:
        world.joins(THIRD)

        verdict = world.says(PEER, "prompt", sid="s", slots=to(OTHER), modelId="m")

        assert qualifier(verdict) is Qualifier.FEDERATION_SCOPE_DENIED

    def test_is_cancelled_when_the_link_stays_down(self, world: World) -> None:
        world.says(PEER, "prompt", sid="s", modelId="m")
        world.hears("W")
        world.says(PEER, "bee-retract", scope="client")

        world.waits(ORPHAN_MS)

        assert world.chis("W") == ["cancel"]

    def test_is_not_taken_over_by_who_only_says_to_be_that_humd(self, world: World) -> None:
        """The same the other way round: that humd takes over nothing of ours by its hid."""
        world.joins("D", "door")
        world.says("D/own", "hello", hive="own", hid=FAR)
        world.says("D/own", "prompt", sid="ours", modelId="m")
        world.says(PEER, "prompt", sid="theirs", modelId="m")
        world.boots()

        world.joins("D2", "door", hid="D2")
        world.says("D2/x", "hello", hive="x", hid=FAR)
        world.joins("E", "ensemble")
        world.joins(PEER, grants=["prompt"])

        found = {sid: world.state.sessions.get(sid) for sid in ("ours", "theirs")}
        assert {sid: one and one.owner for sid, one in found.items()} == {
            "ours": "D2/x",
            "theirs": PEER,
        }

    def test_on_a_sid_of_ours_is_refused(self, world: World) -> None:
        world.says("A", "prompt", sid="s", modelId="m")

        verdict = world.says(PEER, "prompt", sid="s", modelId="m")

        assert qualifier(verdict) is Qualifier.AUTH_DENIED


class TestAToolCallFromAnotherHumd:
    def call(self, world: World, client: str, tool: str) -> Qualifier | None:
        return qualifier(
            world.says(client, "tool-call", sid="far", callId=f"c-{tool}", toolName=tool)
        )

    @pytest.fixture
    def world(self, world: World) -> World:
        world.joins("F", "forager", tools=[{"name": "shell"}], provides=["fs"])
        world.joins("G", "forager", tools=[{"name": "clock"}])
        return world

    def test_is_answered(self, world: World) -> None:
        assert self.call(world, PEER, "clock") is None
        world.says("G", "tool-result", callId="c-clock", output="noon")

        (result,) = world.hears(PEER)
        assert (result.body["output"], result.header.to) == ("noon", FAR)

    def test_of_a_file_tool_needs_its_name_to_be_allowed(self, world: World) -> None:
        denied = self.call(world, PEER, "shell")
        world.joins(THIRD, grants=["tool-call"], allowTools=["shell"])

        assert denied is Qualifier.FEDERATION_SCOPE_DENIED
        assert self.call(world, THIRD, "shell") is None
        assert self.call(world, THIRD, "clock") is Qualifier.FEDERATION_SCOPE_DENIED

    def test_of_an_unknown_tool_is_answered_with_an_error(self, world: World) -> None:
        assert self.call(world, PEER, "nope") is None

        (error,) = world.hears(PEER)
        assert error.body["qualifier"] == Qualifier.TOOL_UNKNOWN

    def test_of_our_askers_own_tool_is_its_when_it_serves_the_turn(self, world: World) -> None:
        world.joins(THIRD)
        tools = [{"name": "mine", "inputSchema": {}}]
        world.says("A", "prompt", sid="s", slots=to(OTHER), modelId="m", tools=tools)

        taken = world.says(THIRD, "tool-call", sid="s", callId="c", toolName="mine")
        world.says("A", "tool-result", sid="s", callId="c", output="x")

        assert taken is None
        assert world.chis("A") == ["tool-call"]
        assert world.chis(THIRD) == ["prompt", "tool-result"]


def test_a_call_that_names_another_humd_goes_there_and_its_answer_comes_back(world: World) -> None:
    world.says("A", "tool-call", sid="s", slots=to(FAR), callId="c", toolName="t")
    assert world.chis(PEER) == ["tool-call"]

    world.says(PEER, "error", callId="c", message="no")

    assert world.chis("A") == ["error"]


class TestAnObserverAbroad:
    def test_hears_what_is_said_here(self, world: World) -> None:
        world.says("A", "prompt", sid="s", modelId="m")
        world.says(PEER, "attach", sid="s", hearOnly=True)
        world.says("W", "finish", sid="s")

        (finish,) = world.hears(PEER)
        assert finish.header.to == FAR

    def test_that_only_hears_may_not_drive(self, world: World) -> None:
        world.says("A", "prompt", sid="s", modelId="m")
        world.says(PEER, "attach", sid="s", hearOnly=True)

        for chi in ("prompt", "cancel", "tool-call", "tool-result"):
            about: dict[str, Any] = (
                {"callId": "c", "toolName": "t"} if chi.startswith("tool") else {}
            )
            verdict = world.says(PEER, chi, sid="s", **about)
            assert qualifier(verdict) is Qualifier.HEAR_ONLY_DENIED

    def test_here_of_a_sid_there_hears_what_comes(self, world: World) -> None:
        world.says("A", "attach", sid="far", slots=to(FAR), hearOnly=True)
        asked = world.chis(PEER)
        world.says(PEER, "chunk", sid="far")
        world.says("A", "detach", sid="far", slots=to(FAR))
        world.says(PEER, "chunk", sid="far")

        assert asked == ["attach"]
        assert world.chis(PEER) == ["detach"]
        assert world.chis("A") == ["chunk"]


@pytest.mark.parametrize("chi", ["peer-add", "peer-remove", "gossip-publish"])
def test_what_concerns_the_mesh_goes_to_the_ensemble(world: World, chi: str) -> None:
    assert world.says("A", chi, topic="t") is None

    assert world.chis("E") == [chi]


def test_telemetry_for_another_humd_goes_there(world: World) -> None:
    """The narrative ping pong: a tone for another humd arrives there unchanged."""
    world.says("A", "perf-mark", rid="ping", slots=to(FAR), mark="x")

    (mark,) = world.hears(PEER)
    assert (mark.header.rid, mark.body) == ("ping", {"mark": "x"})


def test_a_peer_is_known_by_its_link_not_by_its_hello(world: World) -> None:
    world.joins(THIRD, hid="far", hive="claims", grants="*", bee=["operator"], models=["m"])

    client = world.state.clients.get(THIRD)

    assert client is not None
    assert client.hid == OTHER
    assert client.roles == {"peer"}
    assert not client.models
    assert "claims" not in [bee.name for bee in world.state.clients.bees()]
