"""Trails: the same conversation in every dialect, and no other."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from foragers.core.anthropic.dialect import MESSAGES
from foragers.core.dialect import Asked, Dialect, Request
from foragers.core.hints import HINT_CHARS_MAX, Hints, hints_of
from foragers.core.ollama.dialect import CHAT as OLLAMA
from foragers.core.openai.dialect import CHAT, RESPONSES
from foragers.core.trails import HEAD_CHARS, Trail, trail_after, trail_of
from thrum.tones import Tone

ASKED = Asked(path="/", headers={})
PIXEL = "aGVsbG8="
CALL = {"name": "look", "arguments": '{"b":1, "a":2}'}


def read(dialect: Dialect, **body: Any) -> Request:
    return dialect.read(orjson.dumps({"model": "m", "max_tokens": 9, **body}), ASKED)


def trail(request: Request, key: str = "") -> Trail:
    return trail_of(request.prompt, request.hints, key)


def chat(*messages: Any, **body: Any) -> Request:
    return read(CHAT, messages=list(messages), **body)


def user(text: str) -> Any:
    return {"role": "user", "content": text}


def assistant(text: str) -> Any:
    return {"role": "assistant", "content": text}


SAID: dict[str, Callable[[], Request]] = {
    "openai/chat": lambda: chat(
        {"role": "system", "content": "Be kind."}, user("one"), assistant("two"), user("three")
    ),
    "openai/responses": lambda: read(
        RESPONSES, instructions="Be kind.", input=[user("one"), assistant("two"), user("three")]
    ),
    "anthropic/messages": lambda: read(
        MESSAGES,
        system=[{"type": "text", "text": "Be kind."}],
        messages=[
            {"role": "user", "content": [{"type": "text", "text": "one"}]},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "hm", "signature": "s"},
                    {"type": "text", "text": "two"},
                ],
            },
            user("three"),
        ],
    ),
    "ollama/chat": lambda: read(
        OLLAMA,
        messages=[
            {"role": "system", "content": "Be kind."}, user("one"), assistant("two"), user("three"),
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SAID)
def test_a_conversation_has_the_same_trail_in_every_dialect(name: str) -> None:
    assert trail(SAID[name]()) == trail(SAID["openai/chat"]())


@pytest.mark.parametrize("name", SAID)
def test_what_the_model_answers_leads_to_what_the_client_repeats(name: str) -> None:
    request = SAID[name]()
    answer = request.answer("id", 0)
    for text in ("  fo", "ur\n", "!"):
        body = {"chunkType": "text_delta", "delta": text}
        answer.feed([Tone(chi="chunk", sid="s", body=body)])
    repeated = chat(
        {"role": "system", "content": "Be kind."},
        user("one"), assistant("two"), user("three"), assistant("four!"), user("five"),
    )  # fmt: skip

    assert trail(request).followed(answer.digest) == trail(repeated).known


def test_calls_count_by_name_and_arguments_and_not_by_id() -> None:
    request = chat(user("look"))
    answer = request.answer("id", 0)
    body = {"callId": "w-1", "toolName": "look", "args": {"a": 2, "b": 1}}
    answer.feed([Tone(chi="tool-call", sid="s", body=body)])
    calls = [{"id": "call_9", "type": "function", "function": CALL}]
    said = {"role": "assistant", "content": None, "tool_calls": calls}
    result = {"role": "tool", "tool_call_id": "call_9", "content": "blue"}

    led = trail(request).followed(answer.digest)

    assert led == trail(chat(user("look"), said, result)).known
    other = {**said, "tool_calls": [{**calls[0], "function": {**CALL, "name": "hear"}}]}
    assert led != trail(chat(user("look"), other, result)).known


def test_a_conversation_without_an_answer_is_never_an_earlier_one() -> None:
    assert trail(chat({"role": "system", "content": "x"}, user("hi"))).known is None


@pytest.mark.parametrize(
    "other",
    [
        chat(user("one"), assistant("two"), user("x")),
        chat({"role": "system", "content": "Be kind!"}, user("one"), assistant("two"), user("x")),
        chat({"role": "system", "content": "Be kind."}, user("on"), assistant("two"), user("x")),
        chat({"role": "system", "content": "Be kind."}, user("one"), assistant("tw"), user("x")),
        chat(
            {"role": "system", "content": "Be kind."},
            user("one"), assistant("two"), user("x"), user="paul",
        ),
    ],
)  # fmt: skip
def test_a_conversation_that_differs_before_its_last_turn_is_another(other: Request) -> None:
    assert trail(other).known != trail(SAID["openai/chat"]()).known


def test_conversations_of_two_keys_never_meet() -> None:
    request = SAID["openai/chat"]()

    assert trail(request, "k1").known != trail(request, "k2").known
    assert trail_after("resp_1", "k1") != trail_after("resp_1", "k2")
    named = Hints(name="s-1")
    assert trail_of(request.prompt, named, "k1").sid != trail_of(request.prompt, named, "k2").sid


def test_an_image_counts_by_its_bytes_in_every_dialect() -> None:
    url = f"data:image/png;base64,{PIXEL}"
    parts = [{"type": "text", "text": "see"}, {"type": "image_url", "image_url": {"url": url}}]
    now = chat({"role": "user", "content": parts})
    later = chat({"role": "user", "content": parts}, assistant("yes"), user("and?"))
    source = {"type": "base64", "media_type": "image/png", "data": PIXEL}
    seen = [{"type": "text", "text": "see"}, {"type": "image", "source": source}]
    claude = read(MESSAGES, messages=[{"role": "user", "content": seen}])
    ollama = read(OLLAMA, messages=[{**user("see"), "images": [PIXEL]}])
    said = chat(user("x")).answer("id", 0)
    said.feed([Tone(chi="chunk", body={"chunkType": "text_delta", "delta": "yes"})])

    assert trail(now).followed(said.digest) == trail(later).known
    assert trail(now).now == trail(claude).now
    assert trail(now).now == trail(ollama).now or PIXEL.startswith("iVBOR")
    assert trail(now).now != trail(chat(user("see"))).now


def test_a_name_beats_what_was_said() -> None:
    """hives 11.8: the same name, another conversation, when the instructions begin otherwise."""
    named = Hints(name="s-1")
    main = chat({"role": "system", "content": "Be kind."}, user("one"))
    later = SAID["openai/chat"]()
    title = chat({"role": "system", "content": "Make a title."}, user("one"))
    task = chat({"role": "system", "content": "Be kind."}, user("another task"))

    def sid(request: Request, hints: Hints = named) -> str | None:
        return trail_of(request.prompt, hints, "").sid

    assert sid(main) == sid(later)
    assert len({sid(main), sid(title), sid(task), sid(main, Hints(name="s-2"))}) == 4
    assert sid(main, Hints(narrower="x")) is None


def test_instructions_may_change_behind_their_head_and_in_stamps_when_there_is_a_name() -> None:
    def sid(system: str) -> str | None:
        request = chat({"role": "system", "content": system}, user("one"))
        return trail_of(request.prompt, Hints(name="s"), "").sid

    head = "x" * HEAD_CHARS
    assert sid(head + "monday") == sid(head + "tuesday")
    stamp = "x-anthropic-billing-header: cch=1;"
    assert sid(f"{stamp}\nBe kind.") == sid("x-anthropic-billing-header: cch=2;\nBe kind.")


@pytest.mark.parametrize(
    ("body", "headers", "hints"),
    [
        ({}, {b"session-id": b"a", b"thread-id": b"b"}, "a b"),
        ({}, {b"x-session-id": b"a"}, "a"),
        ({}, {b"x-session-affinity": b"a"}, "a"),
        ({}, {b"x-claude-code-session-id": b"a"}, "a"),
        ({}, {b"x-hum-session": b"a"}, "a"),
        ({}, {b"session_id": b"a"}, "a"),
        ({"conversation": {"id": "c"}}, {}, "c"),
        ({"conversation": "c"}, {}, "c"),
        ({"metadata": {"session_id": "c"}}, {}, "c"),
        ({"metadata": {"user_id": '{"session_id":"c"}'}}, {}, "c"),
        ({"metadata": {"user_id": "{paul"}}, {}, ""),
        ({"metadata": {"user_id": "[1]"}}, {}, ""),
        ({"metadata": {"user_id": '{"session_id":1}'}}, {}, ""),
        ({"metadata": 3, "conversation": 4}, {}, ""),
        ({"user": "paul", "prompt_cache_key": "k"}, {}, ""),
        ({}, {b"session-id": b"x" * (HINT_CHARS_MAX + 1)}, ""),
    ],
)
def test_names_are_found_where_clients_put_them(body: Any, headers: Any, hints: str) -> None:
    assert hints_of(body, headers).name.split() == hints.split()


def test_a_person_or_a_cache_is_no_name_but_keeps_apart() -> None:
    found = hints_of({"user": "paul", "prompt_cache_key": "k"}, {})

    assert found.name == ""
    assert "paul" in found.narrower
    assert "k" in found.narrower
