"""Anthropic's own client against the whole stack (features D3; hives 12, 19.2)."""

import http.client
from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from tests.support.front import port_of, serving
from tests.support.stack import Stack
from tests.support.upstream import Answer, Fault, ScriptedUpstream, WantedCall

pytestmark = pytest.mark.process

MODEL = "test-model"
HI: Any = [{"role": "user", "content": "hi"}]
TOOLS: Any = [
    {"name": name, "description": f"To {name}.", "input_schema": {"type": "object"}}
    for name in ("look", "hear")
]
THINK: Any = {"type": "enabled", "budget_tokens": 1_024}


@pytest.fixture(scope="module")
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as running:
        yield running


@pytest.fixture(scope="module")
def stack(upstream: ScriptedUpstream) -> Iterator[Stack]:
    with serving(upstream) as running:
        yield running


@pytest.fixture
def client(stack: Stack, upstream: ScriptedUpstream) -> Iterator[anthropic.Anthropic]:
    upstream.forget()
    base_url = f"http://127.0.0.1:{port_of(stack)}"
    with anthropic.Anthropic(base_url=base_url, api_key="none", max_retries=0) as made:
        yield made


def test_a_message_comes_whole(client: anthropic.Anthropic, upstream: ScriptedUpstream) -> None:
    upstream.script(Answer(pieces=("Hel", "lo"), usage=(10, 2), cached=4))

    answer = client.messages.create(
        model=MODEL, max_tokens=50, system="Be kind.", messages=HI, stop_sequences=["END"]
    )

    assert [block.model_dump(exclude_none=True) for block in answer.content] == [
        {"type": "text", "text": "Hello"}
    ]
    assert (answer.stop_reason, answer.model, answer.role) == ("end_turn", MODEL, "assistant")
    usage = answer.usage
    assert (usage.input_tokens, usage.cache_read_input_tokens, usage.output_tokens) == (6, 4, 2)
    asked = upstream.requests[0]
    assert asked["messages"] == [{"role": "system", "content": "Be kind."}, *HI]
    assert (asked["max_tokens"], asked["stop"]) == (50, ["END"])


def test_a_stream_opens_and_stops_each_block_in_turn(
    client: anthropic.Anthropic, upstream: ScriptedUpstream
) -> None:
    upstream.script(Answer(reasoning=("hm", "m"), pieces=("Hel", "lo")))

    with client.messages.stream(
        model=MODEL, max_tokens=2_000, messages=HI, thinking=THINK
    ) as stream:
        events = [event.type for event in stream]
        message = stream.get_final_message()

    assert [block.type for block in message.content] == ["thinking", "text"]
    thinking, text = message.content
    assert thinking.type == "thinking"
    assert thinking.thinking == "hmm"
    assert thinking.signature
    assert text.type == "text"
    assert text.text == "Hello"
    assert events[0] == "message_start"
    assert events[-1] == "message_stop"
    assert events.count("content_block_start") == events.count("content_block_stop") == 2
    assert message.usage.output_tokens == 2


def test_thinking_is_left_out_unless_it_was_asked_for(
    client: anthropic.Anthropic, upstream: ScriptedUpstream
) -> None:
    upstream.script(Answer(reasoning=("hm",), pieces=("Hello",)))

    answer = client.messages.create(model=MODEL, max_tokens=50, messages=HI)

    assert [block.type for block in answer.content] == ["text"]


@pytest.mark.parametrize("is_stream", [False, True])
def test_parallel_tool_calls_come_in_one_message_and_their_results_go_on_with_the_turn(
    client: anthropic.Anthropic, upstream: ScriptedUpstream, is_stream: bool
) -> None:
    wanted = (WantedCall("a", "look", {"at": "x"}), WantedCall("b", "hear", {}))
    upstream.script(Answer(pieces=("Let me see.",), calls=wanted))
    upstream.script(Answer(pieces=("Seen.",)))

    first = ask(client, HI, is_stream)
    uses = [block for block in first.content if block.type == "tool_use"]
    results = [
        {"type": "tool_result", "tool_use_id": uses[0].id, "content": "a tree"},
        {
            "type": "tool_result", "tool_use_id": uses[1].id, "is_error": True,
            "content": [{"type": "text", "text": "deaf"}],
        },
        {"type": "text", "text": "Go on."},
    ]  # fmt: skip
    told = [{"role": "assistant", "content": first.content}, {"role": "user", "content": results}]
    second = ask(client, [*HI, *told], is_stream)

    assert first.stop_reason == "tool_use"
    assert [(use.name, use.input) for use in uses] == [("look", {"at": "x"}), ("hear", {})]
    assert second.content[0].text == "Seen."
    heard = [m for m in upstream.requests[1]["messages"] if m["role"] == "tool"]
    assert heard[0]["content"] == "a tree"
    assert "deaf" in heard[1]["content"]
    assert "Go on." in heard[1]["content"]


def ask(client: anthropic.Anthropic, messages: Any, is_stream: bool) -> Any:
    told: Any = {"model": MODEL, "max_tokens": 50, "messages": messages, "tools": TOOLS}
    if not is_stream:
        return client.messages.create(**told)
    with client.messages.stream(**told) as stream:
        return stream.get_final_message()


def test_the_whole_conversation_reaches_the_model(
    client: anthropic.Anthropic, upstream: ScriptedUpstream
) -> None:
    use = {"type": "tool_use", "id": "t1", "name": "look", "input": {"at": "x"}}
    result = {"type": "tool_result", "tool_use_id": "t1", "content": "a tree"}
    source = {"type": "base64", "media_type": "image/png", "data": "AAAA"}
    messages: Any = [
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": [{"type": "text", "text": "two"}, use]},
        {"role": "user", "content": [result, {"type": "text", "text": "three"}]},
        {"role": "assistant", "content": "four"},
        {
            "role": "user",
            "content": [{"type": "image", "source": source}, {"type": "text", "text": "five"}],
        },
    ]

    client.messages.create(model=MODEL, max_tokens=50, messages=messages)

    function = {"name": "look", "arguments": '{"at":"x"}'}
    call = {"id": "t1", "type": "function", "function": function}
    image = {"url": "data:image/png;base64,AAAA"}
    assert upstream.requests[0]["messages"] == [
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "two", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "t1", "content": "a tree"},
        {"role": "user", "content": "three"},
        {"role": "assistant", "content": "four"},
        {
            "role": "user",
            "content": [
                {"type": "image_url", "image_url": image},
                {"type": "text", "text": "five"},
            ],
        },
    ]


def test_what_clients_send_beside_is_taken(
    client: anthropic.Anthropic, upstream: ScriptedUpstream
) -> None:
    """Cache marks, betas, a system message in the middle, a query, tools of the service."""
    text = {"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}}
    more = {
        "context_management": {"edits": []},
        "messages": [
            {"role": "user", "content": [text]},
            {"role": "system", "content": "Remember."},
        ],
        "tools": [{"type": "web_search_20250305", "name": "web_search"}],
    }

    answer = client.messages.create(
        model=MODEL, max_tokens=50, messages=HI, extra_body=more,
        extra_headers={"anthropic-beta": "a,b"}, extra_query={"beta": "true"},
    )  # fmt: skip

    assert answer.stop_reason == "end_turn"
    assert upstream.requests[0]["messages"][0] == {"role": "system", "content": "Remember."}
    assert "tools" not in upstream.requests[0] or "web_search" not in str(
        upstream.requests[0]["tools"]
    )


def test_errors_have_the_dialects_status_and_shape(
    client: anthropic.Anthropic, upstream: ScriptedUpstream
) -> None:
    with pytest.raises(anthropic.NotFoundError) as absent:
        client.messages.create(model="nobody", max_tokens=50, messages=HI)
    with pytest.raises(anthropic.BadRequestError) as wrong:
        client.messages.create(model=MODEL, max_tokens=50, messages=[])
    upstream.script(Answer(status=429, message="slow down", headers={"Retry-After": "600"}))
    with pytest.raises(anthropic.RateLimitError) as limited:
        client.messages.create(model=MODEL, max_tokens=50, messages=HI)

    body: Any = absent.value.body
    assert body["type"] == "error"
    assert body["error"]["type"] == "not_found_error"
    assert absent.value.request_id == body["request_id"]
    assert "messages" in str(wrong.value)
    assert "slow down" in str(limited.value)


def test_a_stream_that_breaks_ends_with_an_error_event(
    client: anthropic.Anthropic, upstream: ScriptedUpstream
) -> None:
    """Features D9."""
    upstream.script(Answer(pieces=("Hel", "lo"), fault=Fault.RESET_IN_TEXT))

    with (
        pytest.raises(anthropic.APIError),
        client.messages.stream(model=MODEL, max_tokens=50, messages=HI) as stream,
    ):
        stream.get_final_message()


def test_tokens_are_estimated(client: anthropic.Anthropic) -> None:
    short = client.messages.count_tokens(model=MODEL, messages=HI)
    long = client.messages.count_tokens(model=MODEL, messages=HI, system="x" * 3_500)

    assert 0 < short.input_tokens < 50
    assert long.input_tokens - short.input_tokens >= 1_000


def test_models_come_in_the_dialects_shape(client: anthropic.Anthropic) -> None:
    page = client.models.list(limit=1_000)

    assert [model.id for model in page.data] == [MODEL]
    assert page.data[0].display_name == MODEL
    assert client.models.retrieve(MODEL).id == MODEL
    with pytest.raises(anthropic.NotFoundError):
        client.models.retrieve("nobody")


def test_the_root_is_answered_to_whoever_looks_for_a_service(
    client: anthropic.Anthropic, stack: Stack
) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port_of(stack), timeout=10)
    connection.request("HEAD", "/")

    assert connection.getresponse().status == 200
    connection.close()
