"""A disk with no room left under the log, and under everything that hum writes (reliability F5).

A real file system of a few MiB, filled to the last byte: nothing acknowledged is lost or doubled,
what comes is refused with its type, reads go on, and so does the log by itself once there is room.
"""

import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import orjson
import pytest
from tests.faults.rigs.small_disk import MIB, Kind, SmallDisk, small_disk
from tests.support.bees import AHEAD, CHUNKS, MODEL, bee_named, read_stream, serve_stream
from tests.support.humd import BEGUN, Humd
from tests.support.stack import QUIET_SETTINGS, Stack

from nest.bee import Bee
from nest.lifecycle import single_instance
from thehum.backfills import REPLAYER
from thehum.core.names import QUARANTINE_DIR, SPARE, packed_name, segment_name
from thehum.core.pages import lines_of
from thehum.core.sealed import unpack
from thehum.edge.directory import segments_in
from thehum.edge.sealed import read_segment
from thrum.errors import SettingsRefused
from thrum.frames import Header
from thrum.tones import Tone

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]

DISK_BYTES = 8 * MIB
EVENT_CHARS = 20_000
EVENTS_A_SEGMENT_MAX = MIB // EVENT_CHARS
OFFERS_MAX = 3 * EVENTS_A_SEGMENT_MAX
"""More than an open segment and its spare can take."""
BODY_CHARS_SHORT = 1_000
CYCLES, CYCLES_SOAK = 20, 500
STRIKE_AT = CHUNKS // 4
TERM, KILL = signal.SIGTERM, signal.SIGKILL


def settings(**thehum: Any) -> dict[str, Any]:
    return {
        **QUIET_SETTINGS,
        "humd": {"metricsAddr": "", "thehum": {"segmentBytes": MIB, **thehum}},
    }


@contextmanager
def log_on_a_small_disk(
    home: Path, *, kind: Kind = Kind.TMPFS, **thehum: Any
) -> Iterator[tuple[Stack, SmallDisk]]:
    with Stack(home, services=(), settings=settings(**thehum)) as stack:
        disk = small_disk(stack.paths.thehum, DISK_BYTES, kind=kind, image=home / "image")
        with disk as mounted:
            try:
                yield stack, mounted
            finally:
                stack.close()


def offer(humd: Humd, number: int, chars: int = EVENT_CHARS) -> None:
    """Offer batch `number`, which is event `number`."""
    humd.offer(number, number, (Header("chunk", f"r{number}", "s"), {"delta": "x" * chars}))


def offer_until_refused(humd: Humd, first: int, chars: int = EVENT_CHARS) -> int:
    """Offer one batch after the other; the number of the first that finds no room."""
    for number in range(first, first + OFFERS_MAX):
        offer(humd, number, chars)
        answer = humd.read("durable").body
        if "refused" in answer:
            assert (answer["batch"], answer["refused"]) == (number, "log.unavailable")
            assert "no room" in answer["reason"]
            return number
    raise AssertionError("the disk is not full")


def rids_in(root: Path) -> list[str]:
    """What is in the log's files behind its own first event, verified or not."""
    files = (unpack(read_segment(root, first))[0] for first in segments_in(root))
    lines = [line for data in files for line in lines_of(data.rstrip(b"\0"))]
    return [orjson.loads(line)["rid"] for line in lines[BEGUN:]]


def expect_verified(stack: Stack) -> None:
    verdict = subprocess.run(
        [sys.executable, "-m", "hum", "thehum", "verify", "--full"],
        env=stack.env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert verdict.returncode == 0, verdict.stdout + verdict.stderr


@pytest.mark.parametrize("kind", Kind)
def test_without_room_it_refuses_serves_what_is_there_and_goes_on(home: Path, kind: Kind) -> None:
    """`reliability F5`."""
    with log_on_a_small_disk(home, kind=kind) as (stack, disk):
        stack.start("thehum")
        with Humd(stack) as humd:
            humd.joined()
            offer(humd, 1)
            humd.durable(1)
            disk.fill()
            refused = offer_until_refused(humd, 2)
            offer(humd, refused)
            again = humd.refused()
            page = humd.backfill(from_seq=refused - 1 + BEGUN)
            disk.relieve()
            for number in range(refused - 3, refused + 60):  # some of them are in it already
                offer(humd, number)
            humd.durable(refused + 59)

        assert stack.kill("thehum", number=TERM) == 0
        assert again["refused"] == "log.unavailable"
        assert [orjson.loads(line)["rid"] for line in page["events"]] == [f"r{refused - 1}"]
        assert rids_in(disk.root) == [f"r{number}" for number in range(1, refused + 60)]
        expect_verified(stack)


def fill_and_free(home: Path, kind: Kind, cycles: int) -> None:
    """So many times: no room for a body, then some again. Nothing is lost, doubled or misplaced."""
    with log_on_a_small_disk(home, kind=kind, sensitive=["chunk"]) as (stack, disk):
        stack.start("thehum")
        with Humd(stack) as humd:
            humd.joined()
            number = 1
            for _ in range(cycles):
                disk.fill()
                refused = offer_until_refused(humd, number, BODY_CHARS_SHORT)
                disk.relieve()
                offer(humd, refused, BODY_CHARS_SHORT)
                humd.durable(refused)
                number = refused + 1
        assert stack.kill("thehum", number=TERM) == 0

        assert rids_in(disk.root) == [f"r{seq}" for seq in range(1, number)]
        expect_verified(stack)


@pytest.mark.parametrize("kind", Kind)
def test_filled_and_freed_again_and_again_it_goes_on_each_time(home: Path, kind: Kind) -> None:
    """`reliability F5`."""
    fill_and_free(home, kind, CYCLES)


@pytest.mark.soak
@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("kind", Kind)
def test_filled_and_freed_for_long_it_goes_on_each_time(home: Path, kind: Kind) -> None:
    """`reliability F5`."""
    fill_and_free(home, kind, CYCLES_SOAK)


def test_a_new_log_begins_once_there_is_room(home: Path) -> None:
    with log_on_a_small_disk(home) as (stack, disk):
        disk.fill()
        stack.start("thehum")
        stack.wait_for(lambda: "log.no_room" in stack.log("thehum"), "a log that waits for room")
        disk.relieve()
        with Humd(stack) as humd:
            hello = humd.joined()
            offer(humd, 1)
            humd.durable(1)

        assert hello["state"] == "writable"


def test_a_service_is_the_only_one_without_room_for_its_pid(home: Path) -> None:
    with small_disk(home / "locks", MIB) as disk:
        disk.fill()
        lock = disk.root / "new.lock"

        with (
            single_instance(lock, "new"),
            pytest.raises(SettingsRefused, match="runs already"),
            single_instance(lock, "new"),
        ):
            pass

        disk.relieve()
        with single_instance(lock, "new"):
            assert lock.read_text() == f"{os.getpid()}\n"


def test_the_first_start_of_all_waits_for_room(home: Path) -> None:
    with (
        Stack(home, services=(), settings=settings()) as stack,
        small_disk(stack.paths.state, DISK_BYTES) as disk,
    ):
        disk.fill()
        for name in ("thehum", "humd"):
            stack.start(name)
        stack.wait_for(lambda: "log.no_room" in stack.log("thehum"), "a log that waits for room")
        disk.relieve()
        stack.wait_for(lambda: "humd.ready" in stack.log("humd"), "a humd that has replayed")

        assert stack.kill("humd", number=TERM) == 0
        assert stack.kill("thehum", number=TERM) == 0


def test_a_log_that_waits_for_room_ends_when_asked(home: Path) -> None:
    with log_on_a_small_disk(home) as (stack, disk):
        disk.fill()
        stack.start("thehum")
        stack.wait_for(lambda: "log.no_room" in stack.log("thehum"), "a log that waits for room")

        assert stack.kill("thehum", number=TERM) == 0


@pytest.mark.parametrize("end", [TERM, KILL])
def test_a_start_on_a_full_disk_serves_what_is_there(home: Path, end: signal.Signals) -> None:
    """A torn tail too, which can only be set aside once there is room."""
    with log_on_a_small_disk(home) as (stack, disk):
        stack.start("thehum")
        with Humd(stack) as humd:
            humd.joined()
            for number in range(1, 11):
                offer(humd, number)
            humd.durable(10)
        stack.kill("thehum", number=end)
        segment = disk.root / segment_name(1)
        whole = segment.read_bytes()
        length = len(whole.rstrip(b"\0"))
        torn = b'{"author":"half a line'
        with segment.open("r+b") as file:
            file.seek(length)
            file.write(torn)
        (disk.root / SPARE).unlink(missing_ok=True)  # as a start would, and have room again
        disk.fill()

        stack.start("thehum")
        with Humd(stack) as humd:
            hello = humd.joined()
            page = humd.backfill(from_seq=9 + BEGUN)
            offer(humd, 11)
            refused = humd.refused()
            disk.relieve()
            offer(humd, 11)
            humd.durable(11)
        stack.kill("thehum", number=TERM)

        assert (hello["state"], hello["head"]["seq"]) == ("writable", 10 + BEGUN)
        assert len(page["events"]) == 2
        assert refused["refused"] == "log.unavailable"
        kept = [file.read_bytes() for file in (disk.root / QUARANTINE_DIR).iterdir()]
        assert kept == [torn]
        assert rids_in(disk.root) == [f"r{number}" for number in range(1, 12)]
        expect_verified(stack)


def test_bodies_beside_a_full_log_are_refused_with_their_events(home: Path) -> None:
    with log_on_a_small_disk(home, sensitive=["chunk"]) as (stack, disk):
        stack.start("thehum")
        with Humd(stack) as humd:
            humd.joined()
            disk.fill()
            refused = offer_until_refused(humd, 1)
            disk.relieve()
            for number in range(1, refused + 5):
                offer(humd, number)
            humd.durable(refused + 4)
            page = humd.backfill(from_seq=1 + BEGUN, bodies=True, bulk=True, sender=REPLAYER)

        assert refused == 1
        assert len(page["bodies"]) == len(page["events"]) == refused + 4
        expect_verified(stack)


def test_segments_are_packed_once_there_is_room_for_it(home: Path) -> None:
    with log_on_a_small_disk(home) as (stack, disk):
        stack.start("thehum")
        with Humd(stack) as humd:
            humd.joined()
            offer(humd, 1)
            humd.durable(1)
            disk.fill()
            refused = offer_until_refused(humd, 2)  # nothing was idle, or there was no room
            assert not list(disk.root.glob("*.packed*"))
            disk.relieve()
            offer(humd, refused)
            humd.durable(refused)
            packed = disk.root / packed_name(1)
            stack.wait_for(packed.exists, "a packed segment")
            stack.wait_for(
                lambda: not (disk.root / segment_name(1)).exists(), "its plain form gone"
            )

        stack.kill("thehum", number=TERM)
        assert rids_in(disk.root) == [f"r{number}" for number in range(1, refused + 1)]
        expect_verified(stack)


# --- the whole stack


BODY_CHARS = 40_000
"""Too long for a line: the body goes beside the log, where every one needs room."""


class Turn:
    """A worker that streams chunks to an asker, with a disk that is filled on the way."""

    def __init__(self, stack: Stack, disk: SmallDisk) -> None:
        self._stack, self._disk = stack, disk
        self.refused_with = ""
        self.read_when_full = 0

    async def run(self) -> list[int]:
        """The numbers of the chunks that arrived."""
        worker = bee_named(self._stack, "worker", "worker", models=(MODEL,))
        asker = bee_named(self._stack, "asker", "asker")
        other = bee_named(self._stack, "other", "asker")
        permits = anyio.Semaphore(AHEAD)
        async with anyio.create_task_group() as tasks:
            for bee in (worker, asker, other):
                await tasks.start(bee.run)

            async def struck() -> None:
                await anyio.to_thread.run_sync(self._disk.fill)
                tasks.start_soon(self._while_full, other)

            async with anyio.create_task_group() as work:
                work.start_soon(partial(serve_stream, worker, permits, filler="x" * BODY_CHARS))
                numbers = await read_stream(asker, permits, at={STRIKE_AT: struck})
            tasks.cancel_scope.cancel()
        return numbers

    async def _while_full(self, other: Bee) -> None:
        await other.send(Tone(chi="backfill", body={"from_seq": 1, "limit": 5}))
        async for tone in other.inbox:
            if tone.chi == "backfill":
                self.read_when_full = len(tone.body["events"])
                break
        body = {"modelId": MODEL, "content": "x" * BODY_CHARS}
        for number in itertools.count():
            await anyio.to_thread.run_sync(self._disk.fill)  # packing may have made room
            await other.send(Tone(chi="prompt", sid=f"late-{number}", body=body))
            with anyio.move_on_after(0.25):
                async for tone in other.inbox:
                    if tone.chi == "error":
                        self.refused_with = tone.body["qualifier"]
                        self._disk.relieve()
                        return


async def test_a_stack_that_starts_without_any_room_uses_what_was_laid_out(home: Path) -> None:
    """Locks, projections and the log are all on the disk that is full."""
    with (
        Stack(home, services=(), settings=settings()) as stack,
        small_disk(stack.paths.state, DISK_BYTES) as disk,
    ):
        for name in ("thehum", "humd"):
            stack.start(name)
        stack.wait_for(lambda: "humd.ready" in stack.log("humd"), "a humd that has replayed")
        for name in ("humd", "thehum"):
            assert stack.kill(name, number=TERM) == 0
        disk.fill()
        for name in ("thehum", "humd"):
            stack.start(name)
        numbers = await streamed(stack)
        stack.wait_for(lambda: "log.no_room" in stack.log("thehum"), "a segment without room")
        disk.relieve()
        stack.wait_for(stack.paths.bees_json.exists, "the projections")
        for name in ("humd", "thehum"):
            assert stack.kill(name, number=TERM) == 0

        assert numbers == list(range(CHUNKS))
        expect_verified(stack)
        stack.close()


async def streamed(stack: Stack) -> list[int]:
    """The numbers of the chunks that a worker streams to an asker."""
    permits = anyio.Semaphore(AHEAD)
    worker = bee_named(stack, "worker", "worker", models=(MODEL,))
    asker = bee_named(stack, "asker", "asker")
    async with anyio.create_task_group() as tasks:
        for bee in (worker, asker):
            await tasks.start(bee.run)
        tasks.start_soon(serve_stream, worker, permits)
        numbers = await read_stream(asker, permits)
        tasks.cancel_scope.cancel()
    return numbers


@pytest.mark.parametrize("is_all", [False, True], ids=["the log", "all state"])
async def test_a_stream_over_a_full_disk_arrives_once_and_whole(home: Path, is_all: bool) -> None:
    """`reliability F5`, with humd: it holds what came, refuses work, and offers again."""
    with Stack(home, services=(), settings=settings()) as stack:
        root = stack.paths.state if is_all else stack.paths.thehum
        with small_disk(root, DISK_BYTES * 3) as disk:
            stack.start("thehum")
            stack.start("humd")
            stack.wait_for(lambda: "humd.ready" in stack.log("humd"), "a humd that has replayed")
            turn = Turn(stack, disk)
            numbers = await turn.run()
            for name in ("humd", "thehum"):
                assert stack.kill(name, number=TERM) == 0

            assert numbers == list(range(CHUNKS))
            assert turn.refused_with == "log.unavailable"
            assert turn.read_when_full == 5
            expect_verified(stack)
            stack.close()
