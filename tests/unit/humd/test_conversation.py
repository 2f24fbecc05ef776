"""A conversation read from its events is the one that the router had."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.world import BEAT_MS, World

from humd.core.arrivals import Timed
from humd.core.conversation import CALLS_MAX, Conversation, Said

SIDS = ("s", "t")
NAMES = {"A": "asker", "W": "scout", "X": "other", "F": "files"}


def new_world() -> World:
    world = World(default_hive="W")
    world.joins("W", "worker", models=["m"], chis=["drone"])
    world.joins("A", "asker")
    world.joins("F", "forager", tools=[{"name": "t"}])
    return world


@pytest.fixture
def world() -> World:
    return new_world()


def told(world: World, sid: str = "s") -> dict[str, Any]:
    """What the events say."""
    conversation = Conversation(sid)
    for event in world.events:
        if event.header.sid == sid:
            said = Said(event.seq, event.at_ms, event.client, event.header.chi, event.body)
            conversation.note(said)
    return conversation.view(NAMES)


def routed(world: World, sid: str = "s") -> list[dict[str, Any]]:
    """What the router timed."""
    ended = (effect for _, effect in world.effects if isinstance(effect, Timed))
    return [one.record for one in ended if one.record["sid"] == sid]


def prompts(world: World, sid: str = "s", **body: Any) -> None:
    world.says("A", "prompt", sid=sid, modelId="m", content="c", **body)


def agree(world: World, sid: str = "s") -> None:
    """Fail unless both tell the same turns with the same times."""
    keys = ("prompt_seq", "seq", "total_ms", "phases", "chunks")
    view = told(world, sid)["turns"]
    ended = [turn for turn in view if turn["outcome"] != "running"]
    started = [turn for turn in ended if turn["outcome"] != "prompt.no-worker"]
    assert [{key: turn[key] for key in keys} for turn in started] == [
        {key: record[key] for key in keys} for record in routed(world, sid)
    ]


def test_a_turn_tells_who_asked_whom_and_what_it_took(world: World) -> None:
    prompts(world, sentAt=world.now_ms - 3)
    world.now_ms += 10
    world.says("W", "tool-call", sid="s", callId="c", toolName="t")
    world.now_ms += 5
    world.says("F", "tool-result", sid="s", callId="c", output="o")
    world.says("W", "chunk", sid="s", delta="x")
    world.now_ms += 2
    usage = {"input_tokens": 4, "output_tokens": 2, "other": 1}
    world.says("W", "finish", sid="s", finishReason="end_turn", usage=usage)

    view = told(world)

    assert (view["askers"], view["workers"], view["models"]) == (["asker"], ["scout"], ["m"])
    assert view["tokens"] == {"input_tokens": 4, "output_tokens": 2}
    (turn,) = view["turns"]
    assert (turn["outcome"], turn["total_ms"]) == ("end_turn", 20)
    assert turn["phases"] == {"front": 3, "queue": 0, "worker": 15, "stream": 2}
    assert turn["calls"] == [{"name": "t", "ms": 5, "outcome": "ok", "by": "files"}]
    agree(world)


def test_prompts_that_wait_are_turns_of_their_own(world: World) -> None:
    for _ in range(3):
        prompts(world)
        world.now_ms += 10
    for _ in range(3):
        world.says("W", "finish", sid="s")
        world.now_ms += 5

    assert [turn["phases"]["queue"] for turn in told(world)["turns"]] == [0, 20, 15]
    agree(world)


def test_a_turn_that_runs_has_no_end(world: World) -> None:
    prompts(world)

    (turn,) = told(world)["turns"]

    assert (turn["outcome"], turn["total_ms"], turn["phases"]) == ("running", None, None)


def test_a_failed_call_ends_no_turn(world: World) -> None:
    prompts(world)
    world.says("W", "tool-call", sid="s", callId="c", toolName="nobody has it")
    world.says("W", "finish", sid="s", finishReason="end_turn")

    (turn,) = told(world)["turns"]

    assert [call["outcome"] for call in turn["calls"]] == ["tool.unknown"]
    assert turn["outcome"] == "end_turn"
    agree(world)


def test_a_turn_that_was_given_to_another_worker_names_that_one(world: World) -> None:
    world.joins("X", "worker", models=["m"], chis=["drone"])
    prompts(world)
    first, second = ("W", "X") if "prompt" in world.chis("W") else ("X", "W")
    for _ in range(4):
        world.waits(BEAT_MS)
    world.says(second, "finish", sid="s")

    view = told(world)

    assert view["workers"] == [NAMES[second]]
    assert first not in view["workers"]
    agree(world)


def test_the_calls_of_one_turn_are_bounded(world: World) -> None:
    conversation = Conversation("s")
    conversation.note(Said(1, 1, "A", "prompt", {}))
    for number in range(CALLS_MAX + 5):
        body = {"callId": f"c{number}", "toolName": "t"}
        conversation.note(Said(2 + number, 1, "W", "tool-call", body))
    late = {"callId": f"c{CALLS_MAX + 1}", "qualifier": "tool.timeout"}
    conversation.note(Said(9_999, 1, None, "error", late))

    (turn,) = conversation.view({})["turns"]

    assert (len(turn["calls"]), turn["calls_total"]) == (CALLS_MAX, CALLS_MAX + 5)
    assert turn["outcome"] == "running"


@pytest.mark.parametrize("chi", ["cancel", "cleanup"])
def test_prompts_that_waited_are_gone_with_a_cancel(world: World, chi: str) -> None:
    for _ in range(3):
        prompts(world)
    world.says("A", chi, sid="s")
    prompts(world)
    world.says("W", "finish", sid="s")
    world.says("W", "finish", sid="s")

    assert len(told(world)["turns"]) == 2
    agree(world)


steps = st.tuples(
    st.sampled_from(["prompt", "chunk", "finish", "error", "cancel", "cleanup", "tool", "lose"]),
    st.sampled_from(SIDS),
    st.integers(0, 50),
)


@given(st.lists(steps, max_size=30))
def test_any_course_of_events_is_told_as_it_was(course: list[tuple[str, str, int]]) -> None:
    world = new_world()
    for number, (what, sid, pause) in enumerate(course):
        world.now_ms += pause
        if what == "prompt":
            prompts(world, sid)
        elif what == "tool":
            world.says("W", "tool-call", sid=sid, callId=f"c{number}", toolName="t")
            world.says("F", "tool-result", sid=sid, callId=f"c{number}", output="o")
        elif what == "lose":
            world.loses("W")
            world.joins("W", "worker", models=["m"])
        else:
            world.says("A" if what in ("cancel", "cleanup") else "W", what, sid=sid)

    for sid in SIDS:
        agree(world, sid)
