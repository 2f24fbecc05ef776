"""A log within its bound, on a real disk: what goes, what stays, and what can still be proven."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import orjson
import pytest
from tests.faults.rigs.power import without_syncs
from tests.unit.thehum.chains import AUTHOR, KEY, START_MS, append, group, identity

from thehum.core.audit import Author, Report, audit
from thehum.core.base import read_base
from thehum.core.bodies import draft
from thehum.core.groups import GroupBuilder
from thehum.core.keeping import Aside
from thehum.core.names import BASE
from thehum.core.notes import BadNote
from thehum.core.pages import PageLimits
from thehum.core.retention import Bound, Mode
from thehum.edge.checkpoints import Checkpoints
from thehum.edge.directory import segments_in
from thehum.edge.log import Log
from thehum.edge.retention import Retention
from thehum.edge.sealed import read_segment
from thehum.errors import WriteFailed
from thrum.canonical import dumps

REPOSITORY = Path(__file__).resolve().parents[2]
KIB, MIB = 1024, 1024 * 1024
DAY_MS = 86_400_000
SEGMENT_BYTES = 64 * KIB
BYTES_MAX = 384 * KIB
UNHASHED_SEGMENTS = 5
"""So many small segments may hold the 255 events whose tile is not whole yet."""
SMALL_BYTES = 32 * KIB
"""Lock, head, checkpoint, base, author: one block each."""


@dataclass
class Desk:
    """A log and what looks after it, as in thehum."""

    root: Path
    mode: Mode = Mode.ROLLING
    bytes_max: int = BYTES_MAX
    segment_bytes: int = SEGMENT_BYTES
    now_ms: int = START_MS

    def __post_init__(self) -> None:
        self.root.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.log = Log(self.root, identity(), segment_bytes=self.segment_bytes)
        self.heads = Checkpoints(self.log, self.root, now=0)
        bound = Bound(
            mode=self.mode,
            bytes_max=self.bytes_max,
            age_ms_max=30 * DAY_MS,
            segment_bytes=self.segment_bytes,
        )
        self.retention = Retention(self.log, self.heads, bound, wall_ms=self.now_ms, steady_ms=0)
        self.steady_ms = 0
        self.largest = 0

    def settle(self) -> None:
        """Do what is due until nothing is."""
        while self.step():
            self.sample()

    def step(self) -> bool:
        self.steady_ms += 1
        if self.retention.tick(wall_ms=self.now_ms + self.steady_ms, steady_ms=self.steady_ms):
            return True
        has_more = self.log.prepare()
        has_more = self.heads.tick(self.steady_ms / 1000, is_idle=not has_more) or has_more
        return has_more or self.log.compress()

    def sample(self) -> None:
        self.largest = max(self.largest, used(self.root))

    def fill(self, groups: int, count: int = 8, *, chars: int = 600, snapshot: bool = True) -> None:
        """Write groups of events of text that does not compress, and settle behind each."""
        for _ in range(groups):
            made = GroupBuilder(AUTHOR, KEY, self.log.head)
            for seq in range(made.next_seq, made.next_seq + count):
                text = dumps({"delta": Random(seq).randbytes(chars // 2).hex()})
                made.add([draft(chi="chunk", rid=f"r{seq}", sid="hum-X", body=text)], self.now_ms)
            self.log.append(made.seal(), None)
            if snapshot:
                self.retention.needs.snapshot(self.log.head.seq)
            self.settle()
            self.sample()

    def later(self, days: float) -> None:
        self.now_ms += int(days * DAY_MS)
        self.steady_ms += int(days * DAY_MS)

    def close(self) -> None:
        self.heads.finish()
        self.log.close()


@pytest.fixture(autouse=True)
def quick() -> Iterator[None]:
    """What is asked here does not depend on a disk that loses power."""
    with without_syncs():
        yield


@pytest.fixture
def root(home: Path) -> Path:
    return home / "state" / "hum" / "thehum"


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


def audited(root: Path, *, base: bool = True) -> Report:
    author = Author(hid=AUTHOR, public=KEY.public)
    begin = read_base((root / BASE).read_bytes(), public=KEY.public).head if base else None
    firsts = segments_in(root)
    return audit(firsts, lambda first: read_segment(root, first), author, every=True, base=begin)


def hum(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "hum", "thehum", *arguments],
        capture_output=True,
        check=False,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY / "services")},
    )


def check_bound(root: Path, *, events: int, bytes_max: int, segment_bytes: int) -> Desk:
    """Write many streamed tokens; the folder is measured behind every step of the way."""
    desk = Desk(root, bytes_max=bytes_max, segment_bytes=segment_bytes)
    while desk.log.head.seq < events:
        desk.fill(1, 256, chars=120)
    desk.close()

    assert desk.largest <= bytes_max + segment_bytes + SMALL_BYTES
    assert desk.largest > bytes_max // 2  # it is used, too
    assert desk.retention.dropped > 2
    assert not desk.retention.is_over
    found = audited(root)
    assert found.damage is None
    assert found.head.seq == desk.log.head.seq
    return desk


def test_a_rolling_log_never_takes_more_than_its_bound_and_a_segment(root: Path) -> None:
    check_bound(root, events=30_000, bytes_max=MIB, segment_bytes=128 * KIB)

    done = hum("verify", "--full")
    assert done.returncode == 0, done.stdout


@pytest.mark.soak
@pytest.mark.timeout(1_200)
def test_a_million_events_under_64_mib_never_take_more(root: Path) -> None:
    """The long form: a million events, segments as they are by default."""
    check_bound(root, events=1_000_000, bytes_max=64 * MIB, segment_bytes=16 * MIB)


def test_a_rolled_log_opens_goes_on_and_verifies_from_its_base(root: Path) -> None:
    desk = Desk(root)
    desk.fill(400)
    first_seq, head = desk.log.first_seq, desk.log.head
    desk.close()

    again = Desk(root)
    append(again.log, 1)
    again.close()

    assert first_seq > 1
    assert again.log.read_only is None
    assert again.log.first_seq == first_seq
    assert again.heads.refused is None
    found = audited(root)
    assert (found.damage, found.first_seq, found.head.seq) == (None, first_seq, head.seq + 1)
    assert orjson.loads(hum("status", "--json").stdout)["first_seq"] == first_seq


def test_events_that_went_can_still_be_proven_by_who_has_them(root: Path, tmp_path: Path) -> None:
    desk = Desk(root)
    desk.fill(60)
    line = desk.log.page(17, PageLimits(events_max=1)).lines[0]
    desk.fill(250)
    kept = desk.log.first_seq + 5
    desk.close()
    event, proof = tmp_path / "event", tmp_path / "proof"
    event.write_bytes(line + b"\n")

    assert desk.log.first_seq > 17
    assert "no longer in" in hum("prove", "17").stderr
    assert hum("prove", "17", "--event", str(event), "--out", str(proof)).returncode == 0
    assert hum("check-proof", str(proof)).returncode == 0
    assert hum("prove", str(kept), "--out", str(proof)).returncode == 0
    assert hum("check-proof", str(proof)).returncode == 0
    assert hum("prove", "18", "--event", str(event)).returncode == 1


def test_of_a_very_long_log_old_hashes_go_and_every_kept_event_can_be_proven(
    root: Path, tmp_path: Path
) -> None:
    desk = Desk(root, bytes_max=256 * KIB, segment_bytes=32 * KIB)
    desk.fill(200, 64)
    line = desk.log.page(desk.log.first_seq, PageLimits(events_max=1)).lines[0]
    first_seq = desk.log.first_seq
    desk.close()

    hashes = root / "tiles" / "0"
    assert hashes.stat().st_size > 300 * KIB
    assert hashes.stat().st_blocks * 512 < 256 * KIB
    assert Desk(root).heads.refused is None
    assert hum("prove", str(first_seq), "--out", str(tmp_path / "p")).returncode == 0
    (tmp_path / "e").write_bytes(line)
    assert hum("prove", "1", "--event", str(tmp_path / "e")).returncode == 1


def test_nothing_goes_before_there_is_a_snapshot_nor_past_whoever_still_reads(root: Path) -> None:
    desk = Desk(root)
    desk.fill(200, snapshot=False)
    assert (desk.log.first_seq, desk.retention.is_over) == (1, True)
    third = segments_in(root)[2]

    desk.retention.needs.snapshot(desk.log.head.seq)
    desk.retention.needs.hold("dashboard", third)
    desk.later(1)
    desk.settle()
    assert (desk.log.first_seq, desk.retention.is_over) == (third, True)

    desk.retention.needs.release("dashboard")
    desk.later(1)
    desk.settle()
    assert desk.log.first_seq > third
    assert not desk.retention.is_over
    desk.close()


def test_events_go_when_they_are_older_than_the_days(root: Path) -> None:
    desk = Desk(root, bytes_max=64 * MIB)
    desk.fill(100)
    desk.later(29)
    desk.settle()
    assert desk.log.first_seq == 1

    desk.later(2)
    desk.settle()

    assert len(segments_in(root)) < UNHASHED_SEGMENTS
    desk.close()
    assert audited(root).damage is None


def test_a_light_log_keeps_what_is_behind_the_last_snapshot_but_one(root: Path) -> None:
    desk = Desk(root, mode=Mode.LIGHT)
    desk.fill(100)

    assert len(segments_in(root)) <= UNHASHED_SEGMENTS
    desk.close()
    assert audited(root).damage is None


def test_an_archive_drops_nothing(root: Path) -> None:
    desk = Desk(root, mode=Mode.ARCHIVE, bytes_max=1)
    desk.fill(100)
    desk.later(900)
    desk.settle()

    assert desk.log.first_seq == 1
    desk.close()


@pytest.mark.parametrize("call", ["unlink", "rename", "replace", "fdatasync", "fsync"])
def test_a_crash_anywhere_while_segments_go_leaves_a_log_that_verifies(
    root: Path, home: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """`reliability F2`: what is on disk is copied before each such call, and opened."""
    desk = Desk(root)
    desk.fill(60, snapshot=False)
    desk.retention.needs.snapshot(desk.log.head.seq)
    crashed: list[Path] = []

    with monkeypatch.context() as patch:
        real = getattr(os, call)

        def copy_first(*arguments: Any, **options: Any) -> Any:
            crashed.append(home / f"crashed-{len(crashed)}")
            shutil.copytree(root, crashed[-1])
            return real(*arguments, **options)

        patch.setattr(os, call, copy_first)
        desk.later(40)
        desk.settle()
    head = desk.log.head
    desk.close()

    assert len(segments_in(root)) < UNHASHED_SEGMENTS
    for copy in crashed:
        log = Log(copy, identity(), segment_bytes=SEGMENT_BYTES)
        assert log.read_only is None, copy
        assert log.head == head
        log.close()
        found = audited(copy, base=(copy / BASE).exists())
        assert found.damage is None
        base = read_base((copy / BASE).read_bytes(), public=KEY.public) if log.base else None
        assert segments_in(copy)[0] == (base.seq + 1 if base else 1)
    assert crashed or call in ("rename", "replace")


def test_more_taken_from_the_front_than_was_dropped_is_noticed(root: Path) -> None:
    desk = Desk(root)
    desk.fill(400)
    desk.close()
    first = segments_in(root)[0]
    for path in root.glob(f"{first:020d}.*"):
        path.unlink()

    again = Log(root, identity(), segment_bytes=SEGMENT_BYTES)
    again.close()

    assert again.read_only is not None
    assert f"events {first} to" in again.read_only
    assert (audited(root).damage or found_nothing()).seq == first
    assert hum("verify").returncode == 1


def test_a_base_that_was_not_signed_for_this_log_is_refused(root: Path) -> None:
    desk = Desk(root)
    desk.fill(400)
    desk.close()
    good = orjson.loads((root / BASE).read_bytes())
    for key, value in (("seq", good["seq"] + 1), ("hash", "00" * 32), ("inclusion", [])):
        (root / BASE).write_bytes(orjson.dumps({**good, key: value}))

        with pytest.raises(BadNote):
            read_base((root / BASE).read_bytes(), public=KEY.public)
        again = Log(root, identity(), segment_bytes=SEGMENT_BYTES)
        again.close()
        assert again.read_only is not None
        assert BASE in again.read_only
        assert hum("verify").returncode == 1


def test_an_older_copy_of_the_segments_is_not_emptied_by_a_newer_base(root: Path) -> None:
    desk = Desk(root)
    append(desk.log, 8)
    desk.log.remember()
    old = {path.name: path.read_bytes() for path in root.glob("0*")}
    desk.fill(400)
    desk.close()
    for path in root.glob("0*"):
        path.unlink()
    for name, data in old.items():
        (root / name).write_bytes(data)
        (root / name).chmod(0o600)

    again = Log(root, identity(), segment_bytes=SEGMENT_BYTES)
    again.close()

    assert again.read_only is not None
    assert {path.name: path.read_bytes() for path in root.glob("0*")} == old


def test_an_error_of_the_disk_while_segments_go_ends_the_writer(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`reliability F4`."""
    desk = Desk(root)
    desk.fill(60)
    desk.later(40)

    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", fail)
        with pytest.raises(WriteFailed):
            desk.settle()

    desk.log.close()
    assert audited(root, base=(root / BASE).exists()).damage is None


def test_the_bodies_of_events_that_went_go_too(root: Path) -> None:
    desk = Desk(root)
    for _ in range(40):
        made = group(8, desk.log.head, at_ms=START_MS)
        aside = Aside(made.first_seq, "hum-X", b"s" * 32, b"body" * 5_000)
        desk.log.append(made, None, [aside])
        desk.retention.needs.snapshot(desk.log.head.seq)
        desk.settle()

    firsts = [int(path.name[:20]) for path in sorted((root / "bodies").iterdir())]
    assert desk.log.first_seq > 1
    assert all(first >= desk.log.first_seq for first in firsts)
    desk.close()


def found_nothing() -> Any:
    raise AssertionError("no damage was found")
