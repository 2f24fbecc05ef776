"""The acceptance narratives of one humd, as strangers play them on its socket (humd 17)."""

from collections.abc import Iterator

import pytest
from tests.support.ndjson import Client, Flat
from tests.support.originals import rust_worker_hello
from tests.support.stack import Stack

pytestmark = pytest.mark.process

MODEL = "claude-haiku-4-5"
FS_TOOLS = [
    {"name": "humfs_read", "description": "reads", "inputSchema": {"type": "object"}},
    {"name": "humfs_list", "description": "lists", "inputSchema": None},
]
RESERVED = ["Bash", "Edit", "Glob", "Grep", "MultiEdit", "Read", "Write"]


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack() as stack:
        yield stack


@pytest.fixture
def worker(stack: Stack) -> Iterator[Client]:
    """The worker of every narrative, registered under a hid of its own."""
    with stack.client() as client:
        client.send(**rust_worker_hello("claude-cli", MODEL))
        assert [client.read()["chi"] for _ in range(2)] == ["breath", "breath"]
        yield client


def hello(worker: Client, sid: str) -> Flat:
    """Answer the prompt of a sid with HELLO; the prompt."""
    prompt = worker.read_until("prompt", sid=sid)
    for chunk in (
        {"chunkType": "text_start", "id": 0},
        {"chunkType": "text_delta", "id": 0, "delta": "HELLO"},
        {"chunkType": "content_block_stop", "id": 0},
    ):
        worker.send(chi="chunk", sid=sid, **chunk)
    worker.send(chi="finish", sid=sid, finishReason="end_turn")
    return prompt


def heard(client: Client, sid: str) -> list[Flat]:
    """What a client hears on a sid, up to the end of the turn."""
    tones = [client.read_until("chunk", sid=sid)]
    while tones[-1]["chi"] != "finish":
        tones.append(client.read())
    return tones


def test_mock_prompt(stack: Stack, worker: Client) -> None:
    with stack.client() as asker:
        asker.send(chi="prompt", sid="test-hum-1", modelId=MODEL, content="say hello")
        hello(worker, "test-hum-1")

        start, delta, stop, finish = heard(asker, "test-hum-1")

    assert [tone["chunkType"] for tone in (start, delta, stop)] == [
        "text_start",
        "text_delta",
        "content_block_stop",
    ]
    assert delta["delta"] == delta["part"]["text"] == "HELLO"
    assert (finish["sid"], finish["finishReason"]) == ("test-hum-1", "end_turn")
    asked = next(event for event in stack.events() if event["sid"] == "test-hum-1")
    assert asked["chi"] == "prompt"
    assert "claude-cli" in asked["body"]["@via"]["why"], "features A13: the log says why"


def test_tool_catalogue(stack: Stack, worker: Client) -> None:
    own = {"name": "read", "description": "the asker's", "inputSchema": {"type": "object"}}
    with stack.client() as forager, stack.client() as asker:
        forager.send(
            chi="hello", rid="f", hive="humfs", hid=f"fbee_{'f' * 64}", bee=["forager"],
            tools=FS_TOOLS, provides=["fs"],
        )  # fmt: skip
        forager.read_until("echo", rid="f")
        asker.send(
            chi="prompt", sid="tools", modelId=MODEL, content="hi", tools=[own],
            disallowedTools=["WebFetch"],
        )  # fmt: skip
        prompt = hello(worker, "tools")
        heard(asker, "tools")

        asker.send(chi="prompt", sid="own tool", modelId=MODEL, content="hi", tools=[own])
        worker.read_until("prompt", sid="own tool")
        call = {"sid": "own tool", "callId": "c-1", "toolName": "read", "name": "read", "args": {}}
        worker.send(chi="tool-call", **call)
        assert asker.read_until("tool-call")["callId"] == "c-1"
        asker.send(chi="tool-result", sid="own tool", callId="c-1", result={"content": "text"})
        assert worker.read_until("tool-result")["result"] == {"content": "text"}

    offered = prompt["foragerTools"]
    assert [tool["name"] for tool in offered] == ["humfs_read", "humfs_list"]
    assert all(tool["inputSchema"]["type"] == "object" for tool in offered)
    assert prompt["provided"] == ["fs"]
    assert prompt["tools"] == [own]
    assert prompt["disallowedTools"] == sorted([*RESERVED, "WebFetch"])


def test_two_foragers_with_one_name_for_a_tool_are_both_called(
    stack: Stack, worker: Client
) -> None:
    """Features A14: under names that tell them apart; and who goes away is told at once."""
    with stack.client() as asker, stack.client() as one, stack.client() as two:
        for digit, forager in (("1", one), ("2", two)):
            forager.send(
                chi="hello", rid="f", hive=f"files{digit}", hid=f"fbee_{digit * 64}",
                bee=["forager"], tools=[{"name": "read", "description": digit}],
            )  # fmt: skip
            forager.read_until("echo", rid="f")
        asker.send(chi="prompt", sid="two", modelId=MODEL, content="hi")
        offered = worker.read_until("prompt", sid="two")["foragerTools"]
        names = [tool["name"] for tool in offered]
        for number, name in enumerate(names):
            worker.send(chi="tool-call", sid="two", callId=f"c{number}", toolName=name, args={})
        for forager in (one, two):
            call = forager.read_until("tool-call")
            assert call["toolName"] == call["name"] == "read"
        one.close()
        error = worker.read_until("error")
        two.send(chi="tool-result", callId="c1", output="from two")

        assert names == ["files1_read", "files2_read"]
        assert [tool["bee"] for tool in offered] == ["files1", "files2"]
        assert all(len(name) <= 64 for name in names)
        assert (error["qualifier"], error["callId"]) == ("tool.forager-lost", "c0")
        assert worker.read_until("tool-result")["output"] == "from two"


def test_co_pilot(stack: Stack, worker: Client) -> None:
    """On one humd: an observer that only listens, attached before the prompt."""
    with stack.client() as driver, stack.client() as observer:
        observer.send(chi="attach", rid="a", sid="pilot", hearOnly=True)
        assert observer.read_until("echo", rid="a")["ok"] is True
        driver.send(chi="prompt", sid="pilot", modelId=MODEL, content="hi")
        hello(worker, "pilot")

        assert heard(driver, "pilot") == heard(observer, "pilot")


def test_a_call_of_a_tool_that_nobody_has_is_answered(stack: Stack, worker: Client) -> None:
    """Humd 6: no client waits in silence."""
    with stack.client() as asker:
        asker.send(chi="tool-call", sid="nobody", callId="c-9", name="nobodys-tool", args={})

        error = asker.read_until("error")

    assert (error["qualifier"], error["callId"]) == ("tool.unknown", "c-9")


def test_a_large_prompt_arrives_and_a_line_over_the_limit_is_skipped(
    stack: Stack, worker: Client
) -> None:
    """Thrum 1, with the limit that every installation has: 16 MiB."""
    large = "x" * (10 * 1024 * 1024)
    with stack.client() as asker:
        asker.send(chi="prompt", sid="large", modelId=MODEL, content=large)
        assert worker.read_until("prompt", sid="large")["content"] == large
        worker.send(chi="finish", sid="large", finishReason="end_turn")
        asker.read_until("finish", sid="large")

        asker.send(chi="prompt", sid="larger", modelId=MODEL, content="x" * (16 * 1024 * 1024))

        assert asker.read_until("error")["qualifier"] == "frame.too-large"
        asker.send(chi="hello", rid="after")
        assert asker.read_until("echo")["rid"] == "after"


def test_a_prompt_without_a_sid_is_answered(stack: Stack) -> None:
    with stack.client() as asker:
        asker.send(chi="prompt", rid="no-sid", modelId=MODEL, content="hi")

        error = asker.read_until("error")

    assert (error["qualifier"], error["rid"]) == ("prompt.no-sid", "no-sid")


def test_an_idle_client_hears_nothing_of_a_turn_whose_asker_is_gone(
    stack: Stack, worker: Client
) -> None:
    """Humd 4.1: what nobody claimed is not broadcast."""
    with stack.client() as idle:
        assert idle.read()["chi"] == "breath"
        with stack.client() as asker:
            asker.send(chi="prompt", sid="private", modelId=MODEL, content="hi")
            worker.read_until("prompt", sid="private")
        worker.send(chi="chunk", rid="w", sid="private", chunkType="text_delta", delta="secret")
        assert worker.read_until("echo", rid="w")["ok"] is True

        idle.send(chi="hello", rid="after")

        assert idle.read() == {"chi": "echo", "rid": "after", "ok": True}
