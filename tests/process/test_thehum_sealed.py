"""Compressing sealed segments on a real disk, and what a crash in between leaves."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.unit.thehum.chains import AUTHOR, KEY, append, identity

from thehum.core.audit import Author, Report, audit
from thehum.core.names import packed_name, segment_name
from thehum.core.pages import PageLimits
from thehum.core.sealed import unpack
from thehum.edge.directory import segments_in
from thehum.edge.log import Log
from thehum.edge.sealed import read_segment
from thehum.errors import DiskFull, WriteFailed

EVERYTHING = PageLimits(events_max=100_000, bytes_max=1 << 30)


@pytest.fixture
def root(home: Path) -> Path:
    return home / "thehum"


def open_log(root: Path, **options: Any) -> Log:
    return Log(root, identity(), **{"segment_bytes": 64 * 1024, **options})


def filled(root: Path) -> Log:
    log = open_log(root)
    for _ in range(40):
        append(log, 7, filler="x" * 300)
    return log


def compress(log: Log) -> None:
    while log.compress():
        pass


def lines(log: Log, from_seq: int = 1) -> list[bytes]:
    return log.page(from_seq, EVERYTHING).lines


def audited(root: Path) -> Report:
    author = Author(hid=AUTHOR, public=KEY.public)
    return audit(segments_in(root), lambda first: read_segment(root, first), author, every=True)


def test_all_segments_but_the_open_one_are_compressed_and_read_the_same(root: Path) -> None:
    log = filled(root)
    before = lines(log)

    compress(log)

    firsts = segments_in(root)
    assert [path.name for path in sorted(root.glob("0*.packed"))] == [
        packed_name(first) for first in firsts[:-1]
    ]
    assert [path.name for path in root.glob("0*.ndjson")] == [segment_name(firsts[-1])]
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in root.glob("0*"))
    assert lines(log) == before
    assert [lines(log, seq) for seq in (2, 100, 279, 281)] == [
        before[seq - 1 :] for seq in (2, 100, 279, 281)
    ]
    assert audited(root).damage is None
    append(log, 1)
    log.close()
    assert audited(root).events == 281


def test_a_compressed_log_opens_and_goes_on(root: Path) -> None:
    log = filled(root)
    compress(log)
    head = log.head
    log.close()

    again = open_log(root)

    assert (again.head, again.read_only) == (head, None)
    append(again, 1)
    again.close()
    assert audited(root).events == 281


def test_a_crash_after_any_slice_loses_nothing(root: Path, home: Path) -> None:
    """`reliability F2`, between the calls: what is on disk after each slice opens and is whole."""
    log = filled(root)
    before = lines(log)
    copy = home / "crashed"
    has_more = True
    while has_more:
        has_more = log.compress()
        shutil.copytree(root, copy)

        after = open_log(copy)
        assert after.read_only is None
        assert lines(after) == before
        assert not list(copy.glob("*.tmp"))
        compress(after)
        assert lines(after) == before
        after.close()
        assert audited(copy).damage is None
        shutil.rmtree(copy)
    log.close()


def test_when_both_forms_are_there_the_plain_one_counts_and_replaces_the_other(
    root: Path,
) -> None:
    log = filled(root)
    before = lines(log)
    log.close()
    (root / packed_name(1)).write_bytes(b"\x28\xb5\x2f\xfdhalf of something")
    (root / packed_name(1)).chmod(0o600)

    again = open_log(root)
    assert lines(again) == before
    compress(again)

    assert not (root / segment_name(1)).exists()
    assert lines(again) == before
    again.close()


def test_a_segment_that_does_not_come_back_stays_plain(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = filled(root)
    before = lines(log)

    with monkeypatch.context() as patch:
        patch.setattr("thehum.edge.sealed.read_frame", lambda *_: b"something else\n")
        compress(log)

    assert not list(root.glob("*.packed*"))
    assert lines(log) == before
    log.close()


@pytest.mark.parametrize("name", ["rename", "pwrite", "fdatasync"])
def test_an_error_of_the_disk_leaves_the_plain_segment(
    root: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = filled(root)
    before = lines(log)

    def fail(*_: object) -> int:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, name, fail)
        with pytest.raises(WriteFailed):
            compress(log)

    assert not list(root.glob("*.packed*"))
    assert lines(log) == before
    log.close()


def test_no_room_to_compress_does_no_harm_and_is_tried_again(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`reliability F5`."""
    log = filled(root)
    before = lines(log)

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        with pytest.raises(DiskFull):
            compress(log)
    assert not list(root.glob("*.packed*"))
    compress(log)

    assert list(root.glob("*.packed"))
    assert lines(log) == before
    log.close()


def test_damage_in_the_newest_compressed_segment_opens_read_only(root: Path) -> None:
    log = filled(root)
    compress(log)
    log.close()
    path = sorted(root.glob("0*.packed"))[-1]
    good = path.read_bytes()
    for at in (10, len(good) // 2, len(good) - 50, len(good) - 1):
        path.write_bytes(good[:at] + bytes([good[at] ^ 4]) + good[at + 1 :])

        again = open_log(root)

        assert again.read_only is not None, at
        assert audited(root).damage is not None
        again.close()


def test_a_compressed_segment_whose_successor_is_gone_is_a_log_cut_short(root: Path) -> None:
    log = filled(root)
    compress(log)
    log.close()
    (root / segment_name(segments_in(root)[-1])).unlink()

    again = open_log(root)

    assert again.read_only is not None
    assert "280 was acknowledged" in again.read_only
    again.close()


def test_a_line_longer_than_a_frame_is_one_frame(root: Path) -> None:
    log = open_log(root, segment_bytes=2 << 20)
    append(log, 2, filler="y" * 700_000)
    append(log, 3, filler="z" * 300)
    append(log, 1, filler="y" * 900_000)
    before = lines(log)

    compress(log)

    assert lines(log) == before
    assert unpack((root / packed_name(1)).read_bytes())[1]
    log.close()
