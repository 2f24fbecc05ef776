"""A prompt's body as messages."""

from typing import Any

import pytest

from workers.core.catalogue import catalogue_of
from workers.core.conversation import definitions_of, messages_of, sampling_of, user_text


def test_the_newest_turn_stands_behind_system_prompt_and_history() -> None:
    history = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]

    messages = messages_of({"systemPrompt": "Be.", "history": history, "content": "c"})

    assert [message["role"] for message in messages] == ["system", "user", "assistant", "user"]
    assert [message["content"] for message in messages] == ["Be.", "a", "b", "c"]


def test_a_history_that_ends_with_tool_results_needs_no_newest_turn() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    history = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "content": "r", "tool_call_id": "c"},
    ]

    assert messages_of({"history": history}) == history


def test_a_prompt_without_anything_is_an_empty_user_turn() -> None:
    assert messages_of({}) == [{"role": "user", "content": ""}]


def test_what_is_no_message_is_left_out_of_the_history() -> None:
    history: list[Any] = [None, {"role": "robot"}, {"role": "assistant", "content": None, "x": 1}]

    assert messages_of({"history": history, "content": "c"})[:-1] == [
        {"role": "assistant", "content": ""}
    ]


def test_memory_stands_in_only_when_there_is_no_history() -> None:
    remembered = [{"role": "user", "content": "old"}]

    assert messages_of({"content": "c"}, remembered)[0]["content"] == "old"
    assert messages_of({"content": "c", "history": []}, remembered)[0]["content"] == "c"


@pytest.mark.parametrize(
    "content", ["hi", [{"type": "text", "text": "hi"}], ["hi"], [{"text": "hi"}]]
)
def test_text_is_text_in_every_shape(content: object) -> None:
    assert messages_of({"content": content}) == [{"role": "user", "content": "hi"}]
    assert user_text({"content": "hi"}) == user_text({"text": "hi"}) == "hi"


def test_images_stay_images_and_the_rest_becomes_a_note() -> None:
    content = [
        {"type": "text", "text": "see"},
        {"type": "image_url", "image_url": {"url": "https://x/y.png"}},
        {"type": "video"},
    ]
    attachments = [
        {"kind": "image", "mediaType": "image/png", "data": "AAAA"},
        {"kind": "file", "mediaType": "application/pdf", "url": "https://x/z.pdf"},
        {"kind": "sound", "mediaType": "audio/wav", "url": "https://x/z.wav"},
    ]

    (message,) = messages_of({"content": content, "attachments": attachments})

    kinds = [part["type"] for part in message["content"]]
    assert kinds == ["text", "image_url", "text", "image_url", "file", "text"]
    assert message["content"][3]["image_url"]["url"] == "data:image/png;base64,AAAA"
    assert message["content"][4]["file"]["url"] == "https://x/z.pdf"
    assert "https://x/z.wav" in message["content"][5]["text"]


def test_sampling_goes_by_the_names_of_the_dialect() -> None:
    sampling = {
        "temperature": 0,
        "topP": 0.5,
        "maxTokens": 7,
        "stop": ["x"],
        "toolChoice": "auto",
        "parallelToolCalls": False,
        "unknown": 1,
    }

    chosen = sampling_of({"sampling": sampling}, has_tools=False)

    assert chosen == {"temperature": 0, "top_p": 0.5, "max_tokens": 7, "stop": ["x"]}
    with_tools = sampling_of({"sampling": sampling}, has_tools=True)
    assert (with_tools["tool_choice"], with_tools["parallel_tool_calls"]) == ("auto", False)
    assert sampling_of({"sampling": "odd"}, has_tools=True) == {}


def test_a_catalogue_has_foragers_first_and_no_reserved_or_double_names() -> None:
    prompt = {
        "foragerTools": [{"name": "humfs_read", "description": "R", "inputSchema": None}],
        "provided": ["fs", "unknown", 3],
        "tools": [
            {"name": "READ", "inputSchema": {}},
            {"name": "humfs_read", "description": "mine"},
            {"name": "pick", "parameters": {"type": "object", "required": ["n"]}},
            {"name": ""},
            "odd",
        ],
    }

    catalogue = catalogue_of(prompt)

    assert list(catalogue) == ["humfs_read", "pick"]
    assert catalogue["humfs_read"].description == "R"
    assert catalogue["humfs_read"].schema == {"type": "object", "properties": {}}
    assert catalogue["pick"].schema["required"] == ["n"]
    assert definitions_of(catalogue)[1]["function"]["name"] == "pick"


def test_without_the_capability_no_name_is_reserved() -> None:
    assert list(catalogue_of({"tools": [{"name": "Read"}], "foragerTools": "odd"})) == ["Read"]
