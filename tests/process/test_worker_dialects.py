"""The workers for services of the Anthropic and Ollama dialects, from client to service.

Services are scripted; clients are OpenAI's and Anthropic's own (features D7, D8, D9).
"""

from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest
from tests.support.front import KEY, port_of, serving
from tests.support.speeches import ANTHROPIC, CONTEXT_TOKENS, OLLAMA, SIGNATURE
from tests.support.stack import Stack
from tests.support.upstream import Answer, Fault, ScriptedUpstream, Speech, WantedCall, vector_of

pytestmark = pytest.mark.process

MODEL = "test-model"
HI: Any = [{"role": "user", "content": "hi"}]
LOOK: Any = {
    "type": "function",
    "function": {"name": "look", "description": "Looks.", "parameters": {"type": "object"}},
}
IMAGE: Any = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
SPEECHES: dict[str, Speech] = {"anthropic": ANTHROPIC, "ollama": OLLAMA}


class Served:
    """A service of one kind, the stack in front of it, and a client."""

    def __init__(self, kind: str, upstream: ScriptedUpstream, stack: Stack) -> None:
        self.kind = kind
        self.upstream = upstream
        self.base_url = f"http://127.0.0.1:{port_of(stack)}"

    def client(self) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.base_url}/v1", api_key="none", max_retries=0)


@pytest.fixture(scope="module", params=["anthropic", "ollama"])
def running(request: pytest.FixtureRequest) -> Iterator[Served]:
    kind: str = request.param
    with (
        ScriptedUpstream(speech=SPEECHES[kind]) as upstream,
        serving(upstream, kind) as stack,
    ):
        yield Served(kind, upstream, stack)


@pytest.fixture
def served(running: Served) -> Served:
    running.upstream.forget()
    return running


def test_an_answer_is_streamed_with_its_reasoning_and_usage(served: Served) -> None:
    served.upstream.script(Answer(reasoning=("Hm",), pieces=("Hel", "lo"), usage=(10, 2)))

    with served.client() as client:
        stream = client.chat.completions.create(
            model=MODEL, messages=HI, stream=True, stream_options={"include_usage": True},
            max_tokens=50, temperature=0.5, stop=["END"],
        )  # fmt: skip
        chunks: list[Any] = list(stream)

    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    assert "".join(delta.content or "" for delta in deltas) == "Hello"
    assert "".join(getattr(delta, "reasoning_content", None) or "" for delta in deltas) == "Hm"
    assert (chunks[-1].usage.prompt_tokens, chunks[-1].usage.completion_tokens) == (10, 2)
    asked = served.upstream.requests[0]
    if served.kind == "anthropic":
        assert (asked["max_tokens"], asked["stop_sequences"]) == (50, ["END"])
        assert served.upstream.headers[0]["x-api-key"] == KEY
    else:
        options = asked["options"]
        assert (options["num_predict"], options["stop"]) == (50, ["END"])
        assert options["num_ctx"] == CONTEXT_TOKENS


def test_the_tool_loop_runs_with_results_and_history(served: Served) -> None:
    wanted = (WantedCall("a", "look", {"at": "x"}), WantedCall("b", "look", {"at": "y"}))
    served.upstream.script(Answer(pieces=("Let me see.",), calls=wanted, usage=(5, 1)))
    served.upstream.script(Answer(pieces=("Seen.",), usage=(9, 1)))

    with served.client() as client:
        first = client.chat.completions.create(model=MODEL, messages=HI, tools=[LOOK])
        said: Any = first.choices[0].message
        results: Any = [
            {"role": "tool", "tool_call_id": call.id, "content": f"saw {number}"}
            for number, call in enumerate(said.tool_calls)
        ]
        second = client.chat.completions.create(
            model=MODEL, messages=[*HI, said, *results], tools=[LOOK]
        )

    made = [call.function.arguments for call in said.tool_calls]
    assert made == ['{"at":"x"}', '{"at":"y"}']
    assert second.choices[0].message.content == "Seen."
    messages = served.upstream.requests[1]["messages"]
    if served.kind == "anthropic":
        assert [message["role"] for message in messages] == ["user", "assistant", "user"]
        uses = [block["id"] for block in messages[1]["content"] if block["type"] == "tool_use"]
        answers = {block["tool_use_id"]: block["content"] for block in messages[2]["content"]}
        assert [answers[use] for use in uses] == ["saw 0", "saw 1"]
    else:
        heard = [(m["tool_name"], m["content"]) for m in messages if m["role"] == "tool"]
        assert heard == [("look", "saw 0"), ("look", "saw 1")]


def test_images_and_system_text_are_said_in_the_services_words(served: Served) -> None:
    content = [IMAGE, {"type": "text", "text": "what?"}]
    messages: Any = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": content},
    ]

    with served.client() as client:
        client.chat.completions.create(model=MODEL, messages=messages)

    asked = served.upstream.requests[0]
    if served.kind == "anthropic":
        assert asked["system"] == "Be kind."
        image = next(b for b in asked["messages"][0]["content"] if b["type"] == "image")
        assert image["source"] == {"type": "base64", "media_type": "image/png", "data": "AAAA"}
    else:
        assert asked["messages"][0] == {"role": "system", "content": "Be kind."}
        assert asked["messages"][1]["images"] == ["AAAA"]


def test_a_format_reaches_the_model(served: Served) -> None:
    schema = {"name": "a", "schema": {"type": "object", "properties": {"n": {"type": "integer"}}}}
    wanted: Any = {"type": "json_schema", "json_schema": schema}

    with served.client() as client:
        client.chat.completions.create(model=MODEL, messages=HI, response_format=wanted)

    asked = served.upstream.requests[0]
    if served.kind == "anthropic":
        assert '"integer"' in asked["system"]
    else:
        assert asked["format"] == schema["schema"]


@pytest.mark.parametrize("fault", [Fault.RESET_IN_TEXT, Fault.END_WITHOUT_REASON])
def test_an_answer_that_breaks_never_looks_complete(served: Served, fault: Fault) -> None:
    served.upstream.script(Answer(pieces=("Hel", "lo"), fault=fault))

    def read() -> list[Any]:
        return list(client.chat.completions.create(model=MODEL, messages=HI, stream=True))

    with served.client() as client, pytest.raises(openai.APIError):
        read()


def test_a_fault_before_the_first_byte_is_tried_again(served: Served) -> None:
    served.upstream.script(Answer(fault=Fault.RESET_BEFORE_HEAD), Answer(pieces=("Hello",)))

    with served.client() as client:
        answer = client.chat.completions.create(model=MODEL, messages=HI)

    assert answer.choices[0].message.content == "Hello"


def test_the_services_refusal_keeps_its_status(served: Served) -> None:
    served.upstream.script(Answer(status=400, message="too hot"))

    with served.client() as client, pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model=MODEL, messages=HI)

    assert "too hot" in caught.value.message


def test_a_cut_answer_says_so(served: Served) -> None:
    served.upstream.script(Answer(pieces=("Hel",), finish="length"))

    with served.client() as client:
        answer = client.chat.completions.create(model=MODEL, messages=HI)

    assert answer.choices[0].finish_reason == "length"


def test_a_prompt_longer_than_the_context_is_told(served: Served) -> None:
    """Features D7; only the Ollama dialect cuts in silence."""
    long: Any = [{"role": "user", "content": "word " * CONTEXT_TOKENS * 2}]

    with served.client() as client:
        told = [
            client.chat.completions.with_raw_response.create(model=MODEL, messages=messages)
            for messages in (HI, long)
        ]

    seen = [answer.headers.get("x-hum-truncated") for answer in told]
    assert seen == [None, "prompt" if served.kind == "ollama" else None]


def test_thinking_goes_back_to_its_service_as_it_came_and_to_no_other(served: Served) -> None:
    """Features D3."""
    served.upstream.script(Answer(reasoning=("hm",), pieces=("Hello",)))
    thinking = {"type": "enabled", "budget_tokens": 1_024}
    asked: Any = {"model": MODEL, "max_tokens": 2_000, "thinking": thinking}

    with anthropic.Anthropic(base_url=served.base_url, api_key="none", max_retries=0) as client:
        with client.messages.stream(messages=HI, **asked) as stream:
            said = stream.get_final_message().content
        more = [*HI, {"role": "assistant", "content": said}, {"role": "user", "content": "go on"}]
        client.messages.create(messages=more, **asked)

    back = served.upstream.requests[1]["messages"][1]
    assert said[0].type == "thinking"
    if served.kind == "anthropic":
        block = {"type": "thinking", "thinking": "hm", "signature": SIGNATURE}
        assert said[0].model_dump() == block
        assert back["content"][0] == block
    else:
        assert "hm" not in str(back)


def test_embeddings_are_made_or_refused_by_name(served: Served) -> None:
    with served.client() as client:
        if served.kind == "anthropic":
            with pytest.raises(openai.APIStatusError) as caught:
                client.embeddings.create(model=MODEL, input="hi")
            assert (caught.value.status_code, "embeddings" in caught.value.message) == (501, True)
        else:
            answer = client.embeddings.create(model=MODEL, input=["hi", "there"])
            assert [entry.embedding for entry in answer.data] == [
                vector_of("hi"),
                vector_of("there"),
            ]
            with pytest.raises(openai.BadRequestError):
                client.embeddings.create(model=MODEL, input=[[1, 2]])
