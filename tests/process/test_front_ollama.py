"""Ollama's own client against the whole stack (features D4; hives 13, 19.3)."""

from collections.abc import Iterator
from typing import Any

import ollama
import pytest
from tests.support.upstream import Answer, Fault, ScriptedUpstream, WantedCall, vector_of

pytestmark = pytest.mark.process

MODEL = "test-model"
HI: Any = [{"role": "user", "content": "hi"}]
LOOK: Any = {
    "type": "function",
    "function": {"name": "look", "description": "Looks.", "parameters": {"type": "object"}},
}


@pytest.fixture
def upstream(chat_upstream: ScriptedUpstream) -> ScriptedUpstream:
    return chat_upstream


@pytest.fixture
def client(front_url: str) -> Iterator[ollama.Client]:
    with ollama.Client(host=front_url) as made:
        yield made


def test_a_chat_comes_whole(client: ollama.Client, upstream: ScriptedUpstream) -> None:
    upstream.script(Answer(pieces=("Hel", "lo"), usage=(10, 2)))

    answer = client.chat(
        model=f"{MODEL}:latest", messages=HI,
        options={"temperature": 0.5, "num_predict": 50, "stop": ["END"]},
    )  # fmt: skip

    assert (answer.message.content, answer.done, answer.done_reason) == ("Hello", True, "stop")
    assert (answer.prompt_eval_count, answer.eval_count) == (10, 2)
    assert answer.total_duration is not None
    assert answer.total_duration > 0
    asked = upstream.requests[0]
    assert (asked["model"], asked["temperature"], asked["max_tokens"]) == (MODEL, 0.5, 50)
    assert asked["messages"] == HI


def test_a_chat_is_streamed_in_lines(client: ollama.Client, upstream: ScriptedUpstream) -> None:
    upstream.script(Answer(reasoning=("hm",), pieces=("Hel", "lo")))

    lines = list(client.chat(model=MODEL, messages=HI, stream=True, think=True))

    assert "".join(line.message.content or "" for line in lines) == "Hello"
    assert "".join(line.message.thinking or "" for line in lines) == "hm"
    assert [line.done for line in lines] == [False] * (len(lines) - 1) + [True]


def test_generate_answers_a_prompt(client: ollama.Client, upstream: ScriptedUpstream) -> None:
    upstream.script(Answer(pieces=("Hel", "lo")))
    upstream.script(Answer(pieces=("Hel", "lo")))

    whole = client.generate(model=MODEL, prompt="hi", system="Be kind.")
    lines = list(client.generate(model=MODEL, prompt="hi", stream=True))

    assert whole.response == "".join(line.response or "" for line in lines) == "Hello"
    assert upstream.requests[0]["messages"][0] == {"role": "system", "content": "Be kind."}


def test_texts_are_embedded_one_or_many(client: ollama.Client) -> None:
    many = client.embed(model=MODEL, input=["hi", "there"])
    one = client.embed(model=MODEL, input="hi")
    older = client.embeddings(model=MODEL, prompt="there")

    assert [list(vector) for vector in many.embeddings] == [vector_of("hi"), vector_of("there")]
    assert many.prompt_eval_count == 2
    assert [list(vector) for vector in one.embeddings] == [vector_of("hi")]
    assert list(older.embedding) == vector_of("there")


def test_tool_calls_come_as_objects_and_results_are_matched_by_name(
    client: ollama.Client, upstream: ScriptedUpstream
) -> None:
    upstream.script(Answer(calls=(WantedCall("a", "look", {"at": "x"}),)))
    upstream.script(Answer(pieces=("Seen.",)))

    first = client.chat(model=MODEL, messages=HI, tools=[LOOK])
    result = {"role": "tool", "tool_name": "look", "content": "a tree"}
    second = client.chat(model=MODEL, messages=[*HI, first.message, result], tools=[LOOK])

    (call,) = first.message.tool_calls or []
    assert (call.function.name, call.function.arguments) == ("look", {"at": "x"})
    assert second.message.content == "Seen."
    *_, said, heard = upstream.requests[1]["messages"]
    assert heard["tool_call_id"] == said["tool_calls"][0]["id"]
    assert heard["content"] == "a tree"


def test_images_are_sent_on(client: ollama.Client, upstream: ScriptedUpstream) -> None:
    messages: Any = [{"role": "user", "content": "what?", "images": ["iVBORw0KGgo="]}]

    client.chat(model=MODEL, messages=messages)

    (asked,) = upstream.requests[0]["messages"]
    assert asked["content"][1]["image_url"]["url"] == "data:image/png;base64,iVBORw0KGgo="


def test_without_anything_to_say_a_model_is_loaded(client: ollama.Client) -> None:
    assert client.chat(model=MODEL).done_reason == "load"
    assert client.generate(model=MODEL).done_reason == "load"
    assert client.generate(model=MODEL, keep_alive=0).done_reason == "unload"


def test_a_model_is_listed_shown_and_running(client: ollama.Client) -> None:
    assert [model.model for model in client.list().models] == [MODEL]
    assert [model.model for model in client.ps().models] == [MODEL]
    assert "tools" in (client.show(MODEL).capabilities or [])


@pytest.mark.parametrize("verb", ["chat", "load", "show"])
def test_a_model_that_nobody_has_is_not_found(client: ollama.Client, verb: str) -> None:
    asked: dict[str, Any] = {"messages": HI} if verb == "chat" else {}
    with pytest.raises(ollama.ResponseError) as caught:
        _ = client.show("nobody") if verb == "show" else client.chat(model="nobody", **asked)

    assert caught.value.status_code == 404
    assert MODEL in caught.value.error


def test_a_stream_that_breaks_ends_with_an_error_line(
    client: ollama.Client, upstream: ScriptedUpstream
) -> None:
    """Features D9."""
    upstream.script(Answer(pieces=("Hel", "lo"), fault=Fault.RESET_IN_TEXT))

    with pytest.raises(ollama.ResponseError):
        list(client.chat(model=MODEL, messages=HI, stream=True))


def test_what_has_no_meaning_here_says_so(client: ollama.Client) -> None:
    with pytest.raises(ollama.ResponseError) as caught:
        client.pull("llama3.2")

    assert caught.value.status_code == 501
