"""Power cuts under the thehum process itself, on a mounted disk (reliability F3).

thehum runs on a file system that notes what it does: appends, bodies, seals, packs, forgets, is
killed and goes on. Then disks are made that a cut may leave, and each is opened; some of them by
the process, with a humd that offers the next batch, and by `hum thehum verify`. Control: a writer
that acknowledges before its sync, on the same file system.
"""

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from tests.faults.rigs.chance import chance, tell
from tests.faults.rigs.forks import DONE, ended, forked
from tests.faults.rigs.fuse_disk import RecordedDisk, recording_disk
from tests.faults.rigs.power import Disk, Model, Step, crash_states, lay_out, without_syncs
from tests.faults.rigs.writer import (
    EVERYTHING,
    commit_after_acknowledging,
    left_in,
    lost_bodies,
    write,
)
from tests.support.humd import BEGUN, Humd
from tests.support.stack import QUIET_SETTINGS, Stack

from nest.identity import load_or_mint_identity
from thehum.core.audit import Author, audit
from thehum.core.events import GENESIS
from thehum.edge.directory import segments_in
from thehum.edge.log import Log
from thehum.edge.sealed import read_segment
from thrum.chi import Chi
from thrum.frames import Header
from thrum.tones import Body

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]

MIB = 1024 * 1024
SEGMENT_EVENTS = 24
FIRST_LIFE, BATCHES = 40, 70
FORGET_AT = 25
STATES, STATES_SOAK = 250, 20_000
STARTS, STARTS_SOAK = 3, 300
CONTROL_STATES = 150
SETTINGS = {
    **QUIET_SETTINGS,
    "humd": {
        "metricsAddr": "",
        "thehum": {"segmentBytes": MIB, "segmentEvents": SEGMENT_EVENTS, "sensitive": ["prompt"]},
    },
}


def tones_of(number: int) -> list[tuple[Header, Body]]:
    """Batch `number`: one to three tones, some with a body beside the log; one says to forget."""
    sid = f"s{number % 3}"
    if number == FORGET_AT:
        return [(Header(Chi.FORGET, f"b{number}-0", "s1"), {"by": "owner"})]
    chi = Chi.CHUNK if number % 4 else Chi.PROMPT
    return [
        (
            Header(chi, f"b{number}-{at}", sid),
            {"delta": f"{number}.{at} " + "x" * (number * 37 % 900)},
        )
        for at in range(1 + number % 3)
    ]


RIDS = [header.rid for number in range(1, BATCHES + 2) for header, _ in tones_of(number)]
"""Of every event, in order."""


def first_seq_of(number: int) -> int:
    return 1 + sum(len(tones_of(before)) for before in range(1, number))


def offer(humd: Humd, number: int) -> int:
    """Offer a batch; the last event that is durable then."""
    humd.offer(number, first_seq_of(number), *tones_of(number))
    return int(humd.durable(number)["head_seq"])


def live(stack: Stack, disk: RecordedDisk, first: int, upto: int) -> None:
    """One life of thehum: the batches from `first` on, each acknowledged before the next."""
    stack.start("thehum")
    with Humd(stack) as humd:
        humd.joined()
        for number in range(first, upto + 1):
            disk.acknowledge(offer(humd, number))
        packed = len(segments_in(disk.mount)) - 1
        stack.wait_for(lambda: len(list(disk.mount.glob("*.packed"))) >= packed, "packed segments")


@pytest.fixture
def stack(home: Path) -> Iterator[Stack]:
    with Stack(home, services=(), settings=SETTINGS) as made:
        yield made


@pytest.fixture
def steps(stack: Stack, home: Path) -> list[Step]:
    """What two lives of thehum did to its disk."""
    with recording_disk(stack.paths.thehum, home / "disk") as disk:
        live(stack, disk, 1, FIRST_LIFE)
        stack.kill("thehum")
        live(stack, disk, FIRST_LIFE + 1, BATCHES)
        stack.kill("thehum", signal.SIGTERM)
    return disk.steps()


class Shelf:
    """Disks that a cut may leave, laid out one after the other where the log of `stack` is."""

    def __init__(self, stack: Stack) -> None:
        self._root = stack.paths.thehum
        self._stack = stack
        self._identity = load_or_mint_identity(stack.paths.humd_key, prefix="humd")
        self.opened = self.torn = 0

    def open(self, disk: Disk, acknowledged: int) -> str | None:
        """Open the log as a start does; the first thing that is not as promised."""
        if not disk:
            return None if acknowledged == 0 else "nothing is left"
        self._lay_out(disk)
        with without_syncs():
            opened = Log(
                self._root, self._identity, segment_bytes=MIB, segment_events=SEGMENT_EVENTS
            )
            try:
                lines = opened.page(1, EVERYTHING).lines
                lost = self._lost(opened, lines)
                self.opened += 1
                self.torn += opened.recovered_bytes > 0
                read_only, head = opened.read_only, opened.head
            finally:
                opened.close()
        if read_only is not None:
            return f"read-only: {read_only}"
        author = Author(hid=str(self._identity.hid), public=self._identity.key.public)
        report = audit(
            segments_in(self._root), lambda first: read_segment(self._root, first), author,
            every=True, remembered_seq=head.seq, base=GENESIS,
        )  # fmt: skip
        if report.damage is not None:
            return f"does not verify: {report.damage}"
        rids = [orjson.loads(line)["rid"] for line in lines[BEGUN:]]
        if rids != RIDS[: len(rids)]:
            return "not each event once and in order"
        if len(lines) < acknowledged:
            return f"{len(lines)} events, but {acknowledged} were acknowledged"
        return f"no bodies beside the events {lost}" if lost else None

    def start(self, disk: Disk, acknowledged: int) -> str | None:
        """Let thehum itself start, and take the next batch; the first thing that is wrong."""
        self._lay_out(disk)
        stack = self._stack
        stack.start("thehum")
        with Humd(stack) as humd:
            hello = humd.joined()
            seq, batch = hello["head"]["seq"], hello["offer"].get("batch", 0)
            if hello["state"] != "writable" or seq < acknowledged:
                return f"{hello['state']} at {seq}, but {acknowledged} were acknowledged"
            offer(humd, batch + 1)
        stack.kill("thehum", signal.SIGTERM)
        verdict = subprocess.run(
            [sys.executable, "-m", "hum", "thehum", "verify", "--full"],
            env=stack.env,
            capture_output=True,
            text=True,
            check=False,
        )
        return None if verdict.returncode == 0 else verdict.stdout + verdict.stderr

    def _lay_out(self, disk: Disk) -> None:
        shutil.rmtree(self._root, ignore_errors=True)
        self._stack.paths.thehum_head.unlink(missing_ok=True)  # of the disk before, maybe longer
        lay_out(self._root, disk)

    def _lost(self, opened: Log, lines: list[bytes]) -> list[int]:
        """Events whose body is gone though nobody asked to forget it."""
        events = [orjson.loads(line) for line in lines]
        is_forgotten = any(event["chi"] == Chi.FORGET for event in events)
        return [
            seq
            for seq in lost_bodies(opened, lines)
            if not (is_forgotten and events[seq - 1]["sid"] == "s1")
        ]


def cut_power(stack: Stack, steps: list[Step], states: int, starts: int) -> Shelf:
    """Cut the power at so many moments, and start thehum on some of what is left."""
    shelf, dice = Shelf(stack), chance()
    every = max(states // starts, 1)
    for at, (disk, acknowledged) in enumerate(crash_states(steps, Model(), dice, states)):
        assert shelf.open(disk, acknowledged) is None
        if at % every == every // 2 and disk:
            assert shelf.start(disk, acknowledged) is None
    return shelf


def test_the_process_loses_nothing_acknowledged_when_the_power_goes(
    stack: Stack, steps: list[Step]
) -> None:
    """`reliability F3`."""
    shelf = cut_power(stack, steps, STATES, STARTS)

    assert shelf.opened > STATES * 4 // 5
    assert shelf.torn > 0


@pytest.mark.soak
@pytest.mark.timeout(7_200)
def test_the_process_loses_nothing_acknowledged_when_the_power_goes_for_long(
    stack: Stack, steps: list[Step]
) -> None:
    """`reliability F3`."""
    shelf = cut_power(stack, steps, STATES_SOAK, STARTS_SOAK)

    tell("power cuts on a mounted disk", opened=shelf.opened, torn=shelf.torn, started=STARTS_SOAK)
    assert shelf.opened > STATES_SOAK * 4 // 5


def test_control_acknowledging_before_the_sync_loses_on_the_mounted_disk(home: Path) -> None:
    with recording_disk(home / "log", home / "disk") as disk:
        pid = forked(
            lambda: write(disk.mount, 1, 40, disk.acknowledge, commit=commit_after_acknowledging)
        )
        assert ended(pid) == DONE
    wrong = []
    for disk_left, acknowledged in crash_states(disk.steps(), Model(), chance(), CONTROL_STATES):
        root = home / "left"
        if disk_left:
            lay_out(root, disk_left)
            with without_syncs():
                wrong.append(left_in(root, acknowledged).wrong)
            shutil.rmtree(root)

    assert any("were acknowledged" in str(one) for one in wrong)
