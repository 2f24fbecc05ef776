"""Whatever comes and goes, humd is afterwards as it was: real processes, tables by its own metrics.

Features A4 (reconnects), and the tables of the router after ten thousand prompts. The quick forms
are a tenth of the long ones.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import anyio
import psutil
import pytest
from tests.support.bees import bee_named, identity_named
from tests.support.peer import Peer
from tests.support.stack import Stack

from nest.bee import Bee
from nest.sockets import Poll
from thrum.tones import Tone

pytestmark = [pytest.mark.process, pytest.mark.timeout(60)]

RECONNECTS, RECONNECTS_LONG = 100, 1_000
PROMPTS, PROMPTS_LONG = 1_000, 10_000
WARM_PROMPTS = 1_000
"""After two times these, memory that is kept for the next tones is there."""
SIDS = 50
MODEL = "brief"
TOOLS = [{"name": f"tool-{number}", "description": "", "inputSchema": {}} for number in range(7)]
RSS_GROWTH_MAX = 1.10
EMPTY = ("asks", "calls", "catch-ups", "held", "sessions", "turns")
"""Tables that have nothing in them when nobody does anything; `cleanup` ends what is kept for
somebody who may come back."""
SEED = b"one forager, again and again    "


@pytest.fixture
def stack() -> Iterator[Stack]:
    with Stack(services=("thehum", "humd")) as running:
        running.start("thrumd", "--accepts-per-second", "100000")
        running.wait_ready()
        yield running


@pytest.fixture
def probe(stack: Stack) -> Iterator[Peer]:
    peer = Peer(stack.paths.bus_endpoint, Poll(), {"bee": ["asker"], "hive": "probe"})
    peer.join()
    yield peer
    peer.leave()


def sizes(probe: Peer) -> Mapping[str, float]:
    """How much each table of humd holds."""
    return {labels[0]: size for labels, size in probe.vitals()["hum_table_size"].items()}


def rss(stack: Stack) -> dict[str, int]:
    names = ("humd", "thehum", "thrumd")
    return {name: psutil.Process(stack.pid(name)).memory_info().rss for name in names}


def expect_flat(before: Mapping[str, int], after: Mapping[str, int]) -> None:
    grown = {name: round(after[name] / size, 3) for name, size in before.items()}
    assert all(growth <= RSS_GROWTH_MAX for growth in grown.values()), grown


def reconnects_on_the_bus(stack: Stack, probe: Peer, times: int) -> None:
    """A forager that is started again and again: one identity, another instance each time."""
    about = {"bee": ["forager"], "hive": "again", "tools": TOOLS}
    warm = rss(stack)
    before = sizes(probe)
    for number in range(times):
        peer = Peer(stack.paths.bus_endpoint, Poll(), about, seed=SEED)
        peer.join()
        expect_one(probe, "again")
        peer.leave()
        if number == times // 10:
            warm = rss(stack)
    settles(stack, probe, before)
    expect_flat(warm, rss(stack))


def reconnects_at_the_door(stack: Stack, probe: Peer, times: int) -> None:
    """A forager of any language: one hid, another connection each time."""
    hid = str(identity_named("again", prefix="fbee").hid)
    hello: dict[str, Any] = {"chi": "hello", "rid": "h", "hid": hid, "hive": "plain"}
    warm = rss(stack)
    before = sizes(probe)
    for number in range(times):
        with stack.client() as client:
            client.send(**hello, bee=["forager"], tools=TOOLS)
            assert client.read_until("echo")["ok"] is True
            expect_one(probe, "plain")
        if number == times // 10:
            warm = rss(stack)
    settles(stack, probe, before)
    expect_flat(warm, rss(stack))


def expect_one(probe: Peer, hive: str) -> None:
    """One manifest, all its tools."""
    (bee,) = [bee for bee in probe.bees() if bee["name"] == hive]
    assert [tool["name"] for tool in bee["tools"]] == [tool["name"] for tool in TOOLS]
    assert bee["connected"] is True


def settles(stack: Stack, probe: Peer, before: Mapping[str, float]) -> None:
    """Return once clients and outboxes are as many as before, and everything else is empty."""

    def is_as_before() -> bool:
        now = sizes(probe)
        same = all(now[table] <= before[table] for table in ("clients", "bees", "outboxes"))
        return same and not any(now[table] for table in EMPTY)

    stack.wait_for(is_as_before, f"tables as before, {before}")


async def prompts(stack: Stack, count: int) -> None:
    """So many turns over `SIDS` sids, several at once; each sid is forgotten at the end."""
    worker = bee_named(stack, "worker", "worker", models=(MODEL,))
    asker = bee_named(stack, "asker", "asker")
    done = 0

    async def serve() -> None:
        async for tone in worker.inbox:
            if tone.chi == "prompt":
                await worker.send(Tone(chi="chunk", sid=tone.sid, body={"delta": tone.body["n"]}))
                await worker.send(Tone(chi="finish", sid=tone.sid, body={"n": tone.body["n"]}))

    async def ask_on(asker: Bee, sid: str) -> None:
        nonlocal done
        with asker.stream(sid) as tones:
            for number in range(count // SIDS):
                body = {"modelId": MODEL, "content": "?", "n": number}
                await asker.send(Tone(chi="prompt", sid=sid, body=body))
                chis = []
                async for tone in tones:
                    chis.append(tone.chi)
                    if tone.chi == "finish":
                        break
                assert (chis, tone.body["n"]) == (["chunk", "finish"], number)
                done += 1
        await asker.send(Tone(chi="cleanup", sid=sid, body={}))

    async with anyio.create_task_group() as tasks:
        await tasks.start(worker.run)
        await tasks.start(asker.run)
        tasks.start_soon(serve)
        async with anyio.create_task_group() as asking:
            for number in range(SIDS):
                asking.start_soon(ask_on, asker, f"sid-{number}")
        await asker.settled()
        tasks.cancel_scope.cancel()
    assert done == count


def many_prompts(stack: Stack, probe: Peer, count: int) -> None:
    before = sizes(probe)
    for _ in range(2):
        anyio.run(prompts, stack, WARM_PROMPTS)
    settles(stack, probe, before)
    warm = rss(stack)

    anyio.run(prompts, stack, count)

    settles(stack, probe, before)
    expect_flat(warm, rss(stack))


def test_a_forager_that_reconnects_on_the_bus_is_one_bee(stack: Stack, probe: Peer) -> None:
    reconnects_on_the_bus(stack, probe, RECONNECTS)


def test_a_forager_that_reconnects_at_the_door_is_one_bee(stack: Stack, probe: Peer) -> None:
    reconnects_at_the_door(stack, probe, RECONNECTS)


def test_prompts_leave_nothing_behind(stack: Stack, probe: Peer) -> None:
    many_prompts(stack, probe, PROMPTS)


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_a_thousand_reconnects_leave_one_bee(stack: Stack, probe: Peer) -> None:
    reconnects_on_the_bus(stack, probe, RECONNECTS_LONG)
    reconnects_at_the_door(stack, probe, RECONNECTS_LONG)


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_ten_thousand_prompts_leave_nothing_behind(stack: Stack, probe: Peer) -> None:
    many_prompts(stack, probe, PROMPTS_LONG)
