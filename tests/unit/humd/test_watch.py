"""Turns are timed and counted from the events that route them."""

from dataclasses import replace
from typing import Any

import pytest
from tests.support.world import World, tables

from humd.core import router
from humd.core.arrivals import Arrival, Timed
from humd.core.sessions import KEEP_MS
from humd.core.watch import REPEATED_BYTES_MAX
from thrum.frames import Header


@pytest.fixture
def world() -> World:
    world = World(default_hive="W")
    world.joins("W", "worker", models=["m"])
    world.joins("A", "asker")
    return world


def prompts(world: World, sid: str = "s", **body: Any) -> None:
    assert world.says("A", "prompt", sid=sid, modelId="m", **body) is None


def timed(world: World) -> list[Timed]:
    return [effect for _, effect in world.effects if isinstance(effect, Timed)]


def pass_time(world: World, milliseconds: int) -> None:
    world.now_ms += milliseconds


def test_a_turn_leaves_one_record_with_all_its_phases(world: World) -> None:
    """Features A19."""
    prompts(world, sentAt=world.now_ms - 5)
    pass_time(world, 20)
    world.says("W", "chunk", sid="s", delta="x")
    pass_time(world, 30)
    world.says("W", "finish", sid="s", finishReason="end_turn", usage={"output_tokens": 3})

    (ended,) = timed(world)
    record = ended.record
    assert ended.is_kept
    assert record["phases"] == {"front": 5, "queue": 0, "worker": 20, "stream": 30}
    assert record["total_ms"] == 55
    assert (record["sid"], record["worker"], record["model"]) == ("s", "W", "m")
    assert (record["outcome"], record["tokens"], record["chunks"]) == ("end_turn", 3, 1)
    assert (record["prompt_seq"], record["seq"]) == (world.seq - 2, world.seq)
    assert world.state.watch.turns == {}


def test_a_prompt_that_waited_was_queued_until_the_turn_before_it_ended(world: World) -> None:
    prompts(world)
    pass_time(world, 10)
    prompts(world)
    pass_time(world, 40)
    world.says("W", "finish", sid="s")
    pass_time(world, 7)
    world.says("W", "finish", sid="s")

    first, second = (ended.record for ended in timed(world))
    assert (first["phases"]["queue"], first["total_ms"]) == (0, 50)
    assert (second["phases"]["queue"], second["total_ms"]) == (40, 47)


def test_a_lost_worker_ends_the_turn_with_its_qualifier(world: World) -> None:
    prompts(world)
    world.loses("W")

    assert [ended.record["outcome"] for ended in timed(world)] == ["worker.lost"]


def test_a_cancelled_turn_is_counted_and_its_timing_is_not_kept(world: World) -> None:
    prompts(world)
    world.says("A", "cancel", sid="s")
    world.says("W", "finish", sid="s", finishReason="cancelled", usage={"input_tokens": 2})

    assert [ended.is_kept for ended in timed(world)] == [False]
    assert world.state.watch.penny.counters == {"blooms": 1, "totalInputTokens": 2}


def test_a_cleanup_in_the_middle_of_a_turn_counts_as_cancelled(world: World) -> None:
    prompts(world)
    world.says("A", "cleanup", sid="s")

    assert [ended.record["outcome"] for ended in timed(world)] == ["cancelled"]
    assert world.state.watch.turns == {}


def test_a_prompt_that_finds_no_worker_is_no_turn(world: World) -> None:
    assert world.says("A", "prompt", sid="s", modelId="unknown") is None

    assert timed(world) == []
    assert world.state.watch.penny.counters == {}


def test_lifetime_counters_are_fed_by_what_happens(world: World) -> None:
    """Features A18."""
    prompts(world, pennyDelta={"reminderStripped": 2, "blooms": -5})
    world.says("A", "curate", sid="s")
    world.says("W", "error", sid="s", message="m", usage={"input_tokens": 1, "output_tokens": "9"})

    penny = world.state.watch.penny
    assert penny.counters == {
        "reminderStripped": 2, "curateEvents": 1, "blooms": 1, "totalInputTokens": 1,
    }  # fmt: skip
    assert penny.ignored == 2
    assert world.replayed().watch.penny.counters == penny.counters


def test_only_the_worker_and_the_asker_mark_a_turn(world: World) -> None:
    world.joins("B", "asker")
    prompts(world)
    for client, name in (("W", "worker"), ("A", "asker"), ("B", "stranger")):
        world.says(client, "perf-mark", sid="s", mark=name)
    world.says("W", "finish", sid="s")

    (ended,) = timed(world)
    assert {"worker", "asker"} <= set(ended.record["marks"])
    assert "stranger" not in ended.record["marks"]


def test_tools_of_a_turn_are_timed(world: World) -> None:
    world.joins("F", "forager", tools=[{"name": "t"}])
    prompts(world)
    world.says("W", "tool-call", sid="s", callId="c", toolName="t")
    pass_time(world, 12)
    world.says("F", "tool-result", sid="s", callId="c", output="o")
    world.says("W", "finish", sid="s")

    (ended,) = timed(world)
    assert (ended.record["calls"], ended.record["spans"]) == (1, {"tools": 12})


def test_a_body_that_cannot_be_read_is_timed_all_the_same(world: World) -> None:
    prompts(world)
    unreadable = Arrival(world.seq + 1, world.now_ms, "W", Header("finish", sid="s"), b"\xc1")

    (*_, ended) = router.apply(world.state, unreadable)

    assert isinstance(ended, Timed)
    assert ended.record["outcome"] == "finish"


def test_the_count_of_a_conversation_goes_on_when_it_comes_back(world: World) -> None:
    """Features A20: a number within a sid is never given twice."""
    prompts(world)
    world.says("W", "finish", sid="s")
    before = world.state.sessions.by_sid["s"].wane
    assert before > 0

    pass_time(world, KEEP_MS + 1)
    prompts(world, sid="other")
    assert "s" not in world.state.sessions.by_sid
    prompts(world)

    assert world.state.sessions.by_sid["s"].wane == before + 1
    assert tables(world.replayed()) == tables(world.state)


def test_a_snapshot_of_counters_is_merged(world: World) -> None:
    sigil = world.state.watch.sigil("s")
    world.says("A", "wane-sync", snapshot={sigil: 41, "hostile": 2**63, "no": "number"})
    world.says("A", "wane-sync", snapshot="none")

    assert world.state.watch.wanes.snapshot() == {sigil: 41}
    prompts(world)
    assert world.state.sessions.by_sid["s"].wane == 42


def test_a_prompt_is_kept_only_for_a_worker_that_promised_beats(world: World) -> None:
    world.joins("D", "worker", models=["d"], chis=["drone"])
    prompts(world)
    assert world.says("A", "prompt", sid="beats", modelId="d", content="c") is None
    long = "x" * REPEATED_BYTES_MAX
    assert world.says("A", "prompt", sid="long", modelId="d", content=long) is None

    sessions = world.state.sessions.by_sid
    assert sessions["s"].prompt is None
    assert sessions["beats"].prompt is not None
    assert sessions["long"].prompt is None

    world.says("D", "chunk", sid="beats", delta="x")
    assert sessions["beats"].prompt is None


def test_a_suspicious_text_is_noted_where_a_classifier_is_used(world: World) -> None:
    world.basis = replace(world.basis, classifier="phrases")
    world.boots()
    prompts(world)
    world.says("W", "chunk", sid="s", delta="There is no previous context ")
    world.says("W", "chunk", sid="s", delta="available to me.")
    world.says("W", "finish", sid="s")

    (ended,) = timed(world)
    assert ended.record["suspicion"] == "critical"
