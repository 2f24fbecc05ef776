"""Silent workers: asked, given up, and their turns begun again or ended."""

from typing import Any

import pytest
from tests.support.world import BEAT_MS, World, tables

from humd.core import sentinel
from humd.core.arrivals import Refusal
from thrum.errors import Qualifier

PATIENCE = 4
"""Beats until a worker is given up: three are asked in vain."""


@pytest.fixture
def world() -> World:
    world = World(default_hive="W")
    world.joins("W", "worker", models=["m"], chis=["drone", "prompt"])
    world.joins("A", "asker")
    return world


def prompts(world: World, sid: str = "s", **body: Any) -> None:
    assert world.says("A", "prompt", sid=sid, modelId="m", content="c", **body) is None


def beats(world: World, number: int = 1) -> None:
    for _ in range(number):
        world.waits(BEAT_MS)


def other_worker(world: World, name: str = "X", **hello: Any) -> None:
    world.joins(name, "worker", models=["m"], chis=["drone"], **hello)


def test_a_silent_worker_is_asked_once_a_beat(world: World) -> None:
    """Features A17."""
    prompts(world)
    world.hears("W")

    world.waits(BEAT_MS - 1)
    assert world.chis("W") == []
    world.waits(1)
    (asked,) = world.hears("W")
    assert asked.chi == "drone"
    assert asked.body["health"] == "tense"
    assert len(asked.body["pending_echoes"]) == 1
    world.waits(BEAT_MS - 1)

    assert world.chis("W") == []
    assert world.chis("A") == []


@pytest.mark.parametrize("chi", ["drone", "chunk", "pulse", "session-ready", "tool-call"])
def test_any_sign_of_life_clears_what_was_missed(world: World, chi: str) -> None:
    world.joins("F", "forager", tools=[{"name": "t"}])
    prompts(world)
    for number in range(3 * PATIENCE):
        beats(world)
        world.says("W", chi, sid="s", callId=f"c{number}", toolName="t")

    assert "error" not in world.chis("A")
    assert "s" in world.state.watch.turns


def test_no_turn_is_taken_while_output_flows(world: World) -> None:
    prompts(world)
    for _ in range(5 * PATIENCE):
        world.waits(BEAT_MS // 2)
        world.says("W", "chunk", sid="s", delta="x")

    assert set(world.chis("W")) == {"prompt"}
    assert set(world.chis("A")) == {"chunk"}


def test_without_another_worker_the_turn_ends_with_an_error(world: World) -> None:
    prompts(world)
    world.hears("W")

    beats(world, PATIENCE)

    assert world.chis("W") == ["drone", "drone", "drone", "cancel"]
    (error,) = world.hears("A")
    assert (error.chi, error.body["qualifier"]) == ("error", "worker.lost")
    assert error.body["code"] == "worker_silent"
    assert "20 s" in error.body["message"]
    assert world.state.watch.turns == {}
    assert world.state.watch.penny.counters["droneWithers"] == 1


def test_what_a_worker_says_after_it_was_given_up_is_refused(world: World) -> None:
    prompts(world)
    beats(world, PATIENCE)

    for chi in ("chunk", "finish"):
        verdict = world.says("W", chi, sid="s")
        assert isinstance(verdict, Refusal)
        assert verdict.qualifier is Qualifier.AUTH_DENIED


def test_the_turn_begins_again_elsewhere_when_nobody_has_read_of_it(world: World) -> None:
    other_worker(world, hid="z")
    prompts(world, note="kept")
    first, second = ("W", "X") if world.chis("W") else ("X", "W")
    world.hears(second)

    beats(world, PATIENCE)

    assert world.chis(first)[-1] == "cancel"
    (again,) = world.hears(second)
    assert (again.chi, again.header.sid, again.body["note"]) == ("prompt", "s", "kept")
    assert world.chis("A") == ["drone-retrofit"]
    assert world.says(second, "chunk", sid="s", delta="x") is None
    assert world.says(second, "finish", sid="s") is None
    assert world.chis("A") == ["chunk", "finish"]
    workers = world.state.clients.by_id
    assert [workers[name].turns_open for name in (first, second)] == [0, 0]


def test_a_turn_that_was_read_of_ends_instead(world: World) -> None:
    other_worker(world, hid="z")
    prompts(world)
    busy = "W" if world.chis("W") else "X"
    world.says(busy, "chunk", sid="s", delta="x")

    beats(world, PATIENCE)

    assert world.chis("A") == ["chunk", "error"]


def test_a_turn_goes_from_worker_to_worker_and_ends_when_all_are_silent(world: World) -> None:
    for name in ("X", "Y"):
        other_worker(world, name, hid=name)
    prompts(world)

    beats(world, 3 * PATIENCE)

    assert world.chis("A") == ["drone-retrofit", "drone-retrofit", "error"]
    assert world.state.watch.silent == {"W", "X", "Y"}


def test_a_silent_worker_gets_new_prompts_last_until_it_speaks(world: World) -> None:
    prompts(world)
    beats(world, PATIENCE)
    other_worker(world)
    world.hears("W")

    for sid in ("a", "b", "s"):
        prompts(world, sid)
    assert world.chis("W") == []
    world.says("W", "perf-mark", mark="awake")
    prompts(world, "c")

    assert world.chis("W") == ["prompt"]


def test_a_worker_that_left_is_not_remembered(world: World) -> None:
    prompts(world)
    beats(world, PATIENCE)
    assert world.state.watch.silent == {"W"}

    world.loses("W")

    assert world.state.watch.silent == set()


def test_a_worker_that_promised_nothing_is_left_alone(world: World) -> None:
    world.joins("P", "worker", models=["p"])
    assert world.says("A", "prompt", sid="s", modelId="p") is None
    world.hears("P")

    beats(world, 10 * PATIENCE)

    assert world.chis("P") == []
    assert world.chis("A") == []


def test_a_worker_on_its_way_back_is_left_alone(world: World) -> None:
    prompts(world)
    world.boots()
    world.now_ms += BEAT_MS

    assert sentinel.due(world.state, world.now_ms, beat_ms=BEAT_MS) == []


def test_a_long_pause_of_our_own_counts_as_one_beat(world: World) -> None:
    prompts(world)
    world.hears("W")

    world.waits(100 * BEAT_MS)

    assert world.chis("W") == ["drone"]
    assert world.chis("A") == []


def test_prompts_that_wait_come_after_the_one_that_was_given_up(world: World) -> None:
    other_worker(world, hid="z")
    prompts(world)
    busy, other = ("W", "X") if world.chis("W") else ("X", "W")
    world.says(busy, "chunk", sid="s", delta="x")
    prompts(world)
    world.hears(other)

    beats(world, PATIENCE)

    assert world.chis("A") == ["chunk", "error"]
    assert world.chis(other) == ["prompt"]


@pytest.mark.parametrize("number", range(1, 3 * PATIENCE))
def test_a_replay_gives_the_same(world: World, number: int) -> None:
    other_worker(world, hid="z")
    prompts(world)
    prompts(world, "t")
    beats(world, number)

    assert tables(world.replayed()) == tables(world.state)
