"""A running hum keeps its log within the bound, and what is left is enough to start from."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import anyio
import orjson
import pytest
from tests.support.bees import bee_named
from tests.support.stack import QUIET_SETTINGS, Stack

from thrum.tones import Tone

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]

MIB = 1024 * 1024
SAMPLE_SECONDS = 0.02
SMALL_BYTES = 64 * 1024
"""Lock, head, checkpoint, base, author: one block each."""
TEXTS = 512
AT_ONCE = 256
"""Events on their way at once, so that no commit group is larger than a segment."""


def used(root: Path) -> int:
    """Bytes that the folder takes on disk."""
    total = 0
    for folder, _, files in os.walk(root):
        for name in files:
            try:
                total += os.stat(os.path.join(folder, name)).st_blocks * 512
            except FileNotFoundError:
                continue
    return total


@contextmanager
def sampled(root: Path) -> Iterator[list[int]]:
    """What the folder takes, again and again, until the end of the block."""
    sizes: list[int] = []
    is_over = threading.Event()

    def look() -> None:
        while not is_over.wait(SAMPLE_SECONDS):
            sizes.append(used(root))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield sizes
    finally:
        is_over.set()
        thread.join()


async def say(stack: Stack, *, events: int, chars: int) -> None:
    """Have so many events logged, of text that does not compress."""
    texts = [Random(at).randbytes(chars // 2).hex() for at in range(TEXTS)]
    bee = bee_named(stack, "talker", "asker")
    async with anyio.create_task_group() as tasks:
        await tasks.start(bee.run)
        for number in range(events):
            body = {"n": number, "text": texts[number % TEXTS] + str(number)}
            await bee.send(Tone(chi="note", sid=f"s{number % 8}", body=body))
            if number % AT_ONCE == 0:
                await bee.settled()
        await bee.settled()
        tasks.cancel_scope.cancel()


def hum_thehum(stack: Stack, *words: str) -> Any:
    """What `hum thehum` says in JSON; it must exit with 0."""
    done = subprocess.run(
        [sys.executable, "-m", "hum", "thehum", *words, "--json"],
        env=stack.env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return orjson.loads(done.stdout)


async def check_bound(*, events: int, chars: int, bytes_max: int, segment_bytes: int) -> None:
    """Write; the folder is measured all the while. Then start again from what is left."""
    thehum = {"mode": "rolling", "maxBytes": bytes_max, "segmentBytes": segment_bytes}
    settings = {**QUIET_SETTINGS, "humd": {"metricsAddr": "", "thehum": thehum}}
    with Stack(services=("thehum", "humd"), settings=settings) as stack:
        with sampled(stack.paths.thehum) as sizes:
            await say(stack, events=events, chars=chars)
            for name in ("humd", "thehum"):
                await anyio.to_thread.run_sync(stack.kill, name)
            for name in ("thehum", "humd"):
                stack.start(name)
            ready = '"humd.ready"'
            await anyio.to_thread.run_sync(
                lambda: stack.wait_for(lambda: stack.log("humd").count(ready) == 2, "a start")
            )
            await say(stack, events=100, chars=chars)
        for name in ("humd", "thehum"):
            await anyio.to_thread.run_sync(lambda: stack.kill(name, signal.SIGTERM))  # noqa: B023

        sys.stdout.write(f"most on disk: {max(sizes) / MIB:.1f} MiB in {len(sizes)} looks\n")
        assert max(sizes) <= bytes_max + segment_bytes + SMALL_BYTES
        assert max(sizes) > bytes_max // 2  # it is used, too
        assert hum_thehum(stack, "status")["first_seq"] > 1
        assert hum_thehum(stack, "status")["last_seq"] > events
        assert hum_thehum(stack, "verify", "--full")
        assert hum_thehum(stack, "replay")["different"] == []
        starts = [line for line in stack.log("humd").splitlines() if ready in line]
        assert orjson.loads(starts[-1])["from"] > 0


async def test_a_running_log_never_takes_more_than_its_bound_and_a_segment() -> None:
    """The quick form: twice the bound is written."""
    await check_bound(events=20_000, chars=2_000, bytes_max=24 * MIB, segment_bytes=4 * MIB)


@pytest.mark.soak
@pytest.mark.timeout(3_000)
async def test_a_million_events_of_a_running_hum_stay_within_64_mib_and_a_segment() -> None:
    await check_bound(events=1_000_000, chars=160, bytes_max=64 * MIB, segment_bytes=16 * MIB)
