"""`kill -9` in the middle of a stream of 200 chunks: each arrives exactly once and in order.

For humd and thehum the worker and the asker are on the bus. For thrumd, the door, the worker is a
client behind it that comes back under its hid and offers again, under the same rids, what had no
echo. Afterwards the log verifies, and nothing that was acknowledged is missing from it.
"""

import signal
import subprocess
import sys
from collections.abc import Callable

import anyio
import orjson
import pytest
from tests.support.bees import (
    AHEAD,
    CHUNKS,
    MODEL,
    DoorWorker,
    bee_named,
    read_stream,
    serve_stream,
)
from tests.support.stack import Stack

pytestmark = [pytest.mark.process, pytest.mark.timeout(60)]

HALFWAY = CHUNKS // 2
BUS = ("thehum", "humd")


def logged_chunks(stack: Stack) -> list[int]:
    """The numbers of all chunks in the log, read from its files."""
    numbers = []
    for segment in sorted(stack.paths.thehum.glob("[0-9]*.ndjson")):
        for line in segment.read_bytes().splitlines():
            if line.startswith(b"{"):
                event = orjson.loads(line)
                if event["chi"] == "chunk":
                    numbers.append(event["body"]["n"])
    return numbers


def expect_whole_log(stack: Stack) -> None:
    """Fail unless the log verifies and has each chunk once, in order."""
    for name in ("humd", "thehum"):
        stack.kill(name, signal.SIGTERM)
    verdict = subprocess.run(
        [sys.executable, "-m", "hum", "thehum", "verify", "--full"],
        env=stack.env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert verdict.returncode == 0, verdict.stdout + verdict.stderr
    assert logged_chunks(stack) == list(range(CHUNKS))


async def streamed(stack: Stack, strike: Callable[[], None]) -> list[int]:
    """What an asker on the bus hears of a worker on the bus when `strike` comes halfway."""
    worker = bee_named(stack, "worker", "worker", models=(MODEL,))
    asker = bee_named(stack, "asker", "asker")
    permits = anyio.Semaphore(AHEAD)

    async def struck() -> None:
        await anyio.to_thread.run_sync(strike)

    async with anyio.create_task_group() as tasks:
        await tasks.start(worker.run)
        await tasks.start(asker.run)
        async with anyio.create_task_group() as work:
            work.start_soon(serve_stream, worker, permits)
            numbers = await read_stream(asker, permits, at={HALFWAY: struck})
        tasks.cancel_scope.cancel()
    return numbers


@pytest.mark.parametrize("victim", BUS)
async def test_a_stream_survives_the_loss_of(victim: str) -> None:
    def strike() -> None:
        stack.kill(victim)
        stack.start(victim)

    with Stack(services=BUS) as stack:
        numbers = await streamed(stack, strike)

        assert numbers == list(range(CHUNKS))
        expect_whole_log(stack)


async def test_a_stream_survives_the_loss_of_both_router_and_log() -> None:
    def strike() -> None:
        for victim in BUS:
            stack.kill(victim)
        for victim in BUS:
            stack.start(victim)

    with Stack(services=BUS) as stack:
        numbers = await streamed(stack, strike)

        assert numbers == list(range(CHUNKS))
        expect_whole_log(stack)


async def test_a_stream_survives_the_loss_of_thrumd() -> None:
    with Stack() as stack:
        worker = DoorWorker(stack, "door-worker")
        asker = bee_named(stack, "asker", "asker")
        permits = anyio.Semaphore(AHEAD)

        async def strike() -> None:
            await anyio.to_thread.run_sync(stack.kill, "thrumd")
            stack.start("thrumd")

        async def serve() -> None:
            await worker.prompted.wait()
            for number in range(CHUNKS):
                await permits.acquire()
                await worker.say(f"c-{number}", chi="chunk", sid=worker.sid, n=number)
            await worker.say("end", chi="finish", sid=worker.sid, finishReason="stop")

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(worker.run)
            await tasks.start(asker.run)
            await worker.registered.wait()
            async with anyio.create_task_group() as work:
                work.start_soon(serve)
                numbers = await read_stream(asker, permits, at={HALFWAY: strike})
            await worker.settled.wait()
            tasks.cancel_scope.cancel()

        assert numbers == list(range(CHUNKS))
        assert worker.connections > 1
        assert worker.refusals == []
        expect_whole_log(stack)
