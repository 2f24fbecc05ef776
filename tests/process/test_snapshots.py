"""A start from a snapshot is a start from nothing, whenever who was killed."""

import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import orjson
import pytest
from tests.support.bees import AHEAD, CHUNKS, MODEL, bee_named, read_stream, serve_stream
from tests.support.ndjson import Client
from tests.support.stack import QUIET_SETTINGS, Stack

from thehum.core.names import snapshot_seq
from thrum.tones import Tone

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]

EVERY_MS = 100
BUS = ("thehum", "humd")
EXIT_SETTINGS = 78
TURNS = 100
"""Enough to fill a tile of hashes; only then events go."""


def settings(**thehum: Any) -> dict[str, Any]:
    quick = {"snapshotIntervalMs": EVERY_MS, **thehum}
    return {**QUIET_SETTINGS, "humd": {"metricsAddr": "", "thehum": quick}}


@pytest.fixture
def stack(home: Path) -> Iterator[Stack]:
    with Stack(home, settings=settings()) as running:
        yield running


def snapshots(stack: Stack) -> list[Path]:
    """The files, the oldest first."""
    folder = stack.paths.thehum / "snapshots"
    found = folder.glob("*") if folder.is_dir() else iter(())
    return sorted(path for path in found if snapshot_seq(path.name) is not None)


def newest(stack: Stack) -> int:
    return max((snapshot_seq(path.name) or 0 for path in snapshots(stack)), default=0)


def wait_snapshot(stack: Stack, *, behind: int) -> int:
    """Return once there is a snapshot that covers more than `behind`; what it covers."""
    stack.wait_for(lambda: newest(stack) > behind, f"a snapshot behind event {behind}")
    return newest(stack)


def command(stack: Stack, *words: str) -> tuple[int, str]:
    """The exit status of `hum thehum`, and what it says."""
    done = subprocess.run(
        [sys.executable, "-m", "hum", "thehum", *words],
        env=stack.env,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def expect_same_state(stack: Stack) -> None:
    """Fail unless the events lead to what every snapshot says, and the newest to the end."""
    status, text = command(stack, "replay", "--json")
    assert status == 0, text
    whole = orjson.loads(text)
    assert whole["compared"] > 0
    assert whole["different"] == []
    status, text = command(stack, "replay", "--from-snapshot", "--json")
    assert status == 0, text
    short = orjson.loads(text)
    assert short["from_seq"] > 0
    assert (short["to_seq"], short["root"]) == (whole["to_seq"], whole["root"])


def started_from(stack: Stack) -> list[int]:
    """Behind which event each start of humd began."""
    lines = (orjson.loads(line) for line in stack.log("humd").splitlines() if line[:1] == "{")
    return [line["from"] for line in lines if line["event"] == "humd.ready"]


def join(stack: Stack, *roles: str, digit: str, **hello: Any) -> Client:
    client = stack.client()
    hid = f"wbee_{digit * 64}"
    client.send(chi="hello", rid="h", hive=f"bee-{digit}", bee=list(roles), hid=hid, **hello)
    client.read_until("echo", rid="h")
    return client


async def killed_stream(rng: random.Random, *, kills: int) -> None:
    """A stream through kills of router and log, each behind a snapshot."""
    moments = sorted(rng.sample(range(10, CHUNKS - 10), kills))

    with Stack(services=BUS, settings=settings()) as stack:
        marks = [0]

        def strike() -> None:
            marks.append(wait_snapshot(stack, behind=marks[-1]))
            victims = rng.choice([("humd",), ("thehum",), BUS, ("humd", "thehum")])
            for victim in victims:
                stack.kill(victim)
            for victim in reversed(victims):
                stack.start(victim)

        async def struck() -> None:
            await anyio.to_thread.run_sync(strike)

        worker = bee_named(stack, "worker", "worker", models=(MODEL,))
        asker = bee_named(stack, "asker", "asker")
        permits = anyio.Semaphore(AHEAD)
        async with anyio.create_task_group() as tasks:
            await tasks.start(worker.run)
            await tasks.start(asker.run)
            async with anyio.create_task_group() as work:
                work.start_soon(serve_stream, worker, permits)
                numbers = await read_stream(asker, permits, at=dict.fromkeys(moments, struck))
            tasks.cancel_scope.cancel()
        await anyio.to_thread.run_sync(lambda: wait_snapshot(stack, behind=marks[-1]))
        for name in ("humd", "thehum"):
            stack.kill(name, signal.SIGTERM)

        assert numbers == list(range(CHUNKS))
        assert any(started_from(stack)), stack.log("humd")
        expect_same_state(stack)
        assert command(stack, "verify", "--full")[0] == 0


async def test_a_stream_goes_on_from_snapshots_through_kills() -> None:
    """features A7: nothing twice, nothing lost, and the state is that of the events alone."""
    await killed_stream(random.Random(7), kills=4)


@pytest.mark.soak
@pytest.mark.timeout(1_200)
async def test_many_streams_go_on_from_snapshots_through_kills() -> None:
    rng = random.Random(11)
    for _ in range(25):
        await killed_stream(rng, kills=8)


async def test_what_a_bee_had_not_taken_is_owed_again_after_a_start_from_a_snapshot(
    stack: Stack,
) -> None:
    worker = bee_named(stack, "worker", "worker", models=("m",))

    def behind_a_door_that_stands_still() -> None:
        wait_snapshot(stack, behind=CHUNKS)
        stack.kill("humd")
        stack.start("humd")
        stack.wait_for(lambda: len(started_from(stack)) == 2, "another start")
        stack.send_signal("thrumd", signal.SIGCONT)

    with (
        join(stack, "forager", digit="3", tools=[{"name": "look"}]) as forager,
        join(stack, "asker", digit="2") as asker,
    ):
        async with anyio.create_task_group() as tasks:
            await tasks.start(worker.run)
            asker.send(chi="prompt", rid="p", sid="s", modelId="m", content="hello")
            async for tone in worker.inbox:
                if tone.chi == "prompt":
                    break
            stack.send_signal("thrumd", signal.SIGSTOP)
            for number in range(CHUNKS):
                await worker.send(Tone(chi="chunk", sid="s", body={"n": number}))
            call = {"callId": "k", "toolName": "bee-3_look", "input": {}}
            await worker.send(Tone(chi="tool-call", sid="s", body=call))
            await worker.settled()
            await anyio.to_thread.run_sync(behind_a_door_that_stands_still)
            tasks.cancel_scope.cancel()

        numbers = [asker.read_until("chunk")["n"] for _ in range(CHUNKS)]
        assert numbers == list(range(CHUNKS))
        assert forager.read_until("tool-call")["toolName"] == "look"
        assert started_from(stack)[-1] > CHUNKS


def turn(stack: Stack, asker: Client, worker: Client, name: str) -> None:
    """One whole turn."""
    asker.send(chi="prompt", rid=f"p-{name}", sid=name, modelId="m", content="hello")
    worker.read_until("prompt", sid=name)
    worker.send(chi="chunk", rid=f"c-{name}", sid=name, delta="x")
    worker.send(chi="finish", rid=f"f-{name}", sid=name, finishReason="end_turn")
    asker.read_until("finish", sid=name)


def with_two_snapshots(stack: Stack) -> None:
    with (
        join(stack, "worker", digit="1", models=["m"]) as worker,
        join(stack, "asker", digit="2") as asker,
    ):
        before = newest(stack)
        turn(stack, asker, worker, "one")
        wait_snapshot(stack, behind=before)
        turn(stack, asker, worker, "two")
        stack.wait_for(lambda: len(snapshots(stack)) == 2, "two snapshots")


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 3] = (data[len(data) // 3] + 1) % 256
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def of_another_version(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b'"schema":"', b'"schema":"0', 1))


def signed_by_nobody(path: Path) -> None:
    """Whole, with a root that fits, but not what the log tells of."""
    path.write_bytes(path.read_bytes().replace(b'"drift_ms":', b'"drift_ms":1', 1))


@pytest.mark.parametrize("harm", [flip, cut, of_another_version, signed_by_nobody])
def test_a_snapshot_that_cannot_be_believed_is_passed_over(
    stack: Stack, harm: Callable[[Path], None]
) -> None:
    with_two_snapshots(stack)
    stack.kill("thrumd")
    stack.kill("humd", signal.SIGTERM)
    older, newer = snapshots(stack)[-2:]
    harm(newer)

    stack.start("humd")
    stack.wait_for(lambda: len(started_from(stack)) == 2, "a start from the older one")

    assert started_from(stack)[-1] == snapshot_seq(older.name)
    assert '"snapshot.passed_over"' in stack.log("humd")

    stack.kill("humd", signal.SIGTERM)
    for path in snapshots(stack):
        harm(path)
    stack.start("humd")
    stack.wait_for(lambda: len(started_from(stack)) == 3, "a start from the beginning")

    assert started_from(stack)[-1] == 0


def dropped(stack: Stack) -> bool:
    """Whether the log no longer begins with its first event."""
    return (stack.paths.thehum / "base.json").exists()


def test_old_segments_go_and_what_is_left_is_enough(home: Path) -> None:
    """A log that keeps only what is behind two snapshots goes on, verifies, and can be replayed."""
    light = settings(mode="light", segmentEvents=16)
    with Stack(home, settings=light) as stack:
        with (
            join(stack, "worker", digit="1", models=["m"]) as worker,
            join(stack, "asker", digit="2") as asker,
        ):
            before = newest(stack)
            for number in range(TURNS):
                turn(stack, asker, worker, f"turn-{number}")
            wait_snapshot(stack, behind=before)
            turn(stack, asker, worker, "last")
            stack.wait_for(lambda: dropped(stack), "the end of an old segment")
        stack.kill("thrumd")
        before = newest(stack)
        for name in ("humd", "thehum"):
            stack.kill(name)
        for name in ("thehum", "humd"):
            stack.start(name)
        stack.wait_for(lambda: len(started_from(stack)) == 2, "a start from a snapshot")

        wait_snapshot(stack, behind=before)
        for name in ("humd", "thehum"):
            stack.kill(name, signal.SIGTERM)
        assert command(stack, "verify", "--full")[0] == 0
        status, text = command(stack, "replay", "--json")
        assert status == 0, text
        assert orjson.loads(text)["from_seq"] > 0
        assert orjson.loads(text)["different"] == []

        for path in snapshots(stack):
            cut(path)
        stack.start("thehum")
        stack.start("humd")
        assert stack.wait_exit("humd") == EXIT_SETTINGS
        assert "no longer has its first events" in stack.log("humd")
        assert command(stack, "replay")[0] == 1


def test_no_snapshot_from_before_an_erasure_stays(stack: Stack) -> None:
    with_two_snapshots(stack)

    with join(stack, "asker", digit="2") as asker:
        asker.send(chi="forget", rid="f", sid="one", by="me")
        asker.read_until("echo", rid="f")
        status, text = command(stack, "tail", "-n", "200", "--chi", "forgotten", "--json")
        while '"forgotten"' not in text:
            status, text = command(stack, "tail", "-n", "200", "--chi", "forgotten", "--json")
        assert status == 0
        erased = orjson.loads(text.splitlines()[0])["seq"]
        wait_snapshot(stack, behind=erased - 1)

    stack.wait_for(
        lambda: all((snapshot_seq(path.name) or 0) >= erased for path in snapshots(stack)),
        "the end of every older snapshot",
    )
