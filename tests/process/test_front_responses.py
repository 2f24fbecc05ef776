"""OpenAI's own client and its responses against the whole stack (features D2; hives 11.5, 19.1)."""

import contextlib
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from tests.support.front import port_of, serving
from tests.support.stack import Stack
from tests.support.upstream import Answer, Fault, ScriptedUpstream, WantedCall

pytestmark = pytest.mark.process

MODEL = "test-model"
TOOLS: Any = [
    {
        "type": "function", "name": name, "description": f"To {name}.",
        "parameters": {"type": "object", "properties": {}},
    }
    for name in ("look", "hear")
]  # fmt: skip
LIFE = [
    "response.created", "response.in_progress",
    "response.output_item.added", "response.reasoning_summary_part.added",
    "response.reasoning_summary_text.delta",
    "response.reasoning_summary_text.done", "response.reasoning_summary_part.done",
    "response.output_item.done",
    "response.output_item.added", "response.content_part.added",
    "response.output_text.delta",
    "response.output_text.done", "response.content_part.done", "response.output_item.done",
    "response.completed",
]  # fmt: skip


@pytest.fixture(scope="module")
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as running:
        yield running


@pytest.fixture(scope="module")
def stack(upstream: ScriptedUpstream) -> Iterator[Stack]:
    with serving(upstream) as running:
        yield running


@pytest.fixture
def client(stack: Stack, upstream: ScriptedUpstream) -> Iterator[openai.OpenAI]:
    upstream.forget()
    base_url = f"http://127.0.0.1:{port_of(stack)}/v1"
    with openai.OpenAI(base_url=base_url, api_key="none", max_retries=0) as made:
        yield made


def test_a_response_comes_whole(client: openai.OpenAI, upstream: ScriptedUpstream) -> None:
    upstream.script(Answer(pieces=("Hel", "lo"), usage=(10, 2)))

    answer = client.responses.create(
        model=MODEL, input="hi", instructions="Be kind.", max_output_tokens=50,
        metadata={"who": "me"}, prompt_cache_key="k",
    )  # fmt: skip

    assert (answer.output_text, answer.status, answer.model) == ("Hello", "completed", MODEL)
    assert answer.usage is not None
    assert (answer.usage.input_tokens, answer.usage.total_tokens) == (10, 12)
    assert (answer.metadata, answer.prompt_cache_key) == ({"who": "me"}, "k")
    asked = upstream.requests[0]
    assert asked["messages"] == [
        {"role": "system", "content": "Be kind."}, {"role": "user", "content": "hi"},
    ]  # fmt: skip
    assert asked["max_tokens"] == 50


def test_a_stream_tells_every_step_in_order(
    client: openai.OpenAI, upstream: ScriptedUpstream
) -> None:
    upstream.script(Answer(reasoning=("hm",), pieces=("Hello",)))

    with client.responses.stream(model=MODEL, input="hi") as stream:
        events: list[Any] = list(stream)
        final = stream.get_final_response()

    told = [event.type for event in events if hasattr(event, "sequence_number")]
    assert list(dict.fromkeys(told)) == list(dict.fromkeys(LIFE))
    numbers = [event.sequence_number for event in events if hasattr(event, "sequence_number")]
    assert numbers == sorted(numbers)
    assert numbers[0] == 0
    assert final.output_text == "Hello"
    assert [item.type for item in final.output] == ["reasoning", "message"]


@pytest.mark.parametrize("by_name", [True, False])
@pytest.mark.parametrize("is_stream", [True, False])
def test_parallel_calls_are_items_and_their_outputs_go_on_with_the_turn(
    client: openai.OpenAI, upstream: ScriptedUpstream, is_stream: bool, by_name: bool
) -> None:
    wanted = (WantedCall("a", "look", {"at": "x"}), WantedCall("b", "hear", {}))
    upstream.script(Answer(pieces=("Let me see.",), calls=wanted))
    upstream.script(Answer(pieces=("Seen.",)))
    question: Any = [{"role": "user", "content": "hi"}]

    first = ask(client, is_stream, input=question)
    calls = [item for item in first.output if item.type == "function_call"]
    outputs: list[Any] = [
        {"type": "function_call_output", "call_id": call.call_id, "output": call.name + "!"}
        for call in calls
    ]
    if by_name:
        second = ask(client, is_stream, input=outputs, previous_response_id=first.id)
    else:
        told = [item.model_dump(exclude_none=True) for item in first.output]
        second = ask(client, is_stream, input=[*question, *told, *outputs])

    assert [(call.name, call.arguments) for call in calls] == [
        ("look", '{"at":"x"}'),
        ("hear", "{}"),
    ]
    assert second.output_text == "Seen."
    heard = [m["content"] for m in upstream.requests[1]["messages"] if m["role"] == "tool"]
    assert heard == ["look!", "hear!"]


def ask(client: openai.OpenAI, is_stream: bool, **told: Any) -> Any:
    if not is_stream:
        return client.responses.create(model=MODEL, tools=TOOLS, **told)
    with client.responses.stream(model=MODEL, tools=TOOLS, **told) as stream:
        return stream.get_final_response()


def test_an_answer_is_continued_by_its_name(
    client: openai.OpenAI, upstream: ScriptedUpstream
) -> None:
    upstream.script(Answer(pieces=("two",)))
    first = client.responses.create(model=MODEL, input="one", instructions="Once.")

    client.responses.create(model=MODEL, input="three", previous_response_id=first.id)

    said = [(m["role"], m["content"]) for m in upstream.requests[1]["messages"]]
    assert said == [("user", "one"), ("assistant", "two"), ("user", "three")]


def test_a_conversation_is_continued_by_its_name(
    client: openai.OpenAI, upstream: ScriptedUpstream
) -> None:
    upstream.script(Answer(pieces=("two",)))
    for text in ("one", "three"):
        client.responses.create(model=MODEL, input=text, conversation="conv_test")

    said = [(m["role"], m["content"]) for m in upstream.requests[1]["messages"]]
    assert said == [("user", "one"), ("assistant", "two"), ("user", "three")]


@pytest.mark.parametrize("store", [False, True])
def test_what_nobody_remembers_is_refused(client: openai.OpenAI, store: bool) -> None:
    first = client.responses.create(model=MODEL, input="one", store=False)
    name = "resp_never" if store else first.id

    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(model=MODEL, input="two", previous_response_id=name)

    assert caught.value.code == "previous_response_not_found"


def test_images_formats_and_both_shapes_of_tools_reach_the_model(
    client: openai.OpenAI, upstream: ScriptedUpstream
) -> None:
    image = {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "auto"}
    content = [image, {"type": "input_text", "text": "what?"}]
    nested = {"type": "function", "function": {"name": "smell"}}

    told: dict[str, Any] = {
        "input": [{"role": "user", "content": content}],
        "tools": [TOOLS[0], nested, {"type": "web_search"}],
        "text": {"format": {"type": "json_schema", "name": "a", "schema": {"type": "object"}}},
    }
    client.responses.create(model=MODEL, **told)

    asked = upstream.requests[0]
    assert asked["messages"][0]["content"][1]["image_url"]["url"].endswith("AAAA")
    assert [tool["function"]["name"] for tool in asked["tools"]] == ["look", "smell"]


def test_a_cut_answer_is_incomplete(client: openai.OpenAI, upstream: ScriptedUpstream) -> None:
    upstream.script(Answer(pieces=("Hel",), finish="length"))

    answer = client.responses.create(model=MODEL, input="hi")

    assert answer.status == "incomplete"
    assert answer.incomplete_details is not None
    assert answer.incomplete_details.reason == "max_output_tokens"


def test_a_stream_that_breaks_ends_with_response_failed(
    client: openai.OpenAI, upstream: ScriptedUpstream
) -> None:
    """Features D9."""
    upstream.script(Answer(pieces=("Hel", "lo"), fault=Fault.RESET_IN_TEXT))

    # A status when the break arrived together with the text, else the last event.
    last = "status 502"
    with contextlib.suppress(openai.InternalServerError):
        last = list(client.responses.create(model=MODEL, input="hi", stream=True))[-1].type

    assert last in ("status 502", "response.failed")


def test_a_wrong_parameter_is_named(client: openai.OpenAI) -> None:
    told: list[dict[str, Any]] = [{"background": True}, {"input": []}, {"input": 7}, {"text": 7}]
    for wrong in told:
        with pytest.raises(openai.BadRequestError) as caught:
            client.responses.create(**{"model": MODEL, "input": "hi", **wrong})
        assert caught.value.param == next(iter(wrong))
