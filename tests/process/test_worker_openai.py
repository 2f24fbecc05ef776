"""The OpenAI worker in the real stack, against a scripted model service."""

import signal
from collections.abc import Iterator
from typing import Any

import psutil
import pytest
from tests.support.ndjson import Client, Flat
from tests.support.stack import CORE, Stack
from tests.support.upstream import Answer, Fault, ScriptedUpstream, WantedCall

pytestmark = pytest.mark.process

KEY = "sk-very-secret-0123456789"
TOOL = {"name": "look", "description": "Looks.", "inputSchema": {"type": "object"}}


@pytest.fixture
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as running:
        yield running


@pytest.fixture
def stack(upstream: ScriptedUpstream) -> Iterator[Stack]:
    environment = {"OPENAI_BASE_URL": upstream.base_url, "OPENAI_API_KEY": KEY}
    with Stack(services=CORE, env=environment) as running:
        running.start("openai")
        running.wait_bee("openai")
        yield running


@pytest.fixture
def asker(stack: Stack) -> Iterator[Client]:
    with stack.client() as client:
        yield client


def prompt(client: Client, sid: str, content: str = "ping", **fields: Any) -> None:
    client.send(
        chi="prompt", sid=sid, rid=f"r-{sid}", modelId="test-model", content=content, **fields
    )


def rest_of(client: Client, sid: str) -> list[Flat]:
    """Every tone of a turn up to its end."""
    tones: list[Flat] = []
    while not tones or tones[-1]["chi"] not in ("finish", "error"):
        tone = client.read()
        if tone.get("sid") == sid and tone["chi"] != "echo":
            tones.append(tone)
    return tones


def text_of(tones: list[Flat], kind: str = "text_delta") -> str:
    return "".join(tone["delta"] for tone in tones if tone.get("chunkType") == kind)


def offer_tool(forager: Client, stack: Stack) -> None:
    """Register a forager with one tool, and wait until humd knows it."""
    hid = "fbee_" + "ab" * 32
    forager.send(chi="hello", rid="h", bee=["forager"], hive="looker", hid=hid, tools=[TOOL])
    stack.wait_bee("looker")


def test_an_answer_is_streamed_in_both_shapes_with_its_usage(
    upstream: ScriptedUpstream, asker: Client
) -> None:
    upstream.script(Answer(reasoning=("Hm", "m."), pieces=("Hel", "lo"), usage=(10, 2), cached=4))

    prompt(asker, "s")
    tones = rest_of(asker, "s")

    assert text_of(tones) == "Hello"
    assert text_of(tones, "reasoning_delta") == "Hmm."
    deltas = [tone for tone in tones if tone.get("chunkType") == "text_delta"]
    assert all(tone["part"] == {"type": "text", "text": tone["delta"]} for tone in deltas)
    kinds = [tone["chunkType"] for tone in tones if tone["chi"] == "chunk"]
    framing = [kind for kind in kinds if not kind.endswith("_delta")]
    assert framing == [
        *("reasoning_start", "reasoning_end", "content_block_stop"),
        *("text_start", "content_block_stop"),
    ]
    assert tones[-1]["finishReason"] == "end_turn"
    used = {"input_tokens": 6, "output_tokens": 2, "cache_read_input_tokens": 4}
    assert tones[-1]["usage"] == used


def test_parallel_tool_calls_are_all_asked_for_before_the_first_is_answered(
    upstream: ScriptedUpstream, stack: Stack, asker: Client
) -> None:
    wanted = (WantedCall("c1", "look", {"at": "x"}), WantedCall("c2", "look", {"at": "y"}))
    upstream.script(Answer(pieces=("Let me see. ",), calls=wanted, usage=(10, 5)))
    upstream.script(Answer(pieces=("Two ", "things."), usage=(20, 3)))
    with stack.client() as forager:
        offer_tool(forager, stack)

        prompt(asker, "s")
        calls = [forager.read_until("tool-call", toolName="look") for _ in wanted]
        for call in reversed(calls):
            output = f"saw {call['args']['at']}"
            forager.send(chi="tool-result", sid="s", callId=call["callId"], output=output)
        tones = rest_of(asker, "s")

    assert [call["args"] for call in calls] == [{"at": "x"}, {"at": "y"}]
    assert all(call["name"] == "look" for call in calls)
    assert text_of(tones) == "Let me see. Two things."
    executed = [tone for tone in tones if tone.get("chunkType") == "tool_executed"]
    assert sorted(tone["output"] for tone in executed) == ["saw x", "saw y"]
    first, second = upstream.requests
    assert [tool["function"]["name"] for tool in first["tools"]] == ["look"]
    *_, assistant, one, two = second["messages"]
    assert [call["id"] for call in assistant["tool_calls"]] == ["c1", "c2"]
    assert (one["tool_call_id"], one["content"]) == ("c1", "saw x")
    assert (two["tool_call_id"], two["content"]) == ("c2", "saw y")
    assert tones[-1]["usage"] == {"input_tokens": 30, "output_tokens": 8}


def test_a_tool_of_the_asker_comes_back_to_the_asker(
    upstream: ScriptedUpstream, asker: Client
) -> None:
    upstream.script(Answer(calls=(WantedCall("c1", "pick", {"n": 1}),)))
    upstream.script(Answer(pieces=("Picked.",)))
    tools = [{"name": "pick", "description": "Picks.", "inputSchema": None}]

    prompt(asker, "s", tools=tools, sampling={"toolChoice": "required", "maxTokens": 5})
    call = asker.read_until("tool-call", toolName="pick")
    asker.send(chi="tool-result", sid="s", callId=call["callId"], result={"content": "seven"})
    tones = rest_of(asker, "s")

    assert text_of(tones) == "Picked."
    first, second = upstream.requests
    empty = {"type": "object", "properties": {}}
    assert first["tools"][0]["function"]["parameters"] == empty
    assert (first["tool_choice"], first["max_tokens"]) == ("required", 5)
    assert second["tool_choice"] == "auto"
    assert second["messages"][-1]["content"] == "seven"


def test_what_goes_wrong_with_a_tool_is_told_to_the_model(
    upstream: ScriptedUpstream, stack: Stack, asker: Client
) -> None:
    wanted = (
        WantedCall("c1", "look", {"at": "x"}),
        WantedCall("c2", "look", "{broken"),
        WantedCall("c3", "nope", {}),
    )
    upstream.script(Answer(calls=wanted), Answer(pieces=("Sorry.",)))
    with stack.client() as forager:
        offer_tool(forager, stack)

        prompt(asker, "s")
        call = forager.read_until("tool-call")
        forager.send(chi="error", sid="s", callId=call["callId"], message="payment required")
        tones = rest_of(asker, "s")

    assert text_of(tones) == "Sorry."
    told = {m["tool_call_id"]: m["content"] for m in upstream.requests[1]["messages"][-3:]}
    assert "payment required" in told["c1"]
    assert "not a JSON object" in told["c2"]
    assert "there is no tool 'nope'" in told["c3"]


FAULTS = {
    Fault.RESET_IN_TEXT: 502,
    Fault.RESET_IN_CHUNK: 502,
    Fault.END_WITHOUT_REASON: 502,
    Fault.DONE_WITHOUT_REASON: 502,
    Fault.ERROR_EVENT: 503,
    Fault.NO_JSON: 502,
}
"""What goes wrong after the first byte, and the code that the asker sees."""


def test_a_fault_after_the_first_byte_is_an_error_and_is_not_tried_again(
    upstream: ScriptedUpstream, asker: Client
) -> None:
    """Features D9."""
    for number, (fault, code) in enumerate(FAULTS.items()):
        upstream.forget()
        upstream.script(Answer(pieces=("Hel", "lo"), fault=fault))

        prompt(asker, f"s{number}")
        tones = rest_of(asker, f"s{number}")

        end = tones[-1]
        assert (end["chi"], end.get("code"), end.get("qualifier")) == (
            *("error", code),
            "upstream.failed",
        ), fault
        assert "Hel".startswith(text_of(tones)[:3]), fault
        assert len(upstream.requests) == 1, fault


def test_a_fault_before_the_first_byte_is_tried_again(
    upstream: ScriptedUpstream, asker: Client
) -> None:
    """Features D9, D14."""
    upstream.script(
        Answer(fault=Fault.RESET_BEFORE_HEAD),
        Answer(status=429, headers={"Retry-After": "0"}),
        Answer(pieces=("At last.",)),
    )
    prompt(asker, "reset")
    assert text_of(rest_of(asker, "reset")) == "At last."

    upstream.script(Answer(fault=Fault.RESET_AFTER_HEAD), Answer(pieces=("Yes.",)))
    prompt(asker, "head")
    assert text_of(rest_of(asker, "head")) == "Yes."

    upstream.script(*(Answer(status=503, message="overloaded") for _ in range(3)))
    prompt(asker, "down")
    end = rest_of(asker, "down")[-1]
    assert (end["chi"], end["code"], end["qualifier"]) == ("error", 503, "upstream.failed")
    assert "overloaded" in end["message"]


def test_a_refusal_is_passed_on_at_once_without_the_key(
    upstream: ScriptedUpstream, stack: Stack, asker: Client
) -> None:
    upstream.script(Answer(status=401, message="bad key"))

    prompt(asker, "s")
    end = rest_of(asker, "s")[-1]

    assert (end["chi"], end["code"]) == ("error", 401)
    assert "check the key" in end["message"]
    assert len(upstream.requests) == 1
    assert upstream.headers[0]["authorization"] == f"Bearer {KEY}"
    process = psutil.Process(stack.pid("openai"))
    assert KEY not in end["message"] + stack.log("openai") + " ".join(process.cmdline())


def test_a_service_that_rejects_an_option_is_asked_without_it_from_then_on(
    upstream: ScriptedUpstream, asker: Client
) -> None:
    upstream.script(Answer(pieces=("One.",), rejects="stream_options"), Answer(pieces=("Two.",)))

    prompt(asker, "s1")
    assert text_of(rest_of(asker, "s1")) == "One."
    prompt(asker, "s2")
    assert text_of(rest_of(asker, "s2")) == "Two."

    assert ["stream_options" in request for request in upstream.requests] == [True, False, False]


def test_a_service_that_does_not_stream_is_understood(
    upstream: ScriptedUpstream, asker: Client
) -> None:
    upstream.script(Answer(pieces=("Whole.",), ignores_stream=True))

    prompt(asker, "s")
    tones = rest_of(asker, "s")

    assert text_of(tones) == "Whole."
    assert tones[-1]["usage"] == {"input_tokens": 8, "output_tokens": 2}


def test_cancel_closes_the_upstream_and_finishes_as_cancelled(
    upstream: ScriptedUpstream, asker: Client
) -> None:
    """Features D10."""
    answer = Answer(pieces=("Hel", "lo"), fault=Fault.HANG_IN_TEXT)
    upstream.script(answer)
    prompt(asker, "s")
    assert asker.read_until("chunk", chunkType="text_delta")["delta"] == "Hel"

    asker.send(chi="cancel", sid="s", rid="c", reason="client-abort")
    end = rest_of(asker, "s")[-1]

    assert (end["chi"], end["finishReason"]) == ("finish", "cancelled")
    assert answer.client_closed.wait(5)


def test_cancel_during_a_tool_call_cancels_the_call(
    upstream: ScriptedUpstream, stack: Stack, asker: Client
) -> None:
    upstream.script(Answer(calls=(WantedCall("c1", "look", {}),)))
    with stack.client() as forager:
        offer_tool(forager, stack)
        prompt(asker, "s")
        call = forager.read_until("tool-call")

        asker.send(chi="cancel", sid="s", rid="c")

        assert forager.read_until("cancel")["callId"] == call["callId"]
        assert rest_of(asker, "s")[-1]["finishReason"] == "cancelled"


def test_a_conversation_goes_on_by_its_history_or_else_by_memory(
    upstream: ScriptedUpstream, asker: Client
) -> None:
    prompt(asker, "s", "one")
    rest_of(asker, "s")
    prompt(asker, "s", "two")
    rest_of(asker, "s")
    asker.send(chi="cleanup", sid="s", rid="forget")
    prompt(asker, "s", "three", systemPrompt="Be brief.")
    rest_of(asker, "s")
    prompt(asker, "s", "four", history=[{"role": "user", "content": "zero"}])
    rest_of(asker, "s")

    said = [[m["content"] for m in request["messages"]] for request in upstream.requests]
    assert said == [["one"], ["one", "pong", "two"], ["Be brief.", "three"], ["zero", "four"]]


def test_a_worker_that_is_stopped_lets_its_turns_end(
    upstream: ScriptedUpstream, stack: Stack, asker: Client
) -> None:
    answer = Answer(pieces=("Hel", "lo"), fault=Fault.HANG_IN_TEXT)
    upstream.script(answer)
    prompt(asker, "s")
    assert answer.hanging.wait(5)

    stack.send_signal("openai", signal.SIGTERM)
    stack.wait_for(lambda: "lifecycle.stop_requested" in stack.log("openai"), "a stop")
    answer.gate.set()

    assert text_of(tones := rest_of(asker, "s")) == "Hello"
    assert tones[-1]["finishReason"] == "end_turn"
    assert stack.wait_exit("openai") == 0


def test_an_absent_service_delays_the_hello_until_its_models_are_known() -> None:
    with ScriptedUpstream() as probe:
        port = probe.port
    environment = {"OPENAI_BASE_URL": f"http://127.0.0.1:{port}/v1"}
    with Stack(services=CORE, env=environment) as stack:
        stack.start("openai")
        stack.wait_for(lambda: "worker.no_models" in stack.log("openai"), "a first try")
        assert "openai" not in stack.hives()

        with ScriptedUpstream(port=port), stack.client() as asker:
            stack.wait_bee("openai")
            prompt(asker, "s")
            assert text_of(rest_of(asker, "s")) == "pong"


def test_without_a_service_the_worker_exits_as_misconfigured() -> None:
    with Stack(services=()) as stack:
        stack.start("openai")

        assert stack.wait_exit("openai") == 78
        assert "OPENAI_BASE_URL" in stack.log("openai")
