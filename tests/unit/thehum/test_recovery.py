"""What a start makes of the bytes behind the last good group. `reliability` 4.4, F7."""

from itertools import pairwise

import pytest
from tests.unit.thehum.chains import groups, walk

from thehum.core.events import GENESIS
from thehum.core.groups import Signing
from thehum.core.recovery import Clean, Damaged, Scan, TornTail, scan_segment
from thehum.core.verify import Damage, Flaw

ZEROS = bytes(4096)
DATA, GROUPS = groups([3, 1, 4])
LAST = len(DATA) - len(GROUPS[-1].data)
"""Where the last group begins."""


def scan(data: bytes, *, remembered_seq: int = 0, is_sealed: bool = False) -> Scan:
    return scan_segment(data, walk(), remembered_seq=remembered_seq, is_sealed=is_sealed)


@pytest.mark.parametrize("tail", [b"", ZEROS])
def test_a_segment_that_ends_with_a_group_is_clean(tail: bytes) -> None:
    found = scan(DATA + tail, remembered_seq=8)

    assert found.finding == Clean()
    assert found.head == GROUPS[-1].head
    assert found.end == len(DATA)
    assert found.last_line == DATA.split(b"\n")[-2]
    assert found.marks[0] == (1, 0)


@pytest.mark.parametrize("data", [b"", ZEROS])
def test_a_segment_without_events_is_clean(data: bytes) -> None:
    found = scan(data)

    assert found.finding == Clean()
    assert found.head == GENESIS
    assert (found.end, found.last_line, found.marks) == (0, b"", ())


@pytest.mark.parametrize("tail", [b"", ZEROS, b"\x93garbage"])
def test_a_last_group_cut_anywhere_is_a_torn_tail(tail: bytes) -> None:
    """`reliability F7`: every byte of the last group."""
    for cut in range(LAST + 1, len(DATA)):
        found = scan(DATA[:cut] + tail)

        assert found.head == GROUPS[-2].head, cut
        assert found.end == LAST
        assert isinstance(found.finding, TornTail), cut
        assert found.finding.start == LAST
        assert cut <= found.finding.end <= cut + len(tail.rstrip(b"\0"))


@pytest.mark.parametrize("page", [64, 512])
def test_a_last_group_with_pages_that_never_arrived_is_a_torn_tail(page: int) -> None:
    size = len(DATA) - LAST
    for start in range(0, size, page):
        hole = bytearray(DATA)
        end = min(LAST + start + page, len(DATA))
        hole[LAST + start : end] = bytes(end - LAST - start)

        found = scan(bytes(hole) + ZEROS)

        assert found.head == GROUPS[-2].head
        assert isinstance(found.finding, TornTail)


def test_a_torn_tail_that_somebody_remembers_as_acknowledged_is_damage() -> None:
    found = scan(DATA[:-1], remembered_seq=8)

    assert isinstance(found.finding, Damaged)
    assert found.finding.start == LAST
    assert found.head == GROUPS[-2].head


def test_bytes_behind_a_remembered_head_are_a_torn_tail() -> None:
    assert isinstance(scan(DATA[:-1], remembered_seq=4).finding, TornTail)


def test_a_flipped_bit_before_the_last_group_is_damage_and_never_cut() -> None:
    """`reliability F6`: no good event is discarded."""
    for at in range(LAST):
        changed = bytearray(DATA)
        changed[at] ^= 1

        found = scan(bytes(changed) + ZEROS)

        in_covered_signature = isinstance(found.finding, Clean)
        if in_covered_signature:
            line = DATA[DATA.rfind(b"\n", 0, at) + 1 : DATA.find(b"\n", at)]
            assert b'"sig":"' in line
            continue
        assert isinstance(found.finding, Damaged), at
        assert found.finding.end == len(DATA)


def test_a_flipped_bit_in_a_last_group_that_arrived_whole_is_damage() -> None:
    touched = DATA.index(b"token 6")
    changed = DATA.replace(b"token 6", b"token 7")

    found = scan(changed + ZEROS)

    assert touched > LAST
    assert isinstance(found.finding, Damaged)
    assert found.finding.damage == Damage(6, Flaw.CONTENT, 5)
    assert found.head == GROUPS[-2].head


def test_a_hole_in_the_middle_is_damage() -> None:
    hole = DATA[:700] + bytes(64) + DATA[764:]

    found = scan(hole + ZEROS)

    assert isinstance(found.finding, Damaged)


def test_a_hole_in_a_single_first_group_is_a_torn_tail() -> None:
    data, _ = groups([6])

    found = scan(data[:600] + bytes(64) + data[664:] + ZEROS)

    assert found.finding == TornTail(0, len(data))
    assert found.head == GENESIS


def test_a_sealed_segment_has_no_torn_tail() -> None:
    found = scan(DATA[:-1], is_sealed=True)

    assert isinstance(found.finding, Damaged)
    assert found.finding.damage.group_first_seq == 5


def test_with_every_event_signed_whole_lines_of_a_torn_group_count() -> None:
    data, made = groups([2, 3], signing=Signing.EVERY)
    cut = data.rfind(b"\n", 0, len(data) - 1) + 20

    found = scan(data[:cut] + ZEROS)

    assert found.head.seq == made[-1].head.seq - 1
    assert found.finding == TornTail(cut - 19, cut) or isinstance(found.finding, TornTail)


@pytest.mark.parametrize("is_each_signed", [False, True])
def test_with_every_event_signed_a_hole_in_the_group_in_flight_is_a_torn_tail(
    is_each_signed: bool,
) -> None:
    """The lines behind the hole look like later groups; only the writer's setting tells."""
    data, made = groups([2, 6], signing=Signing.EVERY)
    hole = len(made[0].data) + 600
    torn = data[:hole] + bytes(512) + data[hole + 512 :]

    found = scan_segment(torn + ZEROS, walk(), is_each_signed=is_each_signed)

    assert found.head.seq == 3
    assert isinstance(found.finding, TornTail if is_each_signed else Damaged)


@pytest.mark.parametrize("mark", [b"g", b"G", b" "])
def test_a_signature_that_is_not_hex_is_no_end(mark: bytes) -> None:
    at = DATA.rfind(b'"sig":"') + 40

    found = scan(DATA[:at] + mark + DATA[at + 1 :] + ZEROS)

    assert found.head == GROUPS[-2].head
    assert not isinstance(found.finding, Clean)


def test_marks_lead_to_lines_a_bounded_distance_apart() -> None:
    data, _ = groups([400, 400], filler="x" * 200)

    found = scan(data + ZEROS)

    offsets = [offset for _, offset in found.marks]
    assert len(offsets) > 4
    for seq, offset in found.marks:
        assert b'"seq":%d,' % seq in data[offset : data.index(b"\n", offset)]
    assert max(b - a for a, b in pairwise(offsets)) < 70_000
