"""Connections end: whoever waits is told, who comes back goes on, nothing waits for ever."""

import pytest
from tests.support.world import World

from humd.core import router
from humd.core.arrivals import Forget, Inherit, Refusal
from humd.core.clients import ADRIFT_MS
from humd.core.sessions import ORPHAN_MS, SILENT_MS
from thrum.errors import Qualifier


@pytest.fixture
def world() -> World:
    """Worker W serves `s` of A and `door` of D/a."""
    world = World()
    world.joins("W", "worker", models=["m"])
    world.joins("D", "door")
    world.joins("A", "asker")
    world.joins("D/a", "asker", hid="a")
    world.says("A", "prompt", sid="s", modelId="m")
    world.says("D/a", "prompt", sid="door", modelId="m")
    world.hears("W")
    return world


def adrift(world: World, client: str) -> bool:
    known = world.state.clients.get(client)
    return known is not None and not known.is_connected


def inherited(world: World) -> Inherit:
    (effect,) = [effect for _, effect in world.effects if isinstance(effect, Inherit)]
    return effect


class TestALostWorker:
    def test_ends_each_of_its_turns_with_an_error(self, world: World) -> None:
        world.loses("W")

        for asker in ("A", "D/a"):
            (error,) = world.hears(asker)
            assert error.chi == "error"
            assert error.body["qualifier"] == Qualifier.WORKER_LOST
            assert error.body["code"] == "worker_lost"

    def test_is_owed_nothing_any_more(self, world: World) -> None:
        before = len(world.effects)

        world.loses("W")

        assert Forget("W") in [effect for _, effect in world.effects[before:]]

    def test_is_not_told_of_a_cancel(self, world: World) -> None:
        world.loses("W")

        world.says("A", "cancel", sid="s")

        assert world.chis("W") == []

    def test_that_comes_back_cannot_go_on_with_a_turn_that_ended(self, world: World) -> None:
        world.loses("W")
        world.joins("W", "worker", models=["m"])

        assert world.says("W", "chunk", sid="s") is not None

    def test_is_not_lost_while_it_is_cut(self, world: World) -> None:
        world.emits(router.cut("W"))
        world.joins("W", "worker", models=["m"])

        assert world.says("W", "chunk", sid="s") is None
        assert world.chis("A") == ["chunk"]

    def test_is_lost_when_it_does_not_come_back_after_a_cut(self, world: World) -> None:
        world.emits(router.cut("W"))

        world.waits(ADRIFT_MS)

        assert world.chis("A") == ["error"]


class TestALostAsker:
    def test_of_the_bus_has_its_turn_cancelled_at_once(self, world: World) -> None:
        world.loses("A")
        world.waits(0)

        assert world.chis("W") == ["cancel"]

    def test_behind_a_door_has_a_grace(self, world: World) -> None:
        world.says("D/a", "bee-retract", scope="client")

        world.waits(ORPHAN_MS - 1)
        early = world.chis("W")
        world.waits(1)

        assert (early, world.chis("W")) == ([], ["cancel"])

    def test_is_cancelled_once(self, world: World) -> None:
        world.loses("A")
        world.waits(0)
        world.waits(ORPHAN_MS)

        assert world.chis("W") == ["cancel"]

    def test_has_a_turn_that_goes_on_while_someone_watches(self, world: World) -> None:
        world.joins("B", "asker")
        world.says("B", "attach", sid="s")

        world.loses("A")
        world.waits(ORPHAN_MS)
        world.says("W", "chunk", sid="s")

        assert world.chis("W") == []
        assert world.chis("B") == ["chunk"]

    def test_leaves_no_prompt_waiting(self, world: World) -> None:
        world.says("A", "prompt", sid="s", modelId="m")
        world.loses("A")
        world.waits(0)
        world.hears("W")

        world.says("W", "finish", sid="s")

        assert world.chis("W") == []

    def test_hears_nothing_that_comes_later(self, world: World) -> None:
        world.loses("A")

        world.says("W", "chunk", sid="s")

        assert world.chis("A") == []


class TestASlowReader:
    def test_that_its_door_gave_up_has_its_turns_cancelled_at_once(self, world: World) -> None:
        world.says("D/a", "bee-retract", scope="client", reason="slow-reader")
        world.waits(0)

        assert world.chis("W") == ["cancel"]


class TestAnAskerThatComesBack:
    def test_under_another_connection_attaches_and_drives_its_turn_again(
        self, world: World
    ) -> None:
        world.says("D/a", "bee-retract", scope="client")
        world.joins("D/b", "asker", hid="a")
        world.says("D/b", "attach", sid="door")
        world.waits(ORPHAN_MS)
        world.says("W", "tool-call", sid="door", callId="c", toolName="nope")

        session = world.state.sessions.get("door")
        assert session is not None
        assert session.owner == "D/b"
        assert "cancel" not in world.chis("W")

    def test_only_to_listen_keeps_the_turn_running_and_does_not_drive(self, world: World) -> None:
        world.loses("A")
        world.joins("B", "asker")
        world.says("B", "attach", sid="s", hearOnly=True)
        world.waits(0)
        kept = world.chis("W")

        world.says("B", "detach", sid="s")
        world.waits(ORPHAN_MS)

        assert (kept, world.chis("W")) == ([], ["cancel"])


class TestATurnThatNobodyWaitsFor:
    def test_is_not_kept_by_the_detach_of_a_stranger(self, world: World) -> None:
        world.joins("B", "asker")
        world.says("D/a", "bee-retract", scope="client")
        world.waits(ORPHAN_MS - 1)

        world.says("B", "detach", sid="door")
        world.waits(1)

        assert world.chis("W") == ["cancel"]


class TestASilentWorker:
    def test_that_promised_nothing_is_given_up_in_the_end(self, world: World) -> None:
        world.waits(SILENT_MS - 1)
        early = world.chis("A")

        world.waits(1)

        (error,) = world.hears("A")
        assert early == []
        assert error.body["qualifier"] == Qualifier.WORKER_LOST
        assert "cancel" in world.chis("W")

    def test_that_was_given_up_has_room_again_and_no_word_on_that_sid(self, world: World) -> None:
        world.joins("Z", "worker", models=["z"], capacity=1)
        world.says("A", "prompt", sid="z", modelId="z")
        world.waits(SILENT_MS)

        late = world.says("Z", "chunk", sid="z")
        world.says("A", "prompt", sid="y", modelId="z")

        prompts = [heard.header.sid for heard in world.hears("Z") if heard.chi == "prompt"]
        assert isinstance(late, Refusal)
        assert prompts == ["z", "y"]

    def test_is_left_alone_while_it_asks_for_consent(self, world: World) -> None:
        slots = {"dusk": world.now_ms + 10 * SILENT_MS}
        world.says("W", "permission-ask", sid="s", slots=slots, askId="a", tool="Bash")
        world.hears("A")

        world.waits(SILENT_MS)

        assert world.chis("A") == []

    def test_is_not_one_that_still_speaks(self, world: World) -> None:
        world.waits(SILENT_MS - 1)
        world.says("W", "chunk", sid="s")
        world.hears("A")

        world.waits(SILENT_MS - 1)

        assert world.chis("A") == []


class TestALostDoor:
    def test_sets_its_clients_adrift(self, world: World) -> None:
        world.loses("D")

        assert adrift(world, "D/a")
        assert not world.state.knows("D")

    def test_gives_its_clients_time_to_come_back_under_their_hid(self, world: World) -> None:
        world.loses("D")
        world.waits(ADRIFT_MS - 1)
        world.joins("E", "door", hid="E")
        world.joins("E/x", "asker", hid="a")

        world.says("W", "chunk", sid="door")

        assert world.chis("E/x") == ["chunk"]
        assert not world.state.knows("D/a")

    def test_hands_over_a_worker_with_its_turns_and_calls(self, world: World) -> None:
        world.joins("D/w", "worker", hid="w", models=["n"])
        world.joins("F", "forager", tools=[{"name": "t"}])
        world.says("A", "prompt", sid="n", modelId="n")
        world.says("D/w", "tool-call", sid="n", callId="c", toolName="t")

        world.loses("D")
        world.joins("E", "door", hid="E")
        world.joins("E/w", "worker", hid="w", models=["n"])
        worker = world.state.clients.touch("E/w")
        open_before = worker.turns_open
        world.says("F", "tool-result", callId="c")
        world.says("E/w", "finish", sid="n")

        assert world.chis("E/w") == ["tool-result"]
        assert world.chis("A") == ["finish"]
        assert (open_before, worker.turns_open) == (1, 0)

    def test_hands_over_what_a_client_watches(self, world: World) -> None:
        world.joins("D/b", "asker", hid="b")
        world.says("D/b", "attach", sid="s", hearOnly=True)
        world.loses("D")
        world.joins("E/b", "asker", hid="b")

        world.says("W", "chunk", sid="s")

        session = world.state.sessions.get("s")
        assert world.chis("E/b") == ["chunk"]
        assert world.says("E/b", "cancel", sid="s") is not None
        assert session is not None
        assert session.watchers == {"E/b": True}

    def test_is_owed_nothing_once_its_last_client_is_elsewhere(self, world: World) -> None:
        world.loses("D")
        before = [effect for _, effect in world.effects if effect == Forget("D")]

        world.joins("E/a", "asker", hid="a")

        assert before == []
        assert [effect for _, effect in world.effects if effect == Forget("D")] == [Forget("D")]

    def test_says_who_inherits(self, world: World) -> None:
        world.loses("D")
        world.joins("E/a", "asker", hid="a")

        assert inherited(world) == Inherit("D/a", "E/a", world.seq, None)

    def test_says_how_far_who_inherits_has_heard(self, world: World) -> None:
        world.loses("D")
        heard = {"s": 3, "t": "4", "u": True, "v": None}
        world.joins("E/a", "asker", hid="a", heard=heard)

        assert inherited(world) == Inherit("D/a", "E/a", world.seq, {"s": 3})

    @pytest.mark.parametrize("heard", [None, [], "s", 7])
    def test_takes_any_other_word_for_none(self, world: World, heard: object) -> None:
        world.loses("D")
        world.joins("E/a", "asker", hid="a", heard=heard)

        assert inherited(world) == Inherit("D/a", "E/a", world.seq, None)

    def test_ends_the_turns_of_workers_that_stay_away(self, world: World) -> None:
        world.joins("D/w", "worker", hid="w", models=["n"])
        world.says("A", "prompt", sid="n", modelId="n")
        world.loses("D")

        world.waits(ADRIFT_MS)

        (error,) = world.hears("A")
        assert error.body["qualifier"] == Qualifier.WORKER_LOST

    def test_does_not_give_a_client_to_another_hid(self, world: World) -> None:
        world.loses("D")
        world.joins("E/x", "asker", hid="someone else")

        assert adrift(world, "D/a")


class TestANewHumd:
    def test_sees_everyone_adrift(self, world: World) -> None:
        world.boots()

        assert all(adrift(world, client) for client in ("W", "A", "D", "D/a"))

    def test_offers_no_tool_of_a_forager_that_has_not_come_back(self, world: World) -> None:
        world.joins("F", "forager", tools=[{"name": "t"}])

        world.boots()

        assert world.state.catalogue.offers == {}

    def test_goes_on_with_a_stream_once_its_worker_is_back(self, world: World) -> None:
        world.boots()
        world.joins("W", "worker", models=["m"])

        world.says("W", "chunk", sid="s")

        assert world.chis("A") == ["chunk"]

    def test_has_a_doors_clients_back_with_the_door(self, world: World) -> None:
        world.boots()

        world.joins("D", "door")

        assert not adrift(world, "D/a")

    def test_forgets_who_stays_away(self, world: World) -> None:
        world.boots()
        world.joins("W", "worker", models=["m"])

        world.waits(ADRIFT_MS)
        world.waits(0)

        assert not world.state.knows("A")
        assert "cancel" in world.chis("W")

    def test_forgets_a_door_that_stays_away_with_its_clients(self, world: World) -> None:
        world.boots()

        world.waits(ADRIFT_MS)
        world.waits(ADRIFT_MS)

        assert not world.state.knows("D")
        assert not world.state.knows("D/a")
