"""The last event on disk, as `hum status` finds it."""

import os
from pathlib import Path

import pytest

from hum.log_head import TAIL_BYTES, log_head
from nest.paths import Paths
from thehum.core.names import packed_name, segment_name


@pytest.fixture
def paths(home: Path) -> Paths:
    found = Paths.from_environment(os.environ)
    found.thehum.mkdir(mode=0o700, parents=True)
    return found


def line(seq: int, filler: int = 0) -> bytes:
    body = b"x" * filler
    return (
        b'{"body":{"t":"%b","seq":99},"chi":"chunk","prev_hash":"0","rid":"r","seq":%d,"sid":"s",'
        b'"sig":null,"ts_ms":1}\n' % (body, seq)
    )


def segment(paths: Paths, first_seq: int, content: bytes, zeros: int = 300_000) -> None:
    (paths.thehum / segment_name(first_seq)).write_bytes(content + bytes(zeros))


def test_without_a_log_there_is_no_head(home: Path) -> None:
    assert log_head(Paths.from_environment(os.environ)) is None


def test_an_empty_log_is_at_nothing(paths: Paths) -> None:
    assert log_head(paths) is None
    segment(paths, 1, b"")
    assert log_head(paths) == 0


@pytest.mark.parametrize("zeros", [0, 1, 4_096, 300_000])
@pytest.mark.parametrize("filler", [0, 2 * TAIL_BYTES])
def test_the_last_whole_line_counts(paths: Paths, zeros: int, filler: int) -> None:
    segment(paths, 1, b"".join(line(seq, filler) for seq in (1, 2, 3)), zeros)
    assert log_head(paths) == 3

    segment(paths, 1, line(1, filler) + line(2, filler)[:-5], zeros)
    assert log_head(paths) == 1


def test_a_new_segment_that_is_empty_begins_behind_the_head(paths: Paths) -> None:
    segment(paths, 1, line(1) + line(2))
    segment(paths, 3, b"")

    assert log_head(paths) == 2


def test_behind_a_compressed_newest_segment_what_was_remembered_counts(paths: Paths) -> None:
    (paths.thehum / packed_name(1)).write_bytes(b"packed")
    assert log_head(paths) is None

    paths.thehum_seq.write_bytes((17).to_bytes(8, "big"))

    assert log_head(paths) == 17
