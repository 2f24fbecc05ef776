"""The loop from a prompt to its one terminal tone, over a bus that only records."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager

import anyio
import pytest
from tests.support.bus import RecordingBus

from nest.metrics import Registry
from thrum.errors import Qualifier
from thrum.tones import Tone
from workers import turns, worker
from workers.turns import Call, Result, Turn, TurnFailed
from workers.worker import CHIS, PROMPTS_WAITING_MAX, Worker

Answering = Callable[[Turn], Awaitable[str]]


class ScriptedAgent:
    """Answers with a function of the turn."""

    def __init__(self, answering: Answering) -> None:
        self._answering = answering
        self.forgotten: list[str] = []

    async def answer(self, turn: Turn) -> str:
        return await self._answering(turn)

    async def embed(self, turn: Turn) -> str:
        await turn.tell_vectors(["AACAPw=="])
        return "end_turn"

    def forget(self, sid: str) -> None:
        self.forgotten.append(sid)


@asynccontextmanager
async def working(
    answering: Answering,
) -> AsyncIterator[tuple[RecordingBus, Worker, ScriptedAgent]]:
    bus, agent = RecordingBus(), ScriptedAgent(answering)
    worker = Worker(bus, agent, Registry())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(worker.serve)
        yield bus, worker, agent
        tasks.cancel_scope.cancel()


async def never(turn: Turn) -> str:
    await anyio.sleep_forever()
    raise AssertionError


def kinds(tones: Iterable[Tone]) -> list[str]:
    return [str(tone.body["chunkType"]) for tone in tones if tone.chi == "chunk"]


async def test_text_and_reasoning_are_framed_as_blocks() -> None:
    async def answer(turn: Turn) -> str:
        await turn.think("Hm")
        await turn.say("a")
        await turn.say("b")
        return "end_turn"

    async with working(answer) as (bus, _, _):
        bus.hear("prompt", content="x")
        (end,) = await bus.ends(1)

    assert kinds(bus.sent) == [
        *("reasoning_start", "reasoning_delta", "reasoning_end", "content_block_stop"),
        *("text_start", "text_delta", "text_delta", "content_block_stop"),
    ]
    assert bus.sent[5].body["part"] == {"type": "text", "text": "a"}
    assert [tone.body.get("blockIdx") for tone in bus.sent[:-1]] == [0] * 4 + [1] * 4
    assert end.body == {
        "finishReason": "end_turn",
        "usage": {"input_tokens": 0, "output_tokens": 0},
    }


async def test_a_prompt_for_embeddings_is_answered_by_vectors() -> None:
    async with working(never) as (bus, _, _):
        bus.hear("prompt", content="", embed={"input": ["x"]})
        (end,) = await bus.ends(1)

    assert bus.sent[0].body == {"chunkType": "embeddings", "vectors": ["AACAPw=="]}
    assert end.body["finishReason"] == "end_turn"


async def test_a_failed_turn_ends_with_its_error_after_what_was_said() -> None:
    async def answer(turn: Turn) -> str:
        turn.usage = {"input_tokens": 3, "output_tokens": 0}
        await turn.say("a")
        raise TurnFailed("no", code=503, qualifier=Qualifier.UPSTREAM_FAILED)

    async with working(answer) as (bus, _, _):
        bus.hear("prompt")
        (end,) = await bus.ends(1)

    assert kinds(bus.sent)[-1] == "content_block_stop"
    assert end.body == {
        "message": "no",
        "code": 503,
        "qualifier": "upstream.failed",
        "usage": {"input_tokens": 3, "output_tokens": 0},
    }


async def test_a_bug_ends_the_turn_and_not_the_worker(caplog: pytest.LogCaptureFixture) -> None:
    async def answer(turn: Turn) -> str:
        raise ZeroDivisionError if turn.prompt else TurnFailed("second")

    async with working(answer) as (bus, _, _):
        bus.hear("prompt", content="x")
        (first,) = await bus.ends(1)
        bus.hear("prompt")
        _, second = await bus.ends(2)

    assert first.body["code"] == "worker_error"
    assert second.body["message"] == "second"
    assert "turn.failed" in caplog.text


async def test_cancel_ends_the_turn_once_as_cancelled() -> None:
    async with working(never) as (bus, worker, _):
        bus.hear("prompt")
        bus.hear("cancel")
        bus.hear("cancel")
        (end,) = await bus.ends(1)
        await worker.drain(1)

    assert end.body["finishReason"] == "cancelled"
    assert len(await bus.ends(1)) == 1


async def test_a_running_turn_gives_a_sign_of_life_when_asked() -> None:
    """Features A17: a worker promises it in its hello."""
    async with working(never) as (bus, worker, _):
        bus.hear("drone", sid="nothing runs here")
        bus.hear("prompt")
        bus.hear("drone")
        (sign,) = await bus.wait(1, "drone")
        bus.hear("cancel")
        await bus.ends(1)
        await worker.drain(1)

    assert "drone" in CHIS
    assert (sign.sid, sign.body["load"]["active_sigils"]) == ("s", 1)


async def test_cleanup_cancels_and_forgets() -> None:
    async with working(never) as (bus, _, agent):
        bus.hear("prompt")
        bus.hear("cleanup")
        (end,) = await bus.ends(1)

    assert end.body["finishReason"] == "cancelled"
    assert agent.forgotten == ["s"]


async def test_the_turns_of_one_sid_run_one_after_the_other() -> None:
    running: list[str] = []
    gate = anyio.Event()

    async def answer(turn: Turn) -> str:
        running.append(turn.prompt["content"])
        await gate.wait()
        return "end_turn"

    async with working(answer) as (bus, _, _):
        for number in range(PROMPTS_WAITING_MAX + 2):
            bus.hear("prompt", content=str(number))
        (refused,) = await bus.ends(1)
        assert running == ["0"]
        gate.set()
        await bus.ends(PROMPTS_WAITING_MAX + 2)

    assert refused.body["qualifier"] == "worker.busy"
    assert refused.rid == "r"
    assert running == [str(number) for number in range(PROMPTS_WAITING_MAX + 1)]


async def test_more_turns_than_the_bound_are_refused_as_busy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker, "TURNS_MAX", 2)
    async with working(never) as (bus, _, _):
        for sid in "abc":
            bus.hear("prompt", sid)
        (refused,) = await bus.ends(1)

    assert (refused.sid, refused.body["code"]) == ("c", "worker_busy")


async def test_a_prompt_without_a_sid_is_dropped() -> None:
    async with working(never) as (bus, worker, _):
        bus.hear("prompt", None)
        bus.hear("cancel", None)
        bus.hear("tool-result", "s", callId="unknown")
        bus.hear("error", "s", callId=7)
        bus.hear("breath", "s")
        await anyio.wait_all_tasks_blocked()
        await worker.drain(0)

    assert bus.sent == []


async def test_drained_turns_end_with_worker_lost_and_later_prompts_are_refused() -> None:
    async with working(never) as (bus, worker, _):
        bus.hear("prompt", "a")
        bus.hear("prompt", "a")
        await anyio.wait_all_tasks_blocked()
        await worker.drain(0)
        bus.hear("prompt", "b")
        ends = await bus.ends(3)

    assert {end.body["qualifier"] for end in ends} == {"worker.lost"}


async def test_calls_run_side_by_side_and_results_come_in_their_order() -> None:
    results: list[Result] = []

    async def answer(turn: Turn) -> str:
        calls = [Call("f", {"n": 1}), Call("g", {}), Call("h", {}), Call("i", {})]
        results.extend(await turn.call(calls))
        return "end_turn"

    async with working(answer) as (bus, _, _):
        bus.hear("prompt", cwd="/home/me")
        calls = await bus.wait(4, "tool-call")
        ids = [call.body["callId"] for call in calls]
        bus.hear("error", callId=ids[3], message="pay first")
        bus.hear("tool-result", None, callId=ids[2], output="", isError=True)
        bus.hear("tool-result", callId=ids[1], result=[{"text": "a"}, {"text": "b"}])
        bus.hear("tool-result", callId=ids[0], output="x" * (turns.RESULT_CHARS_MAX + 5))
        bus.hear("tool-result", callId=ids[0], output="twice")
        await bus.ends(1)

    assert len(set(ids)) == 4
    first = calls[0].body
    assert (first["toolName"], first["name"], first["args"]) == ("f", "f", {"n": 1})
    assert first["cwd"] == "/home/me"
    assert results[0].text.endswith("\n[5 characters left out]")
    assert results[1:] == [
        Result("ab"),
        Result("(no output)", is_error=True),
        Result("pay first", is_error=True),
    ]
    executed = [tone.body for tone in bus.sent if tone.body.get("chunkType") == "tool_executed"]
    assert [body["toolName"] for body in executed] == ["i", "h", "g", "f"]
    assert executed[2]["output"] == "ab"


async def test_a_call_without_an_answer_fails_and_is_cancelled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(turns, "TOOL_SECONDS", 0.0)
    results: list[Result] = []

    async def answer(turn: Turn) -> str:
        results.extend(await turn.call([Call("f", {})]))
        return "end_turn"

    async with working(answer) as (bus, _, _):
        bus.hear("prompt")
        await bus.ends(1)

    (call,) = await bus.wait(1, "tool-call")
    (cancel,) = await bus.wait(1, "cancel")
    assert cancel.body["callId"] == call.body["callId"]
    assert results == [Result("no answer within 0 s", is_error=True)]
    assert "cwd" not in call.body


async def test_a_tool_that_says_so_is_waited_for_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The shortest wait of all is over when an answer comes; that of this tool is not."""
    monkeypatch.setattr(turns, "TOOL_SECONDS", 0.0)
    results: list[Result] = []

    async def answer(turn: Turn) -> str:
        results.extend(await turn.call([Call("slow", {})]))
        return "end_turn"

    async with working(answer) as (bus, _, _):
        bus.hear("prompt", foragerTools=[{"name": "slow", "seconds": 660}])
        (call,) = await bus.wait(1, "tool-call")
        bus.hear("tool-result", callId=call.body["callId"], output="done")
        await bus.ends(1)

    assert results == [Result("done")]


async def test_a_turn_that_takes_too_long_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "TURN_SECONDS", 0.0)
    async with working(never) as (bus, _, _):
        bus.hear("prompt")
        (end,) = await bus.ends(1)

    assert "longer than" in end.body["message"]
