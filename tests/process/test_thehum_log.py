"""The log on a real disk: rotation, reopening, one writer, damage, errors of the disk."""

import errno
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.unit.thehum.chains import AUTHOR, KEY, append, group, identity

from nest.identity import Identity
from thehum.core.audit import Author, Report, audit
from thehum.core.names import segment_name
from thehum.core.offers import BatchName
from thehum.core.pages import PageLimits
from thehum.edge import disk
from thehum.edge.directory import segments_in
from thehum.edge.log import Log
from thehum.edge.reader import Reader
from thehum.errors import DiskFull, LogReadOnly, WriteFailed
from thrum.errors import LogUnavailable, SettingsRefused
from thrum.ids import hid_of
from thrum.keys import SigningKey

SEGMENT_BYTES = 64 * 1024
EVERYTHING = PageLimits(events_max=100_000, bytes_max=1 << 30)


@pytest.fixture
def root(home: Path) -> Path:
    return home / "thehum"


def open_log(root: Path, who: Identity | None = None, **options: Any) -> Log:
    return Log(root, who or identity(), **{"segment_bytes": SEGMENT_BYTES, **options})


@pytest.fixture
def log(root: Path) -> Iterator[Log]:
    opened = open_log(root)
    yield opened
    opened.close()


def seqs(log: Log, from_seq: int = 1, limits: PageLimits = EVERYTHING) -> list[int]:
    return [orjson.loads(line)["seq"] for line in log.page(from_seq, limits).lines]


def audited(root: Path, remembered_seq: int = 0) -> Report:
    return audit(
        segments_in(root),
        lambda first: (root / segment_name(first)).read_bytes(),
        Author(hid=AUTHOR, public=KEY.public),
        every=True,
        remembered_seq=remembered_seq,
    )


def newest(root: Path) -> Path:
    return root / segment_name(segments_in(root)[-1])


# --- appending and reading


def test_what_was_appended_is_read_back_byte_for_byte(log: Log) -> None:
    made = [append(log, 3), append(log, 1), append(log, 2)]

    page = log.page(1, EVERYTHING)

    assert b"\n".join(page.lines) + b"\n" == b"".join(one.data for one in made)
    assert page.next_seq == 7
    assert log.head == made[-1].head


def test_an_empty_log_has_an_empty_page(log: Log) -> None:
    page = log.page(1, EVERYTHING)

    assert (page.lines, page.next_seq, log.first_seq, log.head.seq) == ([], 1, 1, 0)


def test_files_are_private_and_preallocated(log: Log, root: Path) -> None:
    append(log, 1)

    assert root.stat().st_mode & 0o777 == 0o700
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in root.iterdir())
    assert newest(root).stat().st_size == SEGMENT_BYTES


def test_a_full_segment_is_sealed_and_the_next_begins_with_the_next_seq(
    log: Log, root: Path
) -> None:
    for _ in range(40):
        append(log, 7, filler="x" * 300)

    firsts = segments_in(root)
    assert len(firsts) > 2
    for first in firsts[:-1]:
        data = (root / segment_name(first)).read_bytes()
        assert b"\0" not in data
        assert data.endswith(b"\n")
        assert len(data) <= SEGMENT_BYTES
    assert seqs(log) == list(range(1, 281))
    assert audited(root).damage is None


def test_a_segment_holds_a_bounded_number_of_events(root: Path) -> None:
    log = open_log(root, segment_events=10)
    for _ in range(9):
        append(log, 4)
    log.close()

    assert segments_in(root) == [1, 13, 25]
    assert audited(root).events == 36


def test_a_group_larger_than_a_segment_still_goes_in_whole(log: Log, root: Path) -> None:
    append(log, 1)
    append(log, 300, filler="x" * 400)
    append(log, 1)

    assert segments_in(root) == [1, 2, 302]
    assert audited(root).damage is None


@pytest.mark.parametrize("from_seq", [1, 2, 100, 279, 280, 281, 999])
def test_a_page_may_begin_anywhere(log: Log, from_seq: int) -> None:
    for _ in range(40):
        append(log, 7, filler="x" * 300)

    assert seqs(log, from_seq) == list(range(from_seq, 281))


def test_pages_of_a_bounded_size_lead_through_the_whole_log(log: Log) -> None:
    for _ in range(40):
        append(log, 7, filler="x" * 300)
    seen, at = [], 1

    while at <= log.head.seq:
        page = log.page(at, PageLimits())
        assert sum(map(len, page.lines)) <= PageLimits().bytes_max
        seen += page.lines
        at = page.next_seq

    assert [orjson.loads(line)["seq"] for line in seen] == list(range(1, 281))


def test_a_page_in_the_middle_costs_no_scan_from_the_start(root: Path) -> None:
    log = open_log(root, segment_bytes=4 * 1024 * 1024)
    for _ in range(40):
        append(log, 100, filler="x" * 300)
    log.close()
    reader = Reader(root)
    reader.page(1, upto_seq=4_000, limits=EVERYTHING)
    reads: list[int] = []
    real = os.pread

    def counted(handle: int, length: int, offset: int) -> bytes:
        reads.append(offset)
        return real(handle, length, offset)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "pread", counted)
        page = reader.page(3_000, upto_seq=4_000, limits=PageLimits(events_max=5))

    assert len(page.lines) == 5
    assert len(reads) == 1


def test_old_segments_may_be_gone(log: Log, root: Path) -> None:
    for _ in range(40):
        append(log, 7, filler="x" * 300)
    second = segments_in(root)[1]
    log.close()
    (root / segment_name(1)).unlink()

    again = open_log(root)

    assert again.first_seq == second
    assert seqs(again, 1)[0] == second
    again.close()


def test_a_reader_needs_no_lock_and_sees_the_log_grow(log: Log, root: Path) -> None:
    append(log, 2)
    reader = Reader(root)

    before = len(reader.page(1, upto_seq=10, limits=EVERYTHING).lines)
    append(log, 3)
    after = len(reader.page(1, upto_seq=10, limits=EVERYTHING).lines)

    assert (before, after) == (2, 5)


# --- opening again


def test_a_log_goes_on_where_it_ended(log: Log, root: Path) -> None:
    append(log, 3, batch=BatchName("e", 1))
    append(log, 2, batch=BatchName("e", 2))
    head = log.head
    log.close()

    again = open_log(root)

    assert again.head == head
    assert again.last_batch == BatchName("e", 2)
    assert again.read_only is None
    append(again, 1)
    again.close()
    assert audited(root).events == 6


def test_the_last_batch_is_known_when_the_newest_segment_is_still_empty(root: Path) -> None:
    log = open_log(root, segment_events=2)
    append(log, 2, batch=BatchName("e", 1))
    append(log, 1, batch=BatchName("e", 2))
    data = newest(root).read_bytes()
    log.close()
    newest(root).write_bytes(bytes(len(data)))
    (root / "seq.bin").write_bytes((2).to_bytes(8, "big"))

    again = open_log(root)

    assert again.head.seq == 2
    assert again.last_batch == BatchName("e", 1)
    again.close()


def test_the_head_is_remembered_at_the_end(log: Log, root: Path) -> None:
    append(log, 3)
    log.close()

    assert (root / "seq.bin").read_bytes() == b"\0\0\0\0\0\0\0\x03"


def test_a_remembered_head_that_lags_behind_is_no_matter(log: Log, root: Path) -> None:
    append(log, 3)
    log.remember()
    append(log, 3)
    log.close()
    (root / "seq.bin").write_bytes((3).to_bytes(8, "big"))

    again = open_log(root)

    assert (again.head.seq, again.read_only) == (6, None)
    again.close()


def test_a_spare_left_by_a_crash_is_made_anew(log: Log, root: Path) -> None:
    log.close()
    spare = root / "spare.ndjson"
    spare.write_bytes(b"x" * SEGMENT_BYTES)
    spare.chmod(0o600)

    again = open_log(root, segment_events=1)
    append(again, 1)
    append(again, 1)
    again.close()

    assert audited(root).events == 2
    assert not spare.exists()


# --- who may open it


def test_a_second_writer_is_refused(log: Log, root: Path) -> None:
    with pytest.raises(SettingsRefused, match=f"pid {os.getpid()}") as refused:
        open_log(root)

    assert "hum down" in refused.value.hint


def test_the_lock_is_free_again_after_the_end(log: Log, root: Path) -> None:
    log.close()

    again = open_log(root)

    assert again.read_only is None
    again.close()


def test_a_folder_that_others_may_enter_is_refused_with_the_mend(root: Path) -> None:
    root.mkdir(mode=0o700)
    root.chmod(0o750)

    with pytest.raises(SettingsRefused) as refused:
        open_log(root)

    assert refused.value.hint == f"chmod 700 {root}"


def test_a_segment_that_others_may_read_is_refused_with_the_mend(log: Log, root: Path) -> None:
    append(log, 1)
    log.close()
    newest(root).chmod(0o640)

    with pytest.raises(SettingsRefused) as refused:
        open_log(root)

    assert refused.value.hint == f"chmod 600 {newest(root)}"


def test_a_link_in_place_of_a_segment_is_refused(log: Log, root: Path) -> None:
    append(log, 1)
    log.close()
    path = newest(root)
    path.rename(root / "elsewhere")
    path.symlink_to(root / "elsewhere")

    with pytest.raises(SettingsRefused):
        open_log(root)


def test_the_log_of_another_key_is_refused(log: Log, root: Path) -> None:
    log.close()
    key = SigningKey.from_seed(bytes(32))

    with pytest.raises(SettingsRefused, match="is the log of"):
        open_log(root, Identity(hid_of("humd", key.public), key))


def test_a_refused_start_leaves_the_lock_free(log: Log, root: Path) -> None:
    append(log, 1)
    log.close()
    newest(root).chmod(0o640)
    with pytest.raises(SettingsRefused):
        open_log(root)
    newest(root).chmod(0o600)

    open_log(root).close()


# --- damage


def read_only(root: Path, reason: str) -> None:
    """The log opens read-only for this reason, refuses to write and changes no segment."""
    before = {path: path.read_bytes() for path in root.glob("0*.ndjson")}
    log = open_log(root)

    assert log.read_only is not None
    assert reason in log.read_only
    with pytest.raises(LogReadOnly):
        log.append(group(1, log.head), None)

    log.close()
    assert {path: path.read_bytes() for path in root.glob("0*.ndjson")} == before


def test_damage_in_the_middle_opens_read_only_and_is_kept_in_quarantine(
    log: Log, root: Path
) -> None:
    for _ in range(3):
        append(log, 2)
    log.close()
    path = newest(root)
    damaged = path.read_bytes().replace(b"token 3", b"token 4")
    path.write_bytes(damaged)

    read_only(root, "event 3: the content is not what was hashed and signed")

    (kept,) = (root / "quarantine").iterdir()
    assert kept.read_bytes() in damaged
    assert b"token 4" in kept.read_bytes()


def test_what_is_good_before_the_damage_is_still_read(log: Log, root: Path) -> None:
    for _ in range(3):
        append(log, 2)
    log.close()
    path = newest(root)
    path.write_bytes(path.read_bytes().replace(b"token 5", b"token 4"))

    again = open_log(root)

    assert seqs(again) == [1, 2, 3, 4]
    again.close()


def test_damage_in_the_newest_sealed_segment_opens_read_only(root: Path) -> None:
    log = open_log(root, segment_events=2)
    for _ in range(3):
        append(log, 2)
    log.close()
    sealed = root / segment_name(3)
    sealed.write_bytes(sealed.read_bytes().replace(b"token 3", b"token 4"))

    read_only(root, segment_name(3))


def test_a_gap_between_segments_opens_read_only(root: Path) -> None:
    log = open_log(root, segment_events=2)
    for _ in range(3):
        append(log, 2)
    log.close()
    (root / segment_name(3)).unlink()

    read_only(root, "events 3 to 4 are missing")


def test_a_log_that_was_cut_short_opens_read_only(log: Log, root: Path) -> None:
    """`reliability F8`."""
    first = append(log, 2)
    append(log, 2)
    log.close()
    newest(root).write_bytes(first.data)

    read_only(root, "the log ends at event 2, but 4 was acknowledged")


def test_a_log_without_its_segments_opens_read_only(log: Log, root: Path) -> None:
    append(log, 2)
    log.close()
    newest(root).unlink()

    read_only(root, "the log ends at event 0, but 2 was acknowledged")


def test_a_single_flipped_bit_after_a_clean_end_is_never_taken_for_a_torn_tail(
    log: Log, root: Path
) -> None:
    """`reliability F6`, the newest group: the remembered head settles it."""
    append(log, 2)
    end = len(append(log, 1).data)
    log.close()
    path = newest(root)
    good = path.read_bytes()
    start = len(good.rstrip(b"\0")) - end
    for at in range(start, start + end, 7):
        flipped = bytearray(good)
        flipped[at] ^= 4
        path.write_bytes(bytes(flipped))

        again = open_log(root)

        assert again.read_only is not None, at
        assert again.head.seq == 2
        again.close()


# --- errors of the disk


def test_a_failed_sync_ends_the_writer_and_is_not_tried_again(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`reliability F4`."""
    append(log, 1)
    syncs: list[int] = []

    def fail(handle: int) -> None:
        syncs.append(handle)
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", fail)
        with pytest.raises(WriteFailed) as failed:
            append(log, 1)

    assert isinstance(failed.value, LogUnavailable)
    assert len(syncs) == 1
    assert log.head.seq == 1


def test_a_failed_write_ends_the_writer(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> int:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", fail)
        with pytest.raises(WriteFailed):
            append(log, 1)

    assert log.head.seq == 0


def test_a_short_write_is_finished(log: Log, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.pwrite

    def short(handle: int, data: Any, offset: int) -> int:
        return real(handle, bytes(data)[:100], offset)

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", short)
        append(log, 5)

    log.close()
    assert audited(root).events == 5


def test_no_room_is_refused_and_the_next_try_leaves_no_trace_of_it(
    log: Log, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`reliability F5`."""
    append(log, 1)
    real = os.pwrite
    budget = [700]

    def little_room(handle: int, data: Any, offset: int) -> int:
        if not budget[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        length, budget[0] = min(budget[0], len(data)), 0
        return real(handle, bytes(data)[:length], offset)

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", little_room)
        with pytest.raises(DiskFull):
            append(log, 5)
    assert log.head.seq == 1

    append(log, 1)
    log.close()

    assert newest(root).read_bytes().rstrip(b"\0").endswith(b"\n")
    assert audited(root).events == 2
    assert audited(root).unfinished_bytes == 0


def test_no_room_for_the_next_segment_leaves_the_old_one_open(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = open_log(root, segment_events=2)
    append(log, 2)

    def full(handle: int, data: bytes, offset: int) -> None:
        raise DiskFull("no room")

    with monkeypatch.context() as patch:
        patch.setattr("thehum.edge.segment.write_all", full)
        with pytest.raises(DiskFull):
            append(log, 1)
    append(log, 1)
    log.close()

    assert segments_in(root) == [1, 3]
    assert audited(root).events == 3


@pytest.mark.process
def test_a_file_size_limit_is_no_room_and_work_resumes_after_it(root: Path) -> None:
    """`reliability F5`, with a real limit of the system."""
    program = (
        "import resource, signal, sys\n"
        "from pathlib import Path\n"
        "from tests.unit.thehum.chains import append, identity\n"
        "from thehum.edge.log import Log\n"
        "from thehum.errors import DiskFull\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "log = Log(Path(sys.argv[1]), identity(), segment_bytes=65536)\n"
        "append(log, 1)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (70000, -1))\n"
        "try:\n"
        "    append(log, 300, filler='x' * 400)\n"
        "except DiskFull:\n"
        "    print('refused')\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))\n"
        "append(log, 300, filler='x' * 400)\n"
        "log.close()\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", program, str(root)],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": "services:."},
    )

    assert done.stdout == "refused\n"
    assert audited(root).events == 301


def test_sizes_of_private_files_are_what_the_system_says() -> None:
    assert disk.FILE_MODE == 0o600
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] in (resource.RLIM_INFINITY, -1)
