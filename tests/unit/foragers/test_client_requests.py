"""What today's clients send, field by field: taken, and where it ends up in the prompt."""

from typing import Any

import orjson
import pytest

from foragers.core.anthropic.requests import read_message_request
from foragers.core.dialect import Asked, Request
from foragers.core.errors import ApiError
from foragers.core.ollama.requests import read_chat as read_ollama_chat
from foragers.core.openai.requests import read_chat
from foragers.core.openai.responses import read_response

HI = {"role": "user", "content": "hi"}
PDF = "data:application/pdf;base64,JVBERi0="
FILE = {"type": "file", "file": {"url": PDF, "filename": "a.pdf"}}
DATA = {"file_data": PDF, "filename": "a.pdf"}
BASE64 = {"file_data": "JVBERi0=", "filename": "a.pdf"}
IMAGE = {"type": "image_url", "image_url": {"url": "https://x/y.png"}}
LOOK = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
OTHER = {"type": "function", "function": {"name": "other"}}
CALL = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
ANSWERED = {"role": "assistant", "content": None, "tool_calls": [CALL]}
READERS = {
    "chat": read_chat,
    "responses": read_response,
    "messages": read_message_request,
    "ollama": read_ollama_chat,
}


def read(dialect: str, **fields: Any) -> Request:
    return READERS[dialect](orjson.dumps(fields), Asked(path="/", headers={}))


SAMPLING = [
    pytest.param({"max_completion_tokens": 7}, {"maxTokens": 7}, id="max_completion_tokens"),
    pytest.param({"max_tokens": 5, "max_completion_tokens": 7}, {"maxTokens": 7}, id="both"),
    pytest.param({"n": 1, "logprobs": False, "top_logprobs": None}, {}, id="nothing special"),
    pytest.param({"seed": 0, "stop": ["a"]}, {"seed": 0, "stop": ["a"]}, id="seed and stop"),
    pytest.param(
        {"stop": None, "user": "u", "store": True, "metadata": {"a": "b"}}, {}, id="store"
    ),
    pytest.param({"stream_options": None, "service_tier": "auto"}, {}, id="service_tier"),
    pytest.param({"reasoning_effort": "none"}, {"reasoningEffort": "none"}, id="effort"),
    pytest.param({"verbosity": "low"}, {"verbosity": "low"}, id="verbosity"),
    pytest.param({"logit_bias": {"5": -100}}, {"logitBias": {"5": -100}}, id="logit_bias"),
    pytest.param({"temperature": 1, "top_p": 1}, {"temperature": 1, "topP": 1}, id="whole numbers"),
    pytest.param({"min_p": 0.1, "repeat_penalty": 1.1, "chat_id": "x"}, {}, id="unknown fields"),
    pytest.param(
        {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}}}},
        {"responseFormat": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}}}},
        id="schema",
    ),
]


@pytest.mark.parametrize(("fields", "sampling"), SAMPLING)
def test_parameters_of_a_chat(fields: dict[str, Any], sampling: dict[str, Any]) -> None:
    prompt = read("chat", messages=[HI], model="m", **fields).prompt

    assert prompt.get("sampling", {}) == sampling


CHOICES: list[Any] = [
    ("none", "none", ["look", "other"]),
    ("auto", "auto", ["look", "other"]),
    ("required", "required", ["look", "other"]),
    (
        {"type": "function", "function": {"name": "look"}},
        {"type": "function", "function": {"name": "look"}},
        ["look", "other"],
    ),
    (
        {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [LOOK]}},
        "required",
        ["look"],
    ),
    ({"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}}, "auto", []),
    ({"type": "web_search"}, None, ["look", "other"]),
]


@pytest.mark.parametrize(("choice", "told", "offered"), CHOICES)
@pytest.mark.parametrize("dialect", ["chat", "responses"])
def test_a_choice_among_tools(dialect: str, choice: Any, told: Any, offered: list[str]) -> None:
    asked: dict[str, Any] = {"messages": [HI]} if dialect == "chat" else {"input": "hi"}
    tools = [LOOK, OTHER, {"type": "web_search"}]
    if dialect == "responses":
        if "function" in choice:
            choice = {"type": "function", "name": "look"}
        elif "allowed_tools" in choice:
            flat = [{"type": "function", "name": "look"}][: len(choice["allowed_tools"]["tools"])]
            choice = {"type": "allowed_tools", **choice["allowed_tools"], "tools": flat}

    prompt = read(dialect, tools=tools, tool_choice=choice, **asked).prompt

    assert prompt.get("sampling", {}).get("toolChoice") == told
    assert [tool["name"] for tool in prompt["tools"]] == offered


MESSAGES: list[Any] = [
    pytest.param(
        [{"role": "developer", "content": "be"}, HI], {"systemPrompt": "be"}, id="developer"
    ),
    pytest.param(
        [{"role": "system", "content": [{"type": "text", "text": "be", "cache_control": {}}]}, HI],
        {"systemPrompt": "be"},
        id="parts of a system message",
    ),
    pytest.param(
        [
            {
                "role": "user",
                "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
            }
        ],
        {"content": "a\nb"},
        id="parts of text",
    ),
    pytest.param(
        [HI, ANSWERED, {"role": "tool", "tool_call_id": "c1", "content": None}],
        {"history": [HI, ANSWERED, {"role": "tool", "tool_call_id": "c1", "content": ""}]},
        id="a tool that says nothing",
    ),
    pytest.param(
        [HI, {**ANSWERED, "content": "", "refusal": None, "audio": None}, HI],
        {"history": [HI, {**ANSWERED, "content": ""}], "content": "hi"},
        id="empty content beside calls",
    ),
    pytest.param(
        [{"role": "user", "content": [{"type": "image_url", "image_url": "https://x/y.png"}]}],
        {"attachments": [{"kind": "image", "mediaType": "image/*", "url": "https://x/y.png"}]},
        id="an image by its URL alone",
    ),
    pytest.param(
        [{"role": "user", "content": [{"type": "file", "file": DATA}]}],
        {"content": [FILE]},
        id="a file",
    ),
    pytest.param(
        [{"role": "user", "content": [{"type": "file", "file": BASE64}]}, HI],
        {"history": [{"role": "user", "content": [FILE]}]},
        id="a file as plain base64, earlier",
    ),
    pytest.param(
        [HI, ANSWERED, {"role": "tool", "tool_call_id": "c1", "content": [IMAGE]}],
        {"history": [HI, ANSWERED, {"role": "tool", "tool_call_id": "c1", "content": [IMAGE]}]},
        id="a tool that shows a picture",
    ),
]


@pytest.mark.parametrize(("messages", "wanted"), MESSAGES)
def test_messages_of_a_chat(messages: Any, wanted: dict[str, Any]) -> None:
    prompt = read("chat", messages=messages).prompt

    assert {name: prompt.get(name) for name in wanted} == wanted


SEEN = {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}}
USED = {
    "role": "assistant",
    "content": [{"type": "tool_use", "id": "c1", "name": "look", "input": {}}],
}
PICTURED: list[Any] = [
    (
        "chat",
        {"messages": [HI, ANSWERED, {"role": "tool", "tool_call_id": "c1", "content": [IMAGE]}]},
    ),
    (
        "responses",
        {
            "input": [
                {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"},
                {
                    "type": "function_call_output",
                    "call_id": "c1",
                    "output": [{"type": "input_image", "image_url": "https://x/y.png"}],
                },
            ]
        },
    ),
    (
        "messages",
        {
            "model": "m",
            "messages": [
                HI,
                USED,
                {
                    "role": "user",
                    "content": [{"type": "tool_result", "tool_use_id": "c1", "content": [SEEN]}],
                },
            ],
        },
    ),
]


@pytest.mark.parametrize(("dialect", "fields"), PICTURED)
def test_a_picture_that_a_tool_shows_reaches_the_model(dialect: str, fields: Any) -> None:
    """Claude Code and Codex look at pictures through their tools."""
    request = read(dialect, **fields)

    last = request.prompt["history"][-1]
    assert (last["role"], last["tool_call_id"], last["content"]) == ("tool", "c1", [IMAGE])
    assert [result.is_plain for result in request.results] == [False]


BESIDE: list[Any] = [
    pytest.param([SEEN, {"type": "text", "text": "a"}], "", False, id="a picture and text"),
    pytest.param("b", [SEEN], False, id="a picture beside it"),
    pytest.param("b", [{"type": "text", "text": "c"}], True, id="text beside it"),
    pytest.param([SEEN], [{"type": "text", "text": "c"}], False, id="text beside a picture"),
]


@pytest.mark.parametrize(("answered", "beside", "is_plain"), BESIDE)
def test_a_result_is_told_to_a_turn_that_runs_only_when_text_is_all_there_is(
    answered: Any, beside: Any, is_plain: bool
) -> None:
    """Claude Code puts reminders beside results."""
    result = {"type": "tool_result", "tool_use_id": "c1", "content": answered}
    newest = {"role": "user", "content": [result, *beside]}
    request = read("messages", model="m", messages=[HI, USED, newest])

    assert [found.is_plain for found in request.results] == [is_plain]


def test_a_document_that_a_tool_answers_with_is_told_to_a_turn_that_runs() -> None:
    paper = {"type": "document", "source": {"type": "text", "data": "all of it"}}
    result = {"type": "tool_result", "tool_use_id": "c1", "content": [paper], "is_error": True}
    newest = {"role": "user", "content": [result, {"type": "text", "text": "and?"}]}
    request = read("messages", model="m", messages=[HI, USED, newest])

    assert [(found.text, found.is_error) for found in request.results] == [
        ("all of it\n\nand?", True)
    ]


FILES: list[Any] = [
    (
        "responses",
        {
            "input": [
                {
                    "role": "user",
                    "content": [{"type": "input_file", "file_data": PDF, "filename": "a.pdf"}],
                }
            ]
        },
    ),
    (
        "messages",
        {
            "model": "m",
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {
                            "type": "document",
                            "title": "a.pdf",
                            "source": {
                                "type": "base64",
                                "media_type": "application/pdf",
                                "data": "JVBERi0=",
                            },
                        }
                    ],
                }
            ],
        },
    ),
]


@pytest.mark.parametrize(("dialect", "fields"), FILES)
def test_a_file_is_the_same_part_in_every_dialect(dialect: str, fields: Any) -> None:
    """Features D23."""
    assert read(dialect, **fields).prompt["content"] == [FILE]


def test_a_document_of_blocks_is_its_text() -> None:
    inner = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    block = {"type": "document", "source": {"type": "content", "content": inner}}
    messages = [{"role": "user", "content": [block]}]

    assert read("messages", model="m", messages=messages).prompt["content"] == "a\nb"


@pytest.mark.parametrize(
    ("dialect", "content"),
    [
        ("chat", [{"type": "file", "file": {"file_id": "file-1"}}]),
        ("messages", [{"type": "document", "source": {"type": "file", "file_id": "f"}}]),
        ("chat", [{"type": "file", "file": {}}]),
        ("chat", [{"type": "file"}]),
        ("chat", [{"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}]),
    ],
)
def test_what_is_kept_elsewhere_or_cannot_be_heard_is_refused(dialect: str, content: Any) -> None:
    with pytest.raises(ApiError) as caught:
        read(dialect, model="m", messages=[{"role": "user", "content": content}])

    assert caught.value.status == 400


def test_results_inside_results_are_not_followed_down() -> None:
    head, text = (
        b'{"type":"tool_result","tool_use_id":"c","content":[',
        b'{"type":"text","text":"x"}',
    )
    block = head * 500 + text + b"]}" * 500
    raw = b'{"model":"m","messages":[{"role":"user","content":[' + block + b"]}]}"

    prompt = read_message_request(raw, Asked(path="/", headers={})).prompt

    assert prompt["history"][-1]["content"] == ""


def test_ids_of_calls_decide_where_a_client_of_ollama_has_them() -> None:
    calls = [
        {"id": name, "function": {"name": "look", "arguments": text}}
        for name, text in (("a", "{}"), ("b", {"x": 1}))
    ]
    results = [
        {"role": "tool", "tool_call_id": name, "tool_name": "look", "content": name}
        for name in ("b", "a")
    ]

    asked = [HI, {"role": "assistant", "tool_calls": calls}, *results]
    history = read("ollama", model="m", messages=asked).prompt["history"]

    assert [call["function"]["arguments"] for call in history[1]["tool_calls"]] == ["{}", '{"x":1}']
    assert [entry["tool_call_id"] for entry in history[2:]] == ["b", "a"]


def test_results_without_ids_answer_the_first_open_call_of_their_name() -> None:
    calls: list[Any] = [
        {"function": {"name": name, "arguments": {}}} for name in ("look", "hear", "look")
    ]
    results = [
        {"role": "tool", "tool_name": name, "content": name} for name in ("hear", "look", "look")
    ]
    asked = [HI, {"role": "assistant", "tool_calls": calls}, *results]

    history = read("ollama", model="m", messages=asked).prompt["history"]

    ids = [call["id"] for call in history[1]["tool_calls"]]
    assert [entry["tool_call_id"] for entry in history[2:]] == [ids[1], ids[0], ids[2]]
