"""A write that did not finish was never acknowledged: it is kept aside and the log goes on.

`reliability F7`. The negative control is a recovery that believes the last line that parses.
"""

from pathlib import Path

import orjson
import pytest
from tests.unit.thehum.chains import append, identity, walk

from thehum.core.names import segment_name
from thehum.core.offers import BatchName
from thehum.core.pages import PageLimits, lines_of
from thehum.core.recovery import scan_segment
from thehum.edge.log import Log

SEGMENT_BYTES = 8 * 1024
EVERYTHING = PageLimits(events_max=10_000, bytes_max=1 << 30)


@pytest.fixture
def root(home: Path) -> Path:
    return home / "thehum"


def written(root: Path) -> tuple[bytes, int]:
    """A log of two acknowledged groups and a third: its segment, and where the third begins."""
    log = Log(root, identity(), segment_bytes=SEGMENT_BYTES)
    append(log, 2, batch=BatchName("e", 1))
    append(log, 1, batch=BatchName("e", 2))
    log.remember()
    third = append(log, 3, batch=BatchName("e", 3))
    log.close()
    (root / "seq.bin").write_bytes((3).to_bytes(8, "big"))
    data = (root / segment_name(1)).read_bytes()
    return data, len(data.rstrip(b"\0")) - len(third.data)


def test_a_last_group_cut_anywhere_is_set_aside_and_nothing_acknowledged_is_lost(
    root: Path,
) -> None:
    data, start = written(root)
    path = root / segment_name(1)
    whole = len(data.rstrip(b"\0"))
    cuts = [*range(start + 1, whole - 160, 5), *range(whole - 160, whole)]
    for cut in cuts:
        path.write_bytes(data[:cut] + bytes(len(data) - cut))

        log = Log(root, identity(), segment_bytes=SEGMENT_BYTES)

        assert log.read_only is None, cut
        assert log.head.seq == 3
        assert log.last_batch == BatchName("e", 2)
        assert log.recovered_bytes == cut - start
        assert path.read_bytes() == data[:start] + bytes(len(data) - start)
        log.close()
    kept = {file.read_bytes() for file in (root / "quarantine").iterdir()}
    assert kept == {data[start:cut] for cut in cuts}


@pytest.mark.parametrize("garbage", [b"\xff" * 40, b'{"author":', b"\n\n\n", b"x\n" * 9])
def test_garbage_behind_the_last_group_is_set_aside(root: Path, garbage: bytes) -> None:
    data, start = written(root)
    path = root / segment_name(1)
    path.write_bytes((data[:start] + garbage).ljust(len(data), b"\0"))

    log = Log(root, identity(), segment_bytes=SEGMENT_BYTES)

    assert (log.head.seq, log.read_only) == (3, None)
    log.close()


def test_a_file_cut_short_in_its_last_group_recovers(root: Path) -> None:
    data, start = written(root)
    path = root / segment_name(1)
    path.write_bytes(data[: start + 100])

    log = Log(root, identity(), segment_bytes=SEGMENT_BYTES)

    assert log.head.seq == 3
    log.close()


def test_after_recovery_the_same_batch_is_appended_once_and_the_log_verifies(root: Path) -> None:
    data, start = written(root)
    path = root / segment_name(1)
    path.write_bytes(data[: start + 300] + bytes(len(data) - start - 300))

    log = Log(root, identity(), segment_bytes=SEGMENT_BYTES)
    append(log, 3, batch=BatchName("e", 3))
    lines = log.page(1, EVERYTHING).lines
    log.close()

    assert [orjson.loads(line)["seq"] for line in lines] == [1, 2, 3, 4, 5, 6]
    assert lines_of(path.read_bytes()) == lines
    assert scan_segment(path.read_bytes(), walk()).head == log.head


def test_a_recovery_that_believes_the_last_line_that_parses_would_keep_unsigned_events(
    root: Path,
) -> None:
    """The negative control: two whole lines of the torn group parse, and must not count."""
    data, start = written(root)
    third_line_end = data.rstrip(b"\0").rfind(b"\n", start, -1)
    torn = data[: third_line_end + 1]

    believed = orjson.loads(lines_of(torn)[-1])["seq"]
    recovered = scan_segment(torn, walk()).head.seq

    assert believed == 5
    assert recovered == 3
