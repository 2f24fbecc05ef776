"""Conversations on every wire at once: each has one sid, its history, and no other's words."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

import httpx
import openai
import pytest
from tests.support.front import events_of, port_of, serving
from tests.support.stack import Stack
from tests.support.upstream import Answer, ScriptedUpstream

pytestmark = pytest.mark.process

MODEL = "test-model"
CONVERSATIONS = 52
FIRST = "The first message is the same."
ROUNDS = 3

Post = Callable[[str, Mapping[str, Any]], Awaitable[Any]]


@pytest.fixture(scope="module")
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as running:
        yield running


@pytest.fixture(scope="module")
def stack(upstream: ScriptedUpstream) -> Iterator[Stack]:
    with serving(upstream) as running:
        yield running


@pytest.fixture
def fresh(upstream: ScriptedUpstream) -> Iterator[Stack]:
    """One of its own, for a test that kills."""
    upstream.forget()
    with serving(upstream) as running:
        yield running


@pytest.fixture
def base_url(stack: Stack, upstream: ScriptedUpstream) -> str:
    upstream.forget()
    numbers = itertools.count()

    def echo(request: Mapping[str, Any]) -> Answer:
        """Everything that the user said, and a number that no other answer has."""
        said = [told["content"] for told in request["messages"] if told["role"] == "user"]
        return Answer(pieces=(*(f"<{text}>" for text in said), f"#{next(numbers)}"))

    upstream.reply = echo
    return f"http://127.0.0.1:{port_of(stack)}"


async def chat(post: Post, history: list[Any]) -> str:
    told = await post("/v1/chat/completions", {"model": MODEL, "messages": history})
    return str(told["choices"][0]["message"]["content"])


async def messages(post: Post, history: list[Any]) -> str:
    body = {"model": MODEL, "messages": history, "max_tokens": 64}
    return str((await post("/v1/messages", body))["content"][0]["text"])


async def ollama(post: Post, history: list[Any]) -> str:
    told = await post("/api/chat", {"model": MODEL, "messages": history, "stream": False})
    return str(told["message"]["content"])


async def responses(post: Post, history: list[Any]) -> str:
    told = await post("/v1/responses", {"model": MODEL, "input": history})
    return str(told["output"][0]["content"][0]["text"])


WIRES = (chat, messages, ollama, responses)


async def converse(post: Post, number: int) -> list[str]:
    """One conversation of some rounds; everything that it was told."""
    ask, history = WIRES[number % len(WIRES)], []
    for place in range(ROUNDS):
        text = FIRST if place == 0 else f"{place} of {number}"
        history.append({"role": "user", "content": text})
        history.append({"role": "assistant", "content": await ask(post, history)})
    return [told["content"] for told in history if told["role"] == "assistant"]


async def test_fifty_conversations_that_begin_alike_never_meet(
    stack: Stack, base_url: str, upstream: ScriptedUpstream
) -> None:
    """All at once, on all four wires; the worker gets every history whole."""
    async with httpx.AsyncClient(base_url=base_url, timeout=30) as client:

        async def post(path: str, body: Mapping[str, Any]) -> Any:
            answer = await client.post(path, json=body)
            assert answer.status_code == 200, answer.text
            return answer.json()

        heard = await asyncio.gather(*(converse(post, n) for n in range(CONVERSATIONS)))

    for number, told in enumerate(heard):
        theirs = f"<{FIRST}>" + "".join(f"<{place} of {number}>" for place in range(1, ROUNDS))
        assert told[-1].startswith(f"{theirs}#")
    prompts = [event["sid"] for event in events_of(stack) if event["chi"] == "prompt"]
    sids = Counter(prompts[-CONVERSATIONS * ROUNDS :])
    assert len(sids) == CONVERSATIONS
    assert set(sids.values()) == {ROUNDS}
    whole = [asked["messages"] for asked in upstream.requests if len(asked["messages"]) > 3]
    assert len(whole) == CONVERSATIONS
    assert all([told["role"] for told in each][:2] == ["user", "assistant"] for each in whole)


def test_a_conversation_goes_on_under_its_sid_after_the_front_was_killed(fresh: Stack) -> None:
    stack = fresh

    def go_on(history: list[Any], **headers: str) -> None:
        url = f"http://127.0.0.1:{port_of(stack)}/v1"
        with openai.OpenAI(base_url=url, api_key="none") as client:
            answer = client.chat.completions.create(
                model=MODEL, messages=history, extra_headers=headers
            )
        text = answer.choices[0].message.content
        history += [{"role": "assistant", "content": text}, {"role": "user", "content": "on"}]

    plain: list[Any] = [{"role": "user", "content": "plain"}]
    named: list[Any] = [{"role": "user", "content": "named"}]
    go_on(plain)
    go_on(named, **{"session-id": "n"})

    stack.kill("front")
    stack.start("front")
    stack.wait_for(lambda: stack.log("front").count("front.listening") == 2, "the front")
    stack.wait_bee("front")
    go_on(plain)
    go_on(named, **{"session-id": "n"})

    prompts = [event for event in events_of(stack) if event["chi"] == "prompt"]
    sids = Counter(event["sid"] for event in prompts)
    assert sorted(sids.values()) == [2, 2]


def test_an_answer_is_followed_by_its_id_under_other_instructions(
    stack: Stack, base_url: str
) -> None:
    with openai.OpenAI(base_url=f"{base_url}/v1", api_key="none") as client:
        first = client.responses.create(model=MODEL, input="one", instructions="A")
        second, fork = (
            client.responses.create(
                model=MODEL, previous_response_id=first.id, input=text, instructions="B"
            )
            for text in ("two", "three")
        )

    assert second.output_text.startswith("<one><two>#")
    assert fork.output_text.startswith("<one><three>#")
    sids = [event["sid"] for event in events_of(stack) if event["chi"] == "prompt"][-3:]
    assert sids[0] == sids[1] != sids[2]
