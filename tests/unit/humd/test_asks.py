"""Permission asks: who answers them, and what is recorded of each (features A15)."""

from typing import Any

import pytest
from tests.support.world import World, hid_named

from humd.core import asks
from humd.core.arrivals import Refusal
from humd.core.asks import Ask, AskState
from humd.core.basis import PERMISSION_DUSK_MS
from humd.core.calls import ID_CHARS_MAX
from humd.edge import projections
from thrum.errors import Qualifier


@pytest.fixture
def world() -> World:
    """Worker W serves A's sid `s`; `op` holds the operator's key."""
    world = World()
    world.joins("W", "worker", models=["m"])
    world.joins("A", "asker")
    world.joins("op", "operator")
    world.says("A", "prompt", sid="s", modelId="m")
    world.hears("W")
    return world


def ask(world: World, ask_id: str = "a", **body: Any) -> object:
    return world.says("W", "permission-ask", sid="s", askId=ask_id, tool="Bash", **body)


def release(world: World, client: str = "A", decision: str = "allow", **more: Any) -> object:
    body = {"sid": "s", "askId": "a", "decision": decision, **more}
    return world.says(client, "release-permit", **body)


def only(world: World) -> Ask:
    (found,) = world.state.asks.listed()
    return found


def qualifier(verdict: object) -> Qualifier | None:
    return verdict.qualifier if isinstance(verdict, Refusal) else None


class TestAnAsk:
    def test_is_heard_by_everyone_on_the_sid_with_its_dusk(self, world: World) -> None:
        world.joins("B", "asker")
        world.says("B", "attach", sid="s", hearOnly=True)

        ask(world)

        for client in ("A", "B"):
            (heard,) = world.hears(client)
            assert heard.header.dusk == world.now_ms + PERMISSION_DUSK_MS

    def test_keeps_the_dusk_that_it_has(self, world: World) -> None:
        dusk = world.now_ms + 5
        ask(world, slots={"dusk": dusk})

        assert world.hears("A")[0].header.dusk == only(world).due_ms == dusk

    def test_may_be_named_as_the_wire_document_does(self, world: World) -> None:
        assert world.says("W", "permission-ask", sid="s", permitId="a", tool="Bash") is None
        assert release(world, askId=None, permitId="a") is None

        assert only(world).state is AskState.ALLOWED

    def test_without_a_name_is_refused(self, world: World) -> None:
        verdict = world.says("W", "permission-ask", sid="s", tool="Bash")

        assert qualifier(verdict) is Qualifier.TONE_MALFORMED

    def test_under_a_name_that_waits_is_refused(self, world: World) -> None:
        ask(world)

        assert qualifier(ask(world)) is Qualifier.TONE_MALFORMED

    def test_under_an_absurd_name_is_refused(self, world: World) -> None:
        assert ask(world, "x" * ID_CHARS_MAX) is None

        verdict = ask(world, "x" * (ID_CHARS_MAX + 1))

        assert isinstance(verdict, Refusal)
        assert verdict.qualifier is Qualifier.TONE_MALFORMED

    def test_past_the_bound_is_refused(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(asks, "PENDING_MAX", 1)
        ask(world)

        assert qualifier(ask(world, "b")) is Qualifier.QUEUE_OVERFLOW

    def test_that_is_over_is_listed_up_to_a_bound(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(asks, "OVER_MAX", 2)
        for name in "abc":
            ask(world, name)
            release(world, askId=name)

        assert [one.ask_id for one in world.state.asks.listed()] == ["b", "c"]

    def test_of_a_tool_with_an_absurd_name_keeps_none(self, world: World) -> None:
        world.says("W", "permission-ask", sid="s", askId="a", tool="x" * 10_000)

        assert only(world).tool == ""


class TestAnAnswer:
    @pytest.mark.parametrize(
        ("said", "state", "told"),
        [
            ("allow", AskState.ALLOWED, "allow"),
            ("deny", AskState.DENIED, "deny"),
            ("Allow", AskState.DENIED, "deny"),
            (True, AskState.DENIED, "deny"),
        ],
    )
    def test_reaches_the_worker_as_one_of_two_words(
        self, world: World, said: Any, state: AskState, told: str
    ) -> None:
        ask(world)

        release(world, decision=said, note="kept")

        (heard,) = world.hears("W")
        assert heard.body == {"askId": "a", "permitId": "a", "decision": told, "note": "kept"}
        assert (only(world).state, only(world).decided_by) == (state, hid_named("A"))

    def test_may_come_from_the_operator(self, world: World) -> None:
        ask(world)

        assert release(world, "op") is None
        assert only(world).decided_by == hid_named("op")

    def test_needs_no_sid_when_the_name_is_the_only_one(self, world: World) -> None:
        ask(world)

        assert release(world, "op", sid=None) is None
        assert world.hears("W")[0].header.sid == "s"

    def test_of_someone_who_only_listens_is_refused(self, world: World) -> None:
        world.joins("B", "asker")
        world.says("B", "attach", sid="s", hearOnly=True)
        ask(world)

        assert qualifier(release(world, "B")) is Qualifier.HEAR_ONLY_DENIED
        assert only(world).state is AskState.ASKED

    def test_of_someone_else_is_refused(self, world: World) -> None:
        world.joins("B", "asker")
        ask(world)

        assert qualifier(release(world, "B")) is Qualifier.AUTH_DENIED
        assert qualifier(release(world, "B", sid=None)) is Qualifier.AUTH_DENIED

    def test_comes_once(self, world: World) -> None:
        ask(world)
        release(world)

        assert qualifier(release(world, decision="deny")) is Qualifier.PERMIT_EXPIRED
        assert only(world).state is AskState.ALLOWED

    def test_a_role_from_behind_a_door_makes_nobody_the_operator(self, world: World) -> None:
        world.joins("D", "door")
        world.joins("D/x", "operator")
        ask(world)

        assert qualifier(release(world, "D/x")) is Qualifier.AUTH_DENIED


class TestTime:
    def test_denies_at_dusk_and_nobody_is_said_to_have_denied(self, world: World) -> None:
        ask(world)
        world.waits(PERMISSION_DUSK_MS - 1)
        early = world.chis("W")

        world.waits(1)

        (heard,) = world.hears("W")
        assert early == []
        assert (heard.body["decision"], heard.body["reason"]) == ("deny", "dusk")
        assert (only(world).state, only(world).decided_by) == (AskState.EXPIRED, None)
        assert world.state.asks.counts[AskState.DENIED] == 0

    def test_leaves_no_answer_possible(self, world: World) -> None:
        ask(world)
        world.waits(PERMISSION_DUSK_MS)

        assert qualifier(release(world)) is Qualifier.PERMIT_EXPIRED

    def test_runs_on_while_humd_is_away(self, world: World) -> None:
        ask(world)
        world.boots()
        world.joins("W", "worker", models=["m"])
        world.waits(PERMISSION_DUSK_MS)

        assert only(world).state is AskState.EXPIRED


class TestTheEndOfItsTurn:
    def test_withdraws_it(self, world: World) -> None:
        ask(world)

        world.says("W", "finish", sid="s")

        assert only(world).state is AskState.WITHDRAWN

    def test_by_the_loss_of_the_worker_withdraws_it(self, world: World) -> None:
        ask(world)

        world.loses("W")

        assert only(world).state is AskState.WITHDRAWN
        assert qualifier(release(world)) is Qualifier.PERMIT_EXPIRED


def test_an_ask_survives_a_restart_of_humd_and_can_be_answered(world: World) -> None:
    ask(world)
    world.boots()
    world.joins("W", "worker", models=["m"])
    world.joins("A", "asker")
    world.hears("W")

    assert release(world) is None

    assert world.chis("W") == ["release-permit"]


def test_an_ask_goes_with_its_worker_to_another_connection() -> None:
    world = World()
    world.joins("D", "door")
    world.joins("D/w", "worker", hid="w", models=["m"])
    world.joins("A", "asker")
    world.says("A", "prompt", sid="s", modelId="m")
    world.says("D/w", "permission-ask", sid="s", askId="a", tool="Bash")
    world.loses("D")
    world.joins("E/w", "worker", hid="w", models=["m"])

    assert release(world) is None

    assert world.chis("E/w") == ["release-permit"]


def test_of_very_many_asks_the_newest_are_listed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list must fit a frame."""
    for number in range(5):
        ask(world, f"a{number}")
    monkeypatch.setattr(projections, "ASKS_BYTES_MAX", 3 * (projections.ASK_BYTES + 12))

    assert [row["askId"] for row in projections.asks_of(world.state.asks)] == ["a2", "a3", "a4"]


class TestAskingAgain:
    """A prompt with `reaskOf` has the agent ask again for what expired: one at a time."""

    @pytest.fixture
    def late(self, world: World) -> World:
        ask(world)
        world.waits(PERMISSION_DUSK_MS)
        assert only(world).state is AskState.EXPIRED
        return world

    def again(self, world: World, rid: str, ask_id: str = "a") -> object:
        return world.says("A", "prompt", sid="s", modelId="m", reaskOf=ask_id, rid=rid)

    def test_is_refused_with_the_first_while_that_waits_or_runs(self, late: World) -> None:
        first, while_it_waits = self.again(late, "r-1"), self.again(late, "r-2")
        late.says("W", "finish", sid="s")
        while_it_runs = self.again(late, "r-3")

        assert first is None
        for verdict in (while_it_waits, while_it_runs):
            assert isinstance(verdict, Refusal)
            assert (verdict.qualifier, verdict.cause) == (Qualifier.PERMIT_REASKED, "r-1")
        prompts = [tone for tone in late.hears("W") if tone.header.chi == "prompt"]
        assert [tone.header.rid for tone in prompts] == ["r-1"]

    def test_may_be_done_anew_once_that_turn_is_over(self, late: World) -> None:
        self.again(late, "r-1")
        for _ in range(2):
            late.says("W", "finish", sid="s")

        assert self.again(late, "r-2") is None

    def test_of_an_ask_that_did_not_expire_is_a_prompt_like_any(self, late: World) -> None:
        assert self.again(late, "r-1", "unknown") is None
        assert self.again(late, "r-2", "unknown") is None
