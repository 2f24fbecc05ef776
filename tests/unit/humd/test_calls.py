"""Tool calls: to who owns the tool, back to who called, and an error in every other case."""

from typing import Any

import pytest
from tests.support.world import World

from humd.core import calls
from humd.core.arrivals import Refusal
from humd.core.calls import CALL_MS, ID_CHARS_MAX
from humd.core.clients import ADRIFT_MS
from thrum.errors import Qualifier


@pytest.fixture
def world() -> World:
    """Worker W serves A's sid `s`; forager F has the tool `t`, the asker its own tool `ask`."""
    world = World()
    world.joins("W", "worker", models=["m"])
    world.joins("F", "forager", tools=[{"name": "t"}])
    world.joins("A", "asker")
    world.says("A", "prompt", sid="s", modelId="m", tools=[{"name": "ask"}, "junk", {"name": 7}])
    world.hears("W")
    return world


def call(world: World, client: str = "W", tool: str = "t", call_id: str = "c") -> Refusal | None:
    verdict = world.says(client, "tool-call", sid="s", callId=call_id, toolName=tool)
    assert verdict is None or isinstance(verdict, Refusal)
    return verdict


def qualifier(verdict: object) -> Qualifier | None:
    return verdict.qualifier if isinstance(verdict, Refusal) else None


@pytest.mark.parametrize("end", ["finish", "error"])
def test_the_end_of_a_turn_stops_whoever_runs_its_calls(world: World, end: str) -> None:
    call(world)
    world.hears("F")

    world.says("W", end, sid="s", finishReason="stop", message="no", qualifier="upstream.failed")

    (cancel,) = world.hears("F")
    assert (cancel.chi, cancel.body["callId"]) == ("cancel", "c")
    assert cancel.body["reason"] == "turn-over"
    assert world.state.calls.waiting == {}


class TestACall:
    def test_goes_to_the_forager_that_owns_the_tool_and_to_nobody_else(self, world: World) -> None:
        call(world)

        assert (world.chis("F"), world.chis("A")) == (["tool-call"], [])

    def test_may_name_its_tool_as_name(self, world: World) -> None:
        world.says("W", "tool-call", sid="s", callId="c", name="t")

        assert world.chis("F") == ["tool-call"]

    def test_of_an_askers_own_tool_goes_to_the_asker_and_its_watchers(self, world: World) -> None:
        world.joins("B", "asker")
        world.says("B", "attach", sid="s", hearOnly=True)

        call(world, tool="ask")

        assert (world.chis("A"), world.chis("B")) == (["tool-call"], ["tool-call"])

    def test_of_an_unknown_tool_is_answered_with_an_error(self, world: World) -> None:
        call(world, tool="nope")

        (error,) = world.hears("W")
        assert error.body["callId"] == "c"
        assert error.body["qualifier"] == Qualifier.TOOL_UNKNOWN
        assert world.chis("A") == []
        assert not world.state.calls.waiting

    def test_may_come_from_an_asker_on_a_sid_of_its_own(self, world: World) -> None:
        world.says("A", "tool-call", sid="mine", callId="c", toolName="t")
        world.says("F", "tool-result", callId="c", output="x")

        assert world.chis("A") == ["tool-result"]

    def test_goes_to_a_forager_that_is_on_its_way_back(self, world: World) -> None:
        world.boots()
        world.joins("W", "worker", models=["m"])

        call(world)

        assert world.chis("F") == ["tool-call"]

    def test_without_a_call_id_is_refused(self, world: World) -> None:
        verdict = world.says("W", "tool-call", sid="s", toolName="t")

        assert qualifier(verdict) is Qualifier.TONE_MALFORMED

    def test_under_an_absurd_id_is_refused(self, world: World) -> None:
        verdict = call(world, call_id="x" * (ID_CHARS_MAX + 1))

        assert qualifier(verdict) is Qualifier.TONE_MALFORMED
        assert call(world, call_id="x" * ID_CHARS_MAX) is None

    def test_under_an_id_in_use_is_refused(self, world: World) -> None:
        call(world)

        assert qualifier(call(world)) is Qualifier.TONE_MALFORMED

    def test_cannot_take_over_the_id_of_another_callers_call(self, world: World) -> None:
        world.says("A", "tool-call", sid="mine", callId="c", toolName="t")

        verdict = call(world)
        world.says("F", "tool-result", callId="c", output="for A")

        assert qualifier(verdict) is Qualifier.TONE_MALFORMED
        assert (world.chis("A"), world.chis("W")) == (["tool-result"], [])

    def test_past_the_bound_is_refused(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(calls, "CALLS_MAX", 1)
        call(world)

        assert qualifier(call(world, call_id="d")) is Qualifier.QUEUE_OVERFLOW

    def test_on_a_sid_of_someone_else_is_refused(self, world: World) -> None:
        world.joins("B", "asker")

        assert qualifier(call(world, "B")) is Qualifier.AUTH_DENIED


class TestAResult:
    def test_reaches_the_caller_unchanged(self, world: World) -> None:
        call(world)

        world.says("F", "tool-result", callId="c", output="x", extra=[1])

        (result,) = world.hears("W")
        assert result.body == {"callId": "c", "output": "x", "extra": [1]}

    def test_of_the_asker_reaches_the_worker(self, world: World) -> None:
        call(world, tool="ask")

        world.says("A", "tool-result", sid="s", callId="c", output="x")

        assert world.chis("W") == ["tool-result"]

    @pytest.mark.parametrize("client", ["A", "W", "B"])
    def test_is_taken_only_from_who_was_asked(self, world: World, client: str) -> None:
        world.joins("B", "forager", tools=[{"name": "u"}])
        call(world)

        verdict = world.says(client, "tool-result", sid="s", callId="c", output="forged")

        assert qualifier(verdict) is Qualifier.AUTH_DENIED
        assert world.chis("W") == []

    def test_is_taken_once(self, world: World) -> None:
        call(world)
        world.says("F", "tool-result", callId="c")

        assert qualifier(world.says("F", "tool-result", callId="c")) is Qualifier.AUTH_DENIED

    def test_may_be_an_error_with_the_call_id(self, world: World) -> None:
        call(world)

        world.says("F", "error", callId="c", message="no")

        assert world.chis("W") == ["error"]
        assert world.chis("A") == []
        assert not world.state.calls.waiting

    def test_as_an_error_of_someone_not_asked_is_refused(self, world: World) -> None:
        call(world)

        verdict = world.says("A", "error", sid="s", callId="c", message="no")

        assert qualifier(verdict) is Qualifier.AUTH_DENIED

    def test_from_a_watcher_that_only_listens_says_so(self, world: World) -> None:
        world.joins("B", "asker")
        world.says("B", "attach", sid="s", hearOnly=True)
        call(world, tool="ask")

        verdict = world.says("B", "tool-result", sid="s", callId="c")

        assert qualifier(verdict) is Qualifier.HEAR_ONLY_DENIED


class TestACancelOfACall:
    def test_reaches_who_runs_it(self, world: World) -> None:
        call(world)
        world.hears("F")

        world.says("W", "cancel", sid="s", callId="c")

        assert world.chis("F") == ["cancel"]

    def test_that_was_answered_meanwhile_does_not_cancel_the_turn(self, world: World) -> None:
        call(world)
        world.says("F", "tool-result", callId="c")
        world.hears("W")

        assert world.says("A", "cancel", sid="s", callId="c") is None
        assert world.says("W", "cancel", sid="s", callId="c") is None

        assert world.chis("W") == []

    def test_of_someone_else_reaches_nobody(self, world: World) -> None:
        call(world)
        world.hears("F")

        world.says("A", "cancel", sid="s", callId="c")

        assert world.chis("F") == []


class TestWhoWaits:
    def test_is_told_at_once_when_the_forager_is_lost(self, world: World) -> None:
        call(world)

        world.loses("F")

        (error,) = world.hears("W")
        assert error.body["qualifier"] == Qualifier.TOOL_FORAGER_LOST
        assert error.body["callId"] == "c"

    def test_is_told_when_the_forager_does_not_come_back(self, world: World) -> None:
        call(world)
        world.boots()
        for name, role in (("W", "worker"), ("A", "asker")):
            world.joins(name, role, models=["m"])
        world.hears("W")

        world.waits(ADRIFT_MS)

        assert [heard.body["qualifier"] for heard in world.hears("W")] == ["tool.forager-lost"]

    def test_is_told_when_time_is_up_and_not_before(self, world: World) -> None:
        call(world)
        world.waits(CALL_MS - 1)
        early = world.hears("W")

        world.waits(1)

        (error,) = world.hears("W")
        assert early == []
        assert error.body["qualifier"] == Qualifier.TOOL_TIMEOUT

    def test_is_told_later_when_its_tool_says_that_it_takes_long(self, world: World) -> None:
        """And one that was called before or after it no later than else."""
        world.joins("S", "forager", tools=[{"name": "slow", "seconds": 660}])
        call(world, tool="slow", call_id="slow")
        world.waits(1)
        call(world, call_id="quick")
        world.waits(CALL_MS)
        early = world.hears("W")
        world.waits(660_000 - 300_000 - 2)
        assert world.hears("W") == []

        world.waits(1)

        (late,) = world.hears("W")
        assert [heard.body["callId"] for heard in early] == ["quick"]
        assert (late.body["callId"], late.body["qualifier"]) == ("slow", Qualifier.TOOL_TIMEOUT)
        assert world.replayed().calls.waiting == {}

    @pytest.mark.parametrize("seconds", [0, 299, 3_601, "600", 600.5, True, None])
    def test_is_told_as_of_others_when_what_its_tool_says_is_out_of_bounds(
        self, world: World, seconds: object
    ) -> None:
        world.joins("S", "forager", tools=[{"name": "slow", "seconds": seconds}])
        call(world, tool="slow")

        world.waits(CALL_MS)

        assert [heard.chi for heard in world.hears("W")] == ["error"]

    def test_and_goes_makes_the_forager_stop(self, world: World) -> None:
        call(world)
        world.hears("F")

        world.loses("W")

        (cancel,) = world.hears("F")
        assert cancel.body["callId"] == "c"
        assert not world.state.calls.waiting

    def test_and_left_is_not_answered_any_more(self, world: World) -> None:
        call(world)
        world.loses("W")

        verdict = world.says("F", "tool-result", callId="c")

        assert qualifier(verdict) is Qualifier.AUTH_DENIED


class TestWhatAToolPrints:
    def says(self, world: World, client: str = "F", **body: Any) -> object:
        fields = {"sid": "s", "callId": "c", "chunkType": "tool_output", "delta": "x", **body}
        return world.says(client, "chunk", **fields)

    def test_is_heard_by_who_listens_and_not_by_the_worker(self, world: World) -> None:
        world.joins("B", "asker")
        world.says("B", "attach", sid="s", hearOnly=True)
        call(world)

        assert self.says(world) is None

        assert (world.chis("A"), world.chis("B")) == (["chunk"], ["chunk"])
        assert world.chis("W") == []
        assert world.state.calls.get("F", "c") is not None

    def test_is_heard_once_by_a_caller_who_also_listens(self, world: World) -> None:
        call(world, "A")
        self.says(world)

        assert world.chis("A") == ["chunk"]

    def test_is_heard_by_a_caller_without_a_conversation(self, world: World) -> None:
        world.joins("C", "asker")
        world.says("C", "tool-call", callId="c", toolName="t")

        assert self.says(world, sid=None) is None
        assert world.chis("C") == ["chunk"]

    @pytest.mark.parametrize(
        "body",
        [
            {"callId": "other"},
            {"callId": 7},
            {"sid": "s2"},
            {"chunkType": "text_delta"},
            {"chunkType": None},
            {"part": {"type": "text", "text": "I am the model"}},
        ],
    )
    def test_is_nothing_else(self, world: World, body: dict[str, Any]) -> None:
        world.joins("D", "asker")
        world.says("D", "attach", sid="s2")
        call(world)

        assert qualifier(self.says(world, **body)) == Qualifier.AUTH_DENIED
        assert world.chis("A") == world.chis("D") == []

    def test_comes_only_from_who_was_asked_and_only_before_the_answer(self, world: World) -> None:
        world.joins("G", "forager", tools=[{"name": "other"}])
        call(world)

        assert qualifier(self.says(world, "G")) == Qualifier.AUTH_DENIED
        world.says("F", "tool-result", sid="s", callId="c", output="done")
        assert qualifier(self.says(world)) == Qualifier.AUTH_DENIED
        assert world.chis("A") == []

    def test_is_no_sign_of_life_of_the_worker(self, world: World) -> None:
        call(world)
        before = world.state.watch.turns["s"].timing.chunks

        self.says(world)

        assert world.state.watch.turns["s"].timing.chunks == before
