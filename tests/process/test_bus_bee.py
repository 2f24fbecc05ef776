"""The bus client on a real bus: it loses nothing, holds nothing, and comes back by itself."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest
from tests.support.bees import bee_named
from tests.support.humd import Humd
from tests.support.stack import Stack

from humd.edge.ledger import HELD_PARCELS_MAX
from nest.bee import INBOX_TONES_MAX, Bee
from nest.link import UNSETTLED_PARCELS_MAX
from thrum.chi import LinkChi
from thrum.errors import LocalError
from thrum.frames import Header
from thrum.tones import Tone

pytestmark = [pytest.mark.process, pytest.mark.timeout(60)]

FLOOD = 8_000
"""More than an inbox holds before humd gets no credit, and than a window beyond that."""


@pytest.fixture
def stack() -> Iterator[Stack]:
    with Stack(services=("thehum", "humd")) as stack:
        stack.wait_for(lambda: "humd.ready" in stack.log("humd"), "a humd that has replayed")
        yield stack


BEES = 20
WINDOWS = 18
"""Bees whose unsettled parcels together are more than humd holds for the log."""


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


async def prompted(worker: Bee) -> None:
    async for tone in worker.inbox:
        if tone.chi == "prompt":
            return


async def test_an_inbox_that_is_read_late_loses_nothing(stack: Stack) -> None:
    worker = bee_named(stack, "worker", "worker", models=("m",))
    asker = bee_named(stack, "asker", "asker")
    async with anyio.create_task_group() as tasks:
        await tasks.start(worker.run)
        await tasks.start(asker.run)
        await asker.send(Tone(chi="prompt", sid="s", body={"modelId": "m"}))
        await prompted(worker)

        async def flood() -> None:
            for number in range(FLOOD):
                await worker.send(Tone(chi="chunk", sid="s", body={"n": number}))

        tasks.start_soon(flood)
        while len(asker.inbox) < INBOX_TONES_MAX:
            await anyio.lowlevel.checkpoint()  # until it is full, nobody reads it

        numbers = list[int]()
        async for tone in asker.inbox:
            numbers.append(tone.body["n"])
            if len(numbers) == FLOOD:
                break
        tasks.cancel_scope.cancel()

    assert numbers == list(range(FLOOD))


async def test_a_bee_that_both_reads_and_sends_in_one_loop_never_waits_for_itself(
    stack: Stack,
) -> None:
    """Its inbox is full while it waits for room to send: credits must be read all the same."""
    echoes = 3
    worker = bee_named(stack, "worker", "worker", models=("m",))
    asker = bee_named(stack, "asker", "asker")
    calls = 6_000
    async with anyio.create_task_group() as tasks:
        await tasks.start(worker.run)
        await tasks.start(asker.run)
        await asker.send(Tone(chi="prompt", sid="s", body={"modelId": "m"}))
        await prompted(worker)

        async def ask() -> None:
            for number in range(calls):
                await asker.send(Tone(chi="curate", sid="s", body={"n": number}))

        async def answer() -> None:
            async for tone in worker.inbox:
                for _ in range(echoes):
                    await worker.send(Tone(chi="pulse", sid="s", body=tone.body))
                if tone.body["n"] == calls - 1:
                    break

        with asker.stream("s") as tones:
            tasks.start_soon(ask)
            tasks.start_soon(answer)
            count = 0
            while count < calls * echoes:
                count += len(await tones.take())
        tasks.cancel_scope.cancel()

    assert count == calls * echoes


async def test_a_bee_that_is_ended_leaves_no_descriptor_behind(stack: Stack) -> None:
    async def come_and_go(name: str) -> None:
        bee = bee_named(stack, name, "asker")
        async with anyio.create_task_group() as tasks:
            await tasks.start(bee.run)
            tasks.cancel_scope.cancel()

    await come_and_go("first")  # opens what the library keeps for good
    before = descriptors()

    for number in range(BEES):
        await come_and_go(f"bee-{number}")

    assert descriptors() < before + BEES  # the last ones may be closing still


async def test_a_bee_that_waits_for_humd_leaves_no_descriptor_behind(stack: Stack) -> None:
    stack.kill("humd")
    bee = bee_named(stack, "early", "asker")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(bee.run)
        await anyio.lowlevel.checkpoint()
        before = descriptors()
        tasks.cancel_scope.cancel()

    assert descriptors() <= before


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_what_is_sent_while_humd_is_away_is_settled_when_it_is_back(
    stack: Stack, number: signal.Signals
) -> None:
    bee = bee_named(stack, "patient", "asker")
    async with anyio.create_task_group() as tasks:
        await tasks.start(bee.run)
        stack.kill("humd", number)
        for _ in range(5):
            await bee.send(Tone(chi="attach", sid="s"))
        stack.start("humd")

        await bee.settled()
        tasks.cancel_scope.cancel()

    assert not bee._link.unsettled


async def test_a_bee_without_humd_holds_a_bounded_number_of_tones(stack: Stack) -> None:
    stack.kill("humd")
    bee = bee_named(stack, "hoarder", "asker")
    for _ in range(UNSETTLED_PARCELS_MAX):
        bee.post(Tone(chi="attach", sid="s"))

    with pytest.raises(LocalError):
        bee.post(Tone(chi="attach", sid="s"))


async def test_a_sid_has_one_reader(stack: Stack) -> None:
    bee = bee_named(stack, "two-readers", "asker")

    with bee.stream("s"), pytest.raises(LocalError), bee.stream("s"):
        pass

    with bee.stream("s") as again:
        assert len(again) == 0


async def test_a_lone_parcel_is_confirmed_though_nothing_else_is_said(home: Path) -> None:
    """What humd keeps for a door it would give to its clients again if the door died."""
    with Stack(home, services=()) as stack, Humd(stack) as humd:
        bee = bee_named(stack, "lone", "worker")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(bee.run)
            await anyio.to_thread.run_sync(humd.joined)

            humd.send(Header("prompt", sid="s", seq=7), {})

            credit = await anyio.to_thread.run_sync(humd.read, LinkChi.CREDIT)
            tasks.cancel_scope.cancel()
    assert credit.body == {"count": 1, "cursor": 7}


async def test_a_log_that_stands_still_makes_full_windows_wait_and_nobody_reconnect(
    stack: Stack,
) -> None:
    """More than humd holds for the log waits unread; whoever sent it is neither cut nor refused."""
    assert WINDOWS * UNSETTLED_PARCELS_MAX > HELD_PARCELS_MAX
    bees = [bee_named(stack, f"worker-{number}", "worker") for number in range(WINDOWS)]
    async with anyio.create_task_group() as tasks:
        for bee in bees:
            await tasks.start(bee.run)
        stack.send_signal("thehum", signal.SIGSTOP)
        for bee in bees:
            for _ in range(UNSETTLED_PARCELS_MAX):
                bee.post(Tone(chi="perf-mark", body={"mark": "m"}))
            await anyio.lowlevel.checkpoint()
        late = bee_named(stack, "late", "asker")
        tasks.start_soon(late.run)
        stack.send_signal("thehum", signal.SIGCONT)
        for bee in bees:
            await bee.settled()
        await late.joined()
        tasks.cancel_scope.cancel()

    marks = [event for event in stack.events() if event["chi"] == "perf-mark"]
    assert len(marks) == WINDOWS * UNSETTLED_PARCELS_MAX
    assert len({(event["body"]["@via"]["client"], event["rid"]) for event in marks}) == len(marks)
    assert [joins(bee) for bee in bees] == [1] * WINDOWS
    assert "log.unavailable" not in stack.log("humd")


def joins(bee: Bee) -> int:
    return int(bee._joins.value)
