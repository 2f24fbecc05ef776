"""Crowds of every kind: nobody else loses anything, and nothing grows (reliability L5, L6).

What others wait meanwhile is a figure of benchmarks/crowd.py, which has the long forms too; here
only what must be true however busy the machine is.
"""

import subprocess
from collections.abc import Iterator

import anyio
import pytest
from tests.support import crowd
from tests.support.bees import MODEL, bee_named
from tests.support.ndjson import Client
from tests.support.stack import Stack

from thrum.tones import Tone

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]

CONNECTIONS = 1_000
HALF_OPEN = 500
GARBAGE = 1_000_000
PAUSE_SECONDS = 0.5
"""Garbage has the door to itself in between, or its last line would take half a minute."""
GARBAGE_LONG = 20_000_000
CONNECTIONS_LONG = 4_000
GROWTH_BYTES_MAX = 64 * 1024 * 1024
WATCHERS = 50
CHUNKS = 400
PIECE = "x" * 2_000


@pytest.fixture
def stack() -> Iterator[Stack]:
    with Stack(services=("thehum", "humd")) as running:
        running.start("thrumd", "--accepts-per-second", "100000")
        running.wait_ready()
        with crowd.healthy(running) as one:
            one.say(50)
        yield running


def expect_steady(stack: Stack, before: dict[str, int]) -> None:
    """Every service is there and has not grown much."""
    grown = {name: size - before[name] for name, size in crowd.rss(stack).items()}
    assert all(growth < GROWTH_BYTES_MAX for growth in grown.values()), grown
    with crowd.healthy(stack) as one:
        one.say(20)


def keep(stack: Stack, count: int) -> None:
    if not crowd.may_open(count):
        pytest.skip(f"a process may not have {count} descriptors here")
    before = crowd.rss(stack)
    with crowd.connections(stack, count), crowd.healthy(stack) as one:
        one.say(100)
        expect_steady(stack, before)


def bury(stack: Stack, lines: int) -> None:
    before = crowd.rss(stack)
    with crowd.garbage(stack, lines) as sender, crowd.healthy(stack) as one:
        one.say(20)
        while not is_over(sender):
            one.say(20)
    assert sender.returncode == 0
    expect_steady(stack, before)


def is_over(sender: "subprocess.Popen[bytes]") -> bool:
    """Whether the last line is sent; looks for a while, in which nobody else says anything."""
    try:
        sender.wait(PAUSE_SECONDS)
    except subprocess.TimeoutExpired:
        return False
    return True


def test_many_connections_cost_little_and_stop_nobody(stack: Stack) -> None:
    keep(stack, CONNECTIONS)


def test_half_open_connections_stop_nobody(stack: Stack) -> None:
    before = crowd.rss(stack)
    with crowd.half_open(stack, HALF_OPEN), crowd.healthy(stack) as one:
        one.say(200)
        expect_steady(stack, before)


def test_a_million_lines_of_garbage_stop_nobody(stack: Stack) -> None:
    bury(stack, GARBAGE)


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_twenty_million_lines_of_garbage_stop_nobody(stack: Stack) -> None:
    bury(stack, GARBAGE_LONG)


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_four_thousand_connections_cost_little(stack: Stack) -> None:
    keep(stack, CONNECTIONS_LONG)


async def test_one_stopped_reader_among_fifty_stops_nobody(stack: Stack) -> None:
    """Everyone else hears every chunk, in order, however far behind the one is."""
    before = crowd.rss(stack)
    worker = bee_named(stack, "worker", "worker", models=(MODEL,))
    with crowd.connections(stack, WATCHERS) as watchers, crowd.healthy(stack) as one:
        for client in watchers:
            client.send(chi="attach", rid="a", sid="s", hearOnly=True)
            assert client.read_until("echo", rid="a")["ok"] is True
        async with anyio.create_task_group() as tasks:
            await tasks.start(worker.run)
            one.client.send(chi="prompt", rid="p", sid="s", modelId=MODEL, content="go")
            async for tone in worker.inbox:
                if tone.chi == "prompt":
                    break
            async with anyio.create_task_group() as listening:
                for client in (*watchers[1:], one.client):
                    listening.start_soon(anyio.to_thread.run_sync, hear_all, client)
                for number in range(CHUNKS):
                    body = {"chunkType": "text_delta", "n": number, "delta": f"{number} {PIECE}"}
                    await worker.send(Tone(chi="chunk", sid="s", body=body))
                await worker.send(Tone(chi="finish", sid="s", body={"finishReason": "stop"}))
            tasks.cancel_scope.cancel()

        expect_steady(stack, before)


def hear_all(client: Client) -> None:
    """Fail unless this client hears every chunk, whole and in order, and the end."""
    text = ""
    while (tone := client.read())["chi"] != "finish":
        if tone["chi"] == "chunk":
            text += tone["delta"]
    assert text == "".join(f"{number} {PIECE}" for number in range(CHUNKS))
