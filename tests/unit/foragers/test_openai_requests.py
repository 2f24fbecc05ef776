"""Requests of the OpenAI dialect become prompts, or name the parameter that is wrong."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foragers.core.dialect import Asked, Request
from foragers.core.errors import ApiError
from foragers.core.openai.answers import Folded, Streamed
from foragers.core.openai.errors import error_body, kind_of
from foragers.core.openai.requests import read_chat
from thrum.tones import Tone

HI = {"role": "user", "content": "hi"}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
FUNCTION = {"name": "look", "description": "Looks.", "parameters": {"type": "object"}}
CALL = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}


def parse(raw: bytes) -> Request:
    return read_chat(raw, Asked(path="/v1/chat/completions", headers={}))


def read(**fields: Any) -> Request:
    return parse(orjson.dumps({"messages": [HI], **fields}))


def said(request: Request) -> bytes:
    """What the request's answer says when a turn of two tokens ends."""
    usage = {"input_tokens": 1, "output_tokens": 1}
    end = Tone(chi="finish", sid="s", body={"finishReason": "end_turn", "usage": usage})
    return request.answer("ID", 7).feed([end])


def refused(**fields: Any) -> ApiError:
    with pytest.raises(ApiError) as caught:
        read(**fields)
    return caught.value


def test_a_single_user_message_is_the_content_and_there_is_no_history() -> None:
    request = read(model="m")

    assert request.prompt == {"content": "hi", "history": [], "modelId": "m"}
    assert request.model == "m"


def test_without_a_model_humd_chooses() -> None:
    assert "modelId" not in read().prompt


def test_an_answer_is_streamed_only_when_asked_for() -> None:
    assert isinstance(read().answer("ID", 7), Folded)
    assert isinstance(read(stream=True).answer("ID", 7), Streamed)


def test_usage_in_a_stream_is_sent_only_when_asked_for() -> None:
    asked = {"include_usage": True}

    assert b"prompt_tokens" not in said(read(stream=True))
    assert b"prompt_tokens" not in said(read(stream=True, stream_options={"include_usage": False}))
    assert b"prompt_tokens" in said(read(stream=True, stream_options=asked))
    assert orjson.loads(said(read(stream_options=asked)))["object"] == "chat.completion"


def test_system_and_developer_messages_become_one_system_prompt() -> None:
    messages = [
        {"role": "system", "content": "Be kind."},
        HI,
        {"role": "developer", "content": [{"type": "text", "text": "Be brief."}]},
        {"role": "user", "content": "now"},
    ]

    prompt = read(messages=messages).prompt

    assert prompt["systemPrompt"] == "Be kind.\n\nBe brief."
    assert prompt["history"] == [HI]
    assert prompt["content"] == "now"


def test_everything_before_the_last_user_message_is_history_word_for_word() -> None:
    answer = {"role": "assistant", "content": None, "tool_calls": [CALL]}
    result = {"role": "tool", "tool_call_id": "call_1", "content": "blue"}

    prompt = read(messages=[HI, answer, result, {"role": "user", "content": "so?"}]).prompt

    assert prompt["history"] == [HI, answer, result]
    assert prompt["content"] == "so?"


def test_keys_of_a_message_that_nobody_reads_do_not_travel() -> None:
    message = {**HI, "url": "http://elsewhere/", "name": "ann"}

    prompt = read(messages=[message, {"role": "assistant", "content": "x"}]).prompt

    assert prompt["history"][0] == {**HI, "name": "ann"}


def test_a_conversation_that_ends_with_a_tool_is_history_with_empty_content() -> None:
    answer = {"role": "assistant", "content": "", "tool_calls": [CALL]}
    first = {"role": "tool", "tool_call_id": "call_1", "content": "blue"}
    second = {
        "role": "tool",
        "tool_call_id": "call_2",
        "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
    }

    request = read(messages=[HI, answer, first, second])

    assert request.prompt["content"] == ""
    assert request.prompt["history"] == [HI, answer, first, second]
    assert [(result.call_id, result.text) for result in request.results] == [
        ("call_1", "blue"),
        ("call_2", "a\nb"),
    ]


def test_tool_messages_in_the_middle_are_not_results() -> None:
    result = {"role": "tool", "tool_call_id": "call_1", "content": "blue"}

    assert read(messages=[HI, result, HI]).results == ()


@pytest.mark.parametrize(
    ("url", "attachment"),
    [
        (
            "data:image/png;base64,AAAA",
            {"kind": "image", "mediaType": "image/png", "data": "AAAA"},
        ),
        (
            "data:image/png;charset=x;base64,AAAA",
            {"kind": "image", "mediaType": "image/png", "data": "AAAA"},
        ),
        (
            "https://example.org/a.png",
            {"kind": "image", "mediaType": "image/*", "url": "https://example.org/a.png"},
        ),
        ("data:,x", {"kind": "image", "mediaType": "image/*", "url": "data:,x"}),
    ],
)
def test_images_of_the_last_message_are_attachments(url: str, attachment: dict[str, str]) -> None:
    parts = [
        {"type": "text", "text": "what is this"},
        {"type": "image_url", "image_url": {"url": url}},
    ]

    prompt = read(messages=[{"role": "user", "content": parts}]).prompt

    assert prompt["content"] == "what is this"
    assert prompt["attachments"] == [attachment]


def test_tools_of_type_function_become_tools_of_the_prompt_and_others_are_left_out() -> None:
    tools = [
        {"type": "function", "function": FUNCTION},
        {"type": "web_search"},
        {"type": "function", "function": {"name": "bare"}},
    ]

    assert read(tools=tools).prompt["tools"] == [
        {"name": "look", "description": "Looks.", "inputSchema": {"type": "object"}},
        {"name": "bare", "inputSchema": {"type": "object", "properties": {}}},
    ]


def test_sampling_is_translated_and_null_is_absent() -> None:
    request = read(
        temperature=0.5, top_p=1, stop=["a"], seed=7, frequency_penalty=-1, presence_penalty=None,
        tool_choice="auto", parallel_tool_calls=False, max_tokens=5, max_completion_tokens=9,
        response_format={"type": "json_object"}, reasoning_effort="low", user="ann",
    )  # fmt: skip

    assert request.prompt["sampling"] == {
        "temperature": 0.5, "topP": 1, "stop": ["a"], "seed": 7, "frequencyPenalty": -1,
        "toolChoice": "auto", "parallelToolCalls": False, "maxTokens": 9,
        "responseFormat": {"type": "json_object"}, "reasoningEffort": "low",
    }  # fmt: skip


WRONG = [
    ({"messages": None}, "messages", "missing_required_parameter"),
    ({"messages": []}, "messages", "empty_array"),
    ({"messages": "hi"}, "messages", "invalid_type"),
    ({"messages": [HI] * 8_193}, "messages", "array_above_max_length"),
    ({"messages": ["hi"]}, "messages[0]", "invalid_type"),
    ({"messages": [HI, {"role": "king", "content": ""}]}, "messages[1].role", "invalid_value"),
    ({"messages": [{"role": ["user"], "content": ""}]}, "messages[0].role", "invalid_value"),
    ({"messages": [{"role": "user"}]}, "messages[0].content", "missing_required_parameter"),
    ({"messages": [{"role": "user", "content": 7}]}, "messages[0].content", "invalid_type"),
    ({"messages": [{"role": "user", "content": ["x"]}]}, "messages[0].content[0]", "invalid_type"),
    (
        {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
        "messages[0].content[0].text",
        "invalid_type",
    ),
    (
        {"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]},
        "messages[0].content[0]",
        "unsupported_value",
    ),
    (
        {"messages": [{"role": "system", "content": [IMAGE]}]},
        "messages[0].content[0]",
        "unsupported_value",
    ),
    (
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "x"}]}]},
        "messages[0].content[0].image_url",
        "invalid_type",
    ),
    (
        {
            "messages": [
                {
                    "role": "user",
                    "content": [{"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}],
                }
            ]
        },
        "messages[0].content[0].image_url.url",
        "invalid_type",
    ),
    ({"messages": [{"role": "tool", "content": ""}]}, "messages[0].tool_call_id", "invalid_type"),
    (
        {"messages": [{"role": "assistant", "tool_calls": {}}]},
        "messages[0].tool_calls",
        "invalid_type",
    ),
    (
        {"messages": [{"role": "assistant", "tool_calls": [{"id": "x"}]}]},
        "messages[0].tool_calls[0]",
        "invalid_type",
    ),
    ({"model": 7}, "model", "invalid_type"),
    ({"model": ""}, "model", "invalid_type"),
    ({"model": "x" * 257}, "model", "invalid_type"),
    ({"stream": "yes"}, "stream", "invalid_type"),
    ({"stream_options": True}, "stream_options", "invalid_type"),
    ({"temperature": 2.5}, "temperature", "invalid_value"),
    ({"temperature": True}, "temperature", "invalid_value"),
    ({"top_p": "x"}, "top_p", "invalid_value"),
    ({"max_tokens": 0}, "max_tokens", "invalid_value"),
    ({"max_completion_tokens": 1.5}, "max_completion_tokens", "invalid_value"),
    ({"seed": 2**63}, "seed", "invalid_value"),
    ({"stop": [1]}, "stop", "invalid_type"),
    ({"tool_choice": 1}, "tool_choice", "invalid_type"),
    ({"parallel_tool_calls": "no"}, "parallel_tool_calls", "invalid_type"),
    ({"response_format": "json"}, "response_format", "invalid_type"),
    ({"reasoning_effort": 3}, "reasoning_effort", "invalid_type"),
    ({"n": 2}, "n", "unsupported_value"),
    ({"n": True}, "n", "unsupported_value"),
    ({"logprobs": True}, "logprobs", "unsupported_value"),
    ({"top_logprobs": 3}, "top_logprobs", "unsupported_value"),
    ({"modalities": ["audio"]}, "modalities", "unsupported_value"),
    ({"audio": {"voice": "x"}}, "audio", "unsupported_parameter"),
    ({"functions": []}, "functions", "unsupported_parameter"),
    ({"function_call": "auto"}, "function_call", "unsupported_parameter"),
    ({"tools": {}}, "tools", "invalid_type"),
    ({"tools": ["x"]}, "tools[0]", "invalid_type"),
    ({"tools": [{"type": "function"}]}, "tools[0]", "invalid_type"),
    ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name", "invalid_type"),
    (
        {"tools": [{"type": "function", "function": {"name": "a", "parameters": []}}]},
        "tools[0].function.parameters",
        "invalid_type",
    ),
]


@pytest.mark.parametrize(("fields", "param", "code"), WRONG)
def test_a_wrong_value_is_refused_with_its_parameter(
    fields: dict[str, Any], param: str, code: str
) -> None:
    error = refused(**fields)

    assert (error.status, error.param, error.code) == (400, param, code)
    assert kind_of(error) == "invalid_request_error"


@pytest.mark.parametrize(
    "fields", [{"n": 1}, {"logprobs": False}, {"top_logprobs": 0}, {"n": None}]
)
def test_values_that_ask_for_nothing_special_are_accepted(fields: dict[str, Any]) -> None:
    assert read(**fields).prompt["content"] == "hi"


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b'"x"', b"\xff", b'{"messages":[NaN]}'])
def test_a_body_that_is_no_json_object_is_refused(raw: bytes) -> None:
    with pytest.raises(ApiError) as caught:
        parse(raw)

    assert (caught.value.status, caught.value.code) == (400, "invalid_json")


def test_a_refusal_repeats_little_of_a_wrong_value() -> None:
    assert len(refused(temperature="x" * 1_000_000).message) < 300


json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
KEYS = [
    "messages", "model", "stream", "stream_options", "tools", "tool_choice", "stop", "seed", "n",
    "temperature", "max_tokens", "role", "content", "tool_calls", "tool_call_id", "type", "text",
    "image_url", "url", "function", "name", "parameters", "user", "assistant", "system", "tool",
]  # fmt: skip
near = st.recursive(
    json | st.sampled_from(KEYS),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5)
    ),
    max_leaves=25,
)


@given(st.dictionaries(st.sampled_from(KEYS), near, max_size=6), near)
def test_any_json_is_read_or_refused_never_worse(asked: dict[str, Any], message: object) -> None:
    asked.setdefault("messages", [message])
    try:
        request = parse(orjson.dumps(asked))
    except ApiError as error:
        orjson.loads(error_body(error))
    else:
        assert isinstance(request.prompt["content"], str)
