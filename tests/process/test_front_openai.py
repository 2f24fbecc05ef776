"""OpenAI's own client against the whole stack: front, humd, log, worker, scripted model service."""

import asyncio
import base64
import threading
from array import array
from collections.abc import AsyncIterator, Iterator
from signal import SIGTERM
from typing import Any

import openai
import orjson
import pytest
from tests.support.front import events_of, port_of
from tests.support.stack import CORE, Stack
from tests.support.upstream import Answer, Fault, ScriptedUpstream, WantedCall, vector_of

pytestmark = pytest.mark.process

MODEL = "test-model"
HI: Any = [{"role": "user", "content": "hi"}]
TOOLS: Any = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": f"To {name}.",
            "parameters": {"type": "object", "properties": {"at": {"type": "string"}}},
        },
    }
    for name in ("look", "hear")
]


@pytest.fixture
def upstream(chat_upstream: ScriptedUpstream) -> ScriptedUpstream:
    return chat_upstream


@pytest.fixture
def stack(chat_stack: Stack) -> Stack:
    return chat_stack


@pytest.fixture
def base_url(front_url: str) -> str:
    return f"{front_url}/v1"


@pytest.fixture
def client(base_url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=base_url, api_key="none", max_retries=0) as made:
        yield made


@pytest.fixture
async def async_client(base_url: str) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=base_url, api_key="none", max_retries=0) as made:
        yield made


def test_models_are_listed_and_looked_up(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == [MODEL]
    assert client.models.retrieve(MODEL).owned_by == "hum"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("nobody")


def test_a_whole_answer_has_text_reason_and_usage(
    client: openai.OpenAI, upstream: ScriptedUpstream
) -> None:
    upstream.script(Answer(reasoning=("Hmm.",), pieces=("Hel", "lo"), usage=(10, 2), cached=4))

    answer = client.chat.completions.create(model=MODEL, messages=HI, temperature=0.5)

    choice = answer.choices[0]
    assert choice.message.content == "Hello"
    assert choice.message.model_extra == {"reasoning_content": "Hmm."}
    assert choice.finish_reason == "stop"
    assert answer.model == MODEL
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.total_tokens) == (10, 12)
    assert answer.usage.prompt_tokens_details is not None
    assert answer.usage.prompt_tokens_details.cached_tokens == 4
    assert upstream.requests[0]["temperature"] == 0.5


def test_a_stream_has_the_text_piece_by_piece_and_usage_when_asked(
    client: openai.OpenAI, upstream: ScriptedUpstream
) -> None:
    upstream.script(Answer(pieces=("Hel", "lo"), usage=(10, 2)))

    stream = client.chat.completions.create(
        model=MODEL, messages=HI, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)

    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    assert deltas[0].role == "assistant"
    assert "".join(delta.content or "" for delta in deltas) == "Hello"
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 12


def test_the_clients_own_stream_helper_understands_the_stream(
    client: openai.OpenAI, upstream: ScriptedUpstream
) -> None:
    upstream.script(Answer(pieces=("Hel", "lo")))

    with client.chat.completions.stream(model=MODEL, messages=HI) as stream:
        answer = stream.get_final_completion()

    assert answer.choices[0].message.content == "Hello"


def test_the_conversation_reaches_the_model_as_it_was_told(
    client: openai.OpenAI, upstream: ScriptedUpstream
) -> None:
    messages: Any = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "two"},
        {"role": "user", "content": "three"},
    ]

    client.chat.completions.create(model=MODEL, messages=messages)

    assert upstream.requests[0]["messages"] == messages


@pytest.mark.parametrize("form", ["float", "base64", None])
def test_texts_are_embedded_in_their_order(client: openai.OpenAI, form: Any) -> None:
    """The client asks for base64 by itself, and takes it apart, unless it is told a form."""
    more = {} if form is None else {"encoding_format": form}

    answer = client.embeddings.create(model=MODEL, input=["hi", "there"], **more)

    vectors = [entry.embedding for entry in answer.data]
    if form == "base64":
        assert base64.b64decode(str(vectors[1])) == array("f", vector_of("there")).tobytes()
    else:
        assert vectors == [vector_of("hi"), vector_of("there")]
    assert (answer.model, answer.usage.prompt_tokens) == (MODEL, 2)


def test_tokens_are_embedded_as_the_service_takes_them(client: openai.OpenAI) -> None:
    answer = client.embeddings.create(model=MODEL, input=[[1, 2, 3], [4]])

    assert [entry.embedding for entry in answer.data] == [vector_of([1, 2, 3]), vector_of([4])]


def test_many_texts_come_back_whole(client: openai.OpenAI) -> None:
    texts = ["x" * (1 + number % 50) for number in range(2_048)]

    answer = client.embeddings.create(model=MODEL, input=texts)

    assert [entry.embedding for entry in answer.data] == [vector_of(text) for text in texts]


@pytest.mark.parametrize(
    ("inputs", "param"), [("", "input"), ([], "input"), (["x"] * 2_049, "input"), ([""], "input")]
)
def test_what_cannot_be_embedded_is_refused(client: openai.OpenAI, inputs: Any, param: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.embeddings.create(model=MODEL, input=inputs)

    assert caught.value.param == param


def test_the_request_id_is_found_in_the_log(client: openai.OpenAI, stack: Stack) -> None:
    answer = client.chat.completions.with_raw_response.create(model=MODEL, messages=HI)

    prompts = [event for event in events_of(stack) if event["chi"] == "prompt"]
    assert answer.headers["x-request-id"] == prompts[-1]["rid"]


def test_a_model_that_does_not_exist_is_not_found(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="nobody", messages=HI)

    assert caught.value.code == "model_not_found"
    assert MODEL in caught.value.message


def test_a_wrong_parameter_is_named(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model=MODEL, messages=HI, n=3)

    assert caught.value.param == "n"


def test_the_services_own_refusal_keeps_its_status(
    client: openai.OpenAI, upstream: ScriptedUpstream
) -> None:
    """Once the worker knows the service: its first refusal may be of an option it does not take."""
    client.chat.completions.create(model=MODEL, messages=HI)
    upstream.script(Answer(status=400, message="too hot"))

    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model=MODEL, messages=HI, stream=True)

    assert "too hot" in caught.value.message


def test_an_answer_that_breaks_in_the_middle_never_looks_complete(
    client: openai.OpenAI, upstream: ScriptedUpstream
) -> None:
    """Features D9."""
    upstream.script(Answer(pieces=("Hel", "lo"), fault=Fault.RESET_IN_TEXT))

    def read() -> list[Any]:
        return list(client.chat.completions.create(model=MODEL, messages=HI, stream=True))

    # A status when the break arrived together with the text, else an error inside the stream.
    with pytest.raises(openai.APIError):
        read()


async def test_conversations_that_begin_alike_never_meet(
    async_client: openai.AsyncOpenAI, upstream: ScriptedUpstream
) -> None:
    texts = [f"answer {number}" for number in range(8)]
    upstream.script(*(Answer(pieces=tuple(text)) for text in texts))

    answers = await asyncio.gather(
        *(async_client.chat.completions.create(model=MODEL, messages=HI) for _ in texts)
    )

    assert sorted(str(answer.choices[0].message.content) for answer in answers) == texts
    assert len({answer.id for answer in answers}) == len(texts)


async def test_a_client_that_leaves_cancels_the_model(
    async_client: openai.AsyncOpenAI, upstream: ScriptedUpstream
) -> None:
    """Features D10."""
    hanging = Answer(pieces=("Hel", "lo"), fault=Fault.HANG_IN_TEXT)
    upstream.script(hanging)

    stream = await async_client.chat.completions.create(model=MODEL, messages=HI, stream=True)
    async for chunk in stream:
        if chunk.choices[0].delta.content:
            break
    await stream.close()

    assert await asyncio.to_thread(hanging.client_closed.wait, 10)


def test_a_client_that_leaves_without_a_stream_cancels_too(
    base_url: str, upstream: ScriptedUpstream
) -> None:
    """Features D10."""
    hanging = Answer(fault=Fault.HANG_IN_TEXT)
    upstream.script(hanging)

    with (
        openai.OpenAI(base_url=base_url, api_key="none", max_retries=0, timeout=0.5) as impatient,
        pytest.raises(openai.APITimeoutError),
    ):
        impatient.chat.completions.create(model=MODEL, messages=HI)

    assert hanging.client_closed.wait(10)


@pytest.mark.parametrize("is_stream", [False, True])
def test_parallel_calls_of_the_clients_tools_come_back_into_the_same_turn(
    client: openai.OpenAI, upstream: ScriptedUpstream, stack: Stack, is_stream: bool
) -> None:
    wanted = (WantedCall("c1", "look", {"at": "x"}), WantedCall("c1b", "hear", {"at": "y"}))
    upstream.script(Answer(pieces=("Let me see.",), calls=wanted))
    upstream.script(Answer(pieces=("Blue.",)))
    prompts = len([event for event in events_of(stack) if event["chi"] == "prompt"])

    asked = _ask(client, HI, is_stream=is_stream)
    message = asked.choices[0].message
    assert asked.choices[0].finish_reason == "tool_calls"
    assert [call.function.name for call in message.tool_calls] == ["look", "hear"]
    assert [orjson.loads(call.function.arguments) for call in message.tool_calls] == [
        {"at": "x"},
        {"at": "y"},
    ]
    told = [
        {"role": "tool", "tool_call_id": call.id, "content": f"saw {call.function.name}"}
        for call in message.tool_calls
    ]
    answer = _ask(client, [*HI, message.model_dump(exclude_none=True), *told], is_stream=is_stream)

    assert answer.choices[0].message.content == "Blue."
    assert answer.choices[0].finish_reason == "stop"
    seen = [entry for entry in upstream.requests[1]["messages"] if entry["role"] == "tool"]
    assert [entry["content"] for entry in seen] == ["saw look", "saw hear"]
    after = len([event for event in events_of(stack) if event["chi"] == "prompt"])
    assert after == prompts + 1


def _ask(client: openai.OpenAI, messages: Any, *, is_stream: bool) -> Any:
    if not is_stream:
        return client.chat.completions.create(model=MODEL, messages=messages, tools=TOOLS)
    with client.chat.completions.stream(model=MODEL, messages=messages, tools=TOOLS) as stream:
        return stream.get_final_completion()


def test_results_of_a_turn_that_is_over_are_told_as_history(
    client: openai.OpenAI, upstream: ScriptedUpstream
) -> None:
    call = {
        "id": "call_of_another_day",
        "type": "function",
        "function": {"name": "look", "arguments": "{}"},
    }
    messages: Any = [
        *HI,
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_of_another_day", "content": "blue"},
    ]
    upstream.script(Answer(pieces=("It was blue.",)))

    answer = client.chat.completions.create(model=MODEL, messages=messages, tools=TOOLS)

    assert answer.choices[0].message.content == "It was blue."
    assert upstream.requests[0]["messages"] == messages


def test_without_a_worker_there_is_an_answer_and_a_restart_of_humd_is_survived(
    upstream: ScriptedUpstream,
) -> None:
    environment = {"OPENAI_BASE_URL": upstream.base_url, "OPENAI_API_KEY": "sk-0123456789"}
    upstream.forget()
    with Stack(services=(*CORE, "front"), env=environment) as stack:
        stack.wait_bee("front")
        url = f"http://127.0.0.1:{port_of(stack)}/v1"
        with openai.OpenAI(base_url=url, api_key="none", max_retries=0) as client:
            with pytest.raises(openai.InternalServerError) as caught:
                client.chat.completions.create(model=MODEL, messages=HI)
            assert caught.value.status_code == 503
            stack.start("openai")
            stack.wait_bee("openai")
            hanging = Answer(pieces=("Hel", "lo"), fault=Fault.HANG_IN_TEXT)
            upstream.script(hanging)
            answers: list[Any] = []
            asking = threading.Thread(
                target=lambda: answers.append(
                    client.chat.completions.create(model=MODEL, messages=HI)
                )
            )
            asking.start()
            assert hanging.hanging.wait(10)

            stack.kill("humd")
            stack.start("humd")
            stack.wait_bee("openai")
            hanging.gate.set()
            asking.join(15)

        assert [answer.choices[0].message.content for answer in answers] == ["Hello"]
        assert stack.kill("front", number=SIGTERM) == 0
