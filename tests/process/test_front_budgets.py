"""Budgets over the whole stack: as many as it allows are admitted, whoever is killed meanwhile."""

import asyncio
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import anthropic
import anyio
import httpx
import openai
import orjson
import pytest
from tests.support.front import events_of, port_of, serving
from tests.support.stack import QUIET_SETTINGS, Stack
from tests.support.upstream import Answer, Fault, ScriptedUpstream

pytestmark = pytest.mark.process

ALLOWED, ASKED, LEFT = 50, 200, 5
MODEL = "test-model"
BUDGETS = [
    {"limit": f"{ALLOWED} requests/day", "agent": "crowd"},
    {"limit": f"{ALLOWED} requests/month", "agent": "killed"},
    {"limit": f"{ALLOWED} requests/month", "agent": "storm"},
    {"limit": "0.5 usd/day", "agent": "rich", "each": "agent"},
    {"limit": "1 usd/day", "model": "unpriced"},
    {"limit": "1 requests/day", "schedule": "nightly"},
]
SETTINGS: Mapping[str, Any] = {
    **QUIET_SETTINGS,
    "humd": {
        **QUIET_SETTINGS["humd"],
        "budgets": BUDGETS,
        "prices": [{"model": MODEL, "input": "1000", "output": "2000"}],
    },
}
HI: Any = [{"role": "user", "content": "hi"}]


@pytest.fixture(scope="module")
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream((MODEL, "unpriced")) as running:
        yield running


@pytest.fixture
def fresh(upstream: ScriptedUpstream) -> Iterator[Stack]:
    """One of its own, for a test that kills."""
    with serving(upstream, settings=SETTINGS) as running:
        running.start("sidecar")
        running.wait_bee("sidecar")
        yield running


@pytest.fixture(scope="module")
def stack(upstream: ScriptedUpstream) -> Iterator[Stack]:
    with serving(upstream, settings=SETTINGS) as running:
        running.start("sidecar")
        running.wait_bee("sidecar")
        yield running


def hum(stack: Stack, *arguments: str, status: int | None = 0) -> Any:
    """What `hum` prints; None when it fails and `status` allows that."""
    command = [sys.executable, "-m", "hum", *arguments, "--json"]
    done = subprocess.run(
        command, env={**os.environ, **stack.env}, capture_output=True, timeout=30, check=False
    )
    assert done.returncode == 0 or status is None, done.stderr.decode()
    return orjson.loads(done.stdout) if done.returncode == 0 else None


def shown(stack: Stack, agent: str) -> dict[str, int]:
    """What `hum cost` says of one agent, once the sidecar answers."""
    told: Any = None

    def is_told() -> bool:
        nonlocal told
        told = hum(stack, "cost", "--today", "--by", "agent", status=None)
        return told is not None

    stack.wait_for(is_told, "answer of the sidecar")
    return next((row for row in told["sums"] if row["by"] == agent), {"requests": 0})


def request(number: int) -> tuple[str, dict[str, Any]]:
    """One of four dialects, streamed or not."""
    stream = number % 8 >= 4
    asked: list[tuple[str, dict[str, Any]]] = [
        ("/v1/chat/completions", {"messages": HI}),
        ("/v1/messages", {"messages": HI, "max_tokens": 9}),
        ("/v1/responses", {"input": "hi"}),
        ("/api/chat", {"messages": HI}),
    ]
    path, body = asked[number % 4]
    return path, {"model": MODEL, "stream": stream, **body}


async def crowd(url: str, agent: str, count: int, *, leave: int = 0) -> list[httpx.Response]:
    """So many requests at once; the last ones that have no answer are left. The other answers."""
    limits = httpx.Limits(max_connections=ASKED)
    headers = {"x-hum-agent": agent}
    async with httpx.AsyncClient(
        base_url=url, timeout=30, limits=limits, headers=headers
    ) as client:
        answers: list[httpx.Response] = []
        async with anyio.create_task_group() as tasks:

            async def ask(number: int) -> None:
                path, body = request(number)
                answers.append(await client.post(path, json=body))
                if len(answers) == count - leave:
                    tasks.cancel_scope.cancel()

            for number in range(count):
                tasks.start_soon(ask, number, name="crowd")
        return answers


async def test_of_200_at_once_exactly_those_that_the_budget_allows_are_admitted(
    stack: Stack, upstream: ScriptedUpstream
) -> None:
    """Features D12: in all dialects, streamed and not, answered, failed, retried and left."""
    upstream.forget()
    upstream.script(
        *[Answer(status=500, message="no") for _ in range(5)],
        *[Answer(fault=Fault.HANG_IN_TEXT) for _ in range(LEFT)],
        *[Answer(pieces=("a", "b"), fault=Fault.RESET_IN_TEXT) for _ in range(5)],
    )

    answers = await crowd(f"http://127.0.0.1:{port_of(stack)}", "crowd", ASKED, leave=LEFT)

    assert len(answers) == ASKED - LEFT
    statuses = Counter(answer.status_code for answer in answers)
    assert statuses[429] == ASKED - ALLOWED
    refused = [answer for answer in answers if answer.status_code == 429]
    assert all(int(answer.headers["retry-after"]) > 0 for answer in refused)
    assert {answer.headers["x-should-retry"] for answer in refused} == {"false"}
    assert all(
        answer.headers.get("x-request-id") or answer.headers["request-id"] for answer in answers
    )
    prompts = [
        event for event in events_of(stack)
        if event["chi"] == "prompt" and event["body"]["account"].get("agent") == "crowd"
    ]  # fmt: skip
    assert len(prompts) == ALLOWED
    stack.wait_for(lambda: shown(stack, "crowd")["running"] == 0, "end of all that ran")
    row = shown(stack, "crowd")
    assert (row["requests"], row["cancelled"], row["held_tokens"]) == (ALLOWED, LEFT, 0)
    told = hum(stack, "hum", prompts[0]["rid"])  # the id that the client was told
    assert told["sid"] == prompts[0]["sid"]


async def test_a_budget_holds_while_humd_is_killed_in_the_middle(
    fresh: Stack, upstream: ScriptedUpstream
) -> None:
    """Features D12: the number shown is the number enforced."""
    upstream.forget()
    stack, url = fresh, f"http://127.0.0.1:{port_of(fresh)}"

    def admitted() -> int:
        return sum(
            event["chi"] == "prompt" and event["body"]["account"].get("agent") == "storm"
            for event in events_of(stack)
        )

    async def storm() -> None:
        await asyncio.to_thread(stack.wait_for, lambda: admitted() >= 10, "some of them")
        await asyncio.to_thread(stack.kill, "humd")
        await asyncio.to_thread(stack.start, "humd")

    answers, _ = await asyncio.gather(crowd(url, "storm", ASKED), storm())

    assert {answer.status_code for answer in answers} <= {200, 429, 502, 503, 529}
    stack.wait_for(lambda: is_answering(stack), "answer after humd was killed")
    assert admitted() <= ALLOWED
    assert shown(stack, "storm")["requests"] == admitted()
    await crowd(url, "storm", ASKED)
    assert shown(stack, "storm")["requests"] == admitted() == ALLOWED


def test_each_dialect_is_refused_in_its_own_shape(stack: Stack) -> None:
    url = f"http://127.0.0.1:{port_of(stack)}"
    headers = {"x-hum-agent": "crowd"}
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none", default_headers=headers) as client:
        with pytest.raises(openai.RateLimitError) as chat:
            client.chat.completions.create(model=MODEL, messages=HI)
        with pytest.raises(openai.RateLimitError):
            client.responses.create(model=MODEL, input="hi")
    assert chat.value.code == "budget.spent"
    with (
        anthropic.Anthropic(base_url=url, api_key="none", default_headers=headers) as other,
        pytest.raises(anthropic.RateLimitError, match="requests/day"),
    ):
        other.messages.create(model=MODEL, messages=HI, max_tokens=9)
    answer = httpx.post(f"{url}/api/chat", json={"model": MODEL, "messages": HI}, headers=headers)
    assert (answer.status_code, list(answer.json())) == (429, ["error"])


def is_answering(stack: Stack) -> bool:
    """Whether a turn goes all the way."""
    url = f"http://127.0.0.1:{port_of(stack)}/v1/chat/completions"
    try:
        return httpx.post(url, json={"model": MODEL, "messages": HI}).status_code == 200
    except httpx.TransportError:
        return False


async def test_a_budget_holds_over_the_death_of_every_process(
    fresh: Stack, upstream: ScriptedUpstream
) -> None:
    upstream.forget()
    stack = fresh
    for names in (("humd",), ("thehum",), ("front", "openai", "sidecar")):
        answers = await crowd(f"http://127.0.0.1:{port_of(stack)}", "killed", 6)
        assert {answer.status_code for answer in answers} == {200}
        before = shown(stack, "killed")
        for name in names:
            stack.kill(name)
        for name in names:
            stack.start(name)
        if "front" in names:
            stack.wait_for(lambda: stack.log("front").count("front.listening") == 2, "the front")
        stack.wait_for(lambda: is_answering(stack), f"answer after {names} were killed")
        assert shown(stack, "killed") == before

    left = ALLOWED - shown(stack, "killed")["requests"]
    answers = await crowd(f"http://127.0.0.1:{port_of(stack)}", "killed", left + 10)

    statuses = Counter(answer.status_code for answer in answers)
    assert statuses == {200: left, 429: 10}
    assert shown(stack, "killed")["requests"] == ALLOWED


def test_money_is_what_upstream_reported_and_a_key_has_limits_of_its_own(
    stack: Stack, upstream: ScriptedUpstream
) -> None:
    upstream.forget()
    upstream.script(Answer(usage=(100, 20)))
    url = f"http://127.0.0.1:{port_of(stack)}/v1"
    made = hum(stack, "key", "create", "--agent", "rich", "--limit", "1 requests/hour")
    with openai.OpenAI(base_url=url, api_key=made["key"], max_retries=0) as client:
        client.chat.completions.create(model=MODEL, messages=HI, max_tokens=10)
        with pytest.raises(openai.RateLimitError, match="1 requests/hour") as refused:
            client.chat.completions.create(model=MODEL, messages=HI, max_tokens=10)
    assert refused.value.code == "rate.limited"

    told = hum(stack, "cost", "--by", "key")
    row = next(row for row in told["sums"] if row["by"] == made["id"])
    assert (row["input_tokens"], row["output_tokens"]) == (100, 20)
    assert row["micros"] == 100 * 1_000 + 20 * 2_000
    budget = next(one for one in told["budgets"] if one["who"] == "rich")
    assert (budget["used"], budget["amount"]) == (140_000, 500_000)
    own = next(one for one in told["limits"] if one["who"] == made["id"])
    assert (own["used"], own["amount"]) == (1, 1)


def test_what_a_schedule_asks_has_a_budget_of_its_own(stack: Stack) -> None:
    """Features D12: by schedule."""
    url = f"http://127.0.0.1:{port_of(stack)}"
    told = []
    for number in range(3):
        path, body = request(number)
        headers = {"x-hum-schedule": "nightly", "x-hum-agent": "clock"}
        told.append(httpx.post(url + path, json=body, headers=headers, timeout=30).status_code)
    path, body = request(3)
    asked_by_hand = httpx.post(url + path, json=body, timeout=30)

    assert (sorted(told), asked_by_hand.status_code) == ([200, 429, 429], 200)
    seen = hum(stack, "cost", "--by", "schedule")
    row = next(row for row in seen["sums"] if row["by"] == "nightly")
    budget = next(one for one in seen["budgets"] if one["schedule"] == "nightly")
    assert (row["requests"], budget["used"], budget["amount"]) == (1, 1, 1)


def test_a_model_without_a_price_is_named_and_not_let_past_a_budget_in_money(stack: Stack) -> None:
    url = f"http://127.0.0.1:{port_of(stack)}/v1"
    with (
        openai.OpenAI(base_url=url, api_key="none", max_retries=0) as client,
        pytest.raises(openai.PermissionDeniedError, match=r"humd\.prices"),
    ):
        client.chat.completions.create(model="unpriced", messages=HI)
