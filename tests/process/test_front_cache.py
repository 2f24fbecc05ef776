"""Answers that are given again, over the whole stack: marked, in the log, and for nothing.

With them what settings say of single models, and what a service says of when to come back.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from random import Random
from typing import Any

import httpx
import orjson
import pytest
from tests.support.front import events_of, port_of, serving
from tests.support.stack import QUIET_SETTINGS, Stack
from tests.support.upstream import Answer, Fault, ScriptedUpstream, WantedCall

pytestmark = pytest.mark.process

MODEL, OTHER = "test-model", "other-model"
SETTINGS: Mapping[str, Any] = {
    **QUIET_SETTINGS,
    "humd": {
        **QUIET_SETTINGS["humd"],
        "prices": [{"model": "*", "input": "1000", "output": "1000"}],
    },
    "workers": {
        "openai": {
            "cache": {"maxBytes": 200_000, "seconds": 600},
            "perModel": [
                {"model": OTHER, "temperature": "0.3", "answerTokens": 40, "answerTokensMax": 50}
            ],
        }
    },
}
WORDS = "\u00e9 is here"


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[Stack, ScriptedUpstream]]:
    with (
        ScriptedUpstream((MODEL, OTHER)) as upstream,
        serving(upstream, settings=SETTINGS) as stack,
    ):
        stack.start("sidecar")
        stack.wait_bee("sidecar")
        yield stack, upstream


@pytest.fixture
def served(running: tuple[Stack, ScriptedUpstream]) -> tuple[Stack, ScriptedUpstream]:
    running[1].forget()
    return running


def asked(text: str, dialect: str) -> tuple[str, dict[str, Any]]:
    message = {"role": "user", "content": text}
    bodies: dict[str, tuple[str, dict[str, Any]]] = {
        "chat": ("/v1/chat/completions", {"messages": [message]}),
        "responses": ("/v1/responses", {"input": text}),
        "messages": ("/v1/messages", {"messages": [message], "max_tokens": 9}),
        "ollama": ("/api/chat", {"messages": [message]}),
    }
    return bodies[dialect]


def post(
    stack: Stack, text: str, dialect: str = "chat", *, headers: Any = None, **fields: Any
) -> httpx.Response:
    path, body = asked(text, dialect)
    url = f"http://127.0.0.1:{port_of(stack)}{path}"
    body = {"model": MODEL, "stream": False, **body, **fields}
    return httpx.post(url, json=body, headers=headers, timeout=30)


def text_in(dialect: str, body: Mapping[str, Any]) -> Any:
    if dialect == "chat":
        return body["choices"][0]["message"]["content"]
    if dialect == "responses":
        return body["output"][-1]["content"][0]["text"]
    return body["content"][0]["text"] if dialect == "messages" else body["message"]["content"]


@pytest.mark.parametrize("dialect", ["chat", "responses", "messages", "ollama"])
def test_the_same_request_is_answered_again_for_nothing(
    served: tuple[Stack, ScriptedUpstream], dialect: str
) -> None:
    """Features D15: streamed and not, marked in the headers and the log."""
    stack, upstream = served
    upstream.script(Answer(reasoning=("hm",), pieces=("\u00e9 is", " here")))
    words = f"again in {dialect}"

    first = post(stack, words, dialect)
    again = post(stack, words, dialect)
    streamed = post(stack, words, dialect, stream=True)

    assert len(upstream.requests) == 1
    assert [answer.status_code for answer in (first, again, streamed)] == [200] * 3
    marks = [answer.headers.get("x-hum-cache") for answer in (first, again, streamed)]
    assert marks == [None, "hit", "hit"]
    assert text_in(dialect, first.json()) == text_in(dialect, again.json()) == WORDS
    assert " here" in streamed.text
    sids = {
        event["sid"]
        for event in events_of(stack)
        if event["chi"] == "prompt" and words in str(event["body"])
    }
    ends = [e["body"] for e in events_of(stack) if e["chi"] == "finish" and e["sid"] in sids]
    assert [end.get("cached", False) for end in ends] == [False, True, True]
    used = [sum(end["usage"].values()) for end in ends]
    assert used == [10, 0, 0]


def test_who_wants_a_fresh_answer_gets_one(served: tuple[Stack, ScriptedUpstream]) -> None:
    stack, upstream = served

    answers = [
        post(stack, "fresh", headers={"cache-control": value})
        for value in ("max-age=0", "no-cache", "max-age=0")
    ]

    marks = [answer.headers.get("x-hum-cache") for answer in answers]
    assert (marks, len(upstream.requests)) == ([None, None, "hit"], 2)


@pytest.mark.parametrize(
    "fault", [Fault.RESET_IN_TEXT, Fault.ERROR_EVENT, Fault.END_WITHOUT_REASON]
)
def test_what_failed_is_never_given_again(
    served: tuple[Stack, ScriptedUpstream], fault: Fault
) -> None:
    stack, upstream = served
    upstream.script(Answer(pieces=("Hel", "lo"), fault=fault))

    broken = post(stack, f"broken {fault}", stream=True)
    whole = post(stack, f"broken {fault}")

    assert "[DONE]" not in broken.text
    assert (whole.headers.get("x-hum-cache"), text_in("chat", whole.json())) == (None, "pong")


def test_a_call_of_a_tool_is_given_again_as_a_call(
    served: tuple[Stack, ScriptedUpstream],
) -> None:
    stack, upstream = served
    upstream.script(Answer(calls=(WantedCall("c1", "look", {"at": "x"}),)))
    tools = [{"type": "function", "function": {"name": "look"}}]

    first, again = (post(stack, "call", tools=tools).json()["choices"][0] for _ in range(2))

    assert len(upstream.requests) == 1
    for choice in (first, again):
        (call,) = choice["message"]["tool_calls"]
        assert (choice["finish_reason"], call["function"]["name"]) == ("tool_calls", "look")
        assert call["function"]["arguments"] == '{"at":"x"}'


def test_what_settings_say_of_a_model_is_asked_unless_the_client_says_otherwise(
    served: tuple[Stack, ScriptedUpstream],
) -> None:
    stack, upstream = served

    post(stack, "one", model=OTHER)
    post(stack, "two", model=OTHER, temperature=1, max_tokens=60)
    post(stack, "three")

    one, two, three = upstream.requests
    assert (one["temperature"], one["max_tokens"]) == (0.3, 40)
    assert (two["temperature"], two["max_tokens"]) == (1, 50)
    assert not {"temperature", "max_tokens"} & three.keys()


KINDS = ("finish", "finish", "again", "retry", "break", "leave")


def test_the_sums_are_what_the_service_reported_whatever_happened(
    served: tuple[Stack, ScriptedUpstream],
) -> None:
    """Features D13: any mix of finish, abort, retry and an answer that is given again."""
    stack, upstream = served
    rng, reported, left, told = Random(13), 0, 0, ["nothing yet"]
    before = row_of(stack, "sums")
    for number in range(30):
        kind = rng.choice(KINDS)
        usage = (rng.randrange(1, 10_000), rng.randrange(1, 1_000))
        answer = Answer(usage=usage, cached=rng.randrange(usage[0]))
        text = f"{kind} {number}"
        if kind == "again":
            text = rng.choice(told)
        elif kind == "retry":
            upstream.script(Answer(status=503))
        elif kind == "break":
            answer = replace(answer, pieces=("a", "b"), fault=Fault.RESET_IN_TEXT)
        elif kind == "leave":
            answer = replace(answer, pieces=("a", "b"), fault=Fault.HANG_IN_TEXT)
        upstream.script(answer)
        seen = len(upstream.requests)
        if kind == "leave":
            leave(stack, text, answer)
            left += 1
            continue
        post(stack, text, stream=rng.random() < 0.5, headers={"x-hum-agent": "sums"})
        was_asked = len(upstream.requests) > seen
        upstream.forget()
        if kind != "break" and was_asked:
            reported += sum(usage)
            told.append(text)

    def is_settled() -> bool:
        return row_of(stack, "sums")["running"] == 0

    stack.wait_for(is_settled, "end of every turn")
    row = row_of(stack, "sums")
    names = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
    assert sum(row[name] - before[name] for name in names) == reported
    assert (row["estimated_tokens"] > 0) == (left > 0)
    assert row["cancelled"] >= left > 0
    prices = Counter({name: row[name] for name in names})
    assert row["micros"] == 1_000 * (prices.total() + row["estimated_tokens"])


def leave(stack: Stack, text: str, answer: Answer) -> None:
    """Ask, and leave while the service hangs in its answer."""
    path, body = asked(text, "chat")
    url = f"http://127.0.0.1:{port_of(stack)}{path}"
    body = {"model": MODEL, "stream": True, **body}
    headers = {"x-hum-agent": "sums"}
    with httpx.stream("POST", url, json=body, headers=headers, timeout=30):
        assert answer.hanging.wait(30)


def row_of(stack: Stack, agent: str) -> Mapping[str, int]:
    """What humd says was used by one agent, today."""
    token = stack.paths.sidecar_token.read_text()
    bees = orjson.loads(stack.paths.bees_json.read_bytes()).values()
    port = next(bee["bind"]["port"] for bee in bees if bee["name"] == "sidecar")
    told = httpx.get(
        f"http://127.0.0.1:{port}/api/costs",
        headers={"authorization": f"Bearer {token.strip()}"},
        timeout=30,
    ).json()
    sums: Counter[str] = Counter()
    for row in told["rows"]:
        if row["agent"] == agent:
            sums.update({name: value for name, value in row.items() if type(value) is int})
    return sums


def test_a_service_is_left_alone_for_as_long_as_it_wants(
    served: tuple[Stack, ScriptedUpstream],
) -> None:
    """Features D14: the client is told when to come back, and nobody asks the service before."""
    stack, upstream = served
    upstream.script(Answer(status=429, message="slow down", headers={"Retry-After": "120"}))

    refused = post(stack, "wait", model=OTHER)
    again = post(stack, "wait more", "messages", model=OTHER)
    other = post(stack, "not you")

    assert (refused.status_code, again.status_code, other.status_code) == (429, 429, 200)
    assert refused.headers["retry-after"] == "120"
    assert 60 < int(again.headers["retry-after"]) <= 120
    assert [request["model"] for request in upstream.requests] == [OTHER, MODEL]
