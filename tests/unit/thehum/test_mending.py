"""What is kept of a damaged log, and what is lost."""

from collections.abc import Callable

import pytest
from tests.unit.thehum.chains import KEY, groups

from thehum.core.events import GENESIS
from thehum.core.keys import KeyChain
from thehum.core.mending import Gap, NotMendable, Plan, dump_gaps, plan, read_gaps
from thehum.core.sealed import FRAME_BYTES, Packer
from thehum.core.verify import start_of
from thrum.errors import LocalError

KEYS = KeyChain(KEY.public)
SIZES = (3, 1, 4, 2, 5, 3)
DATA, GROUPS = groups(SIZES)
FIRSTS = [one.first_seq for one in GROUPS]
SEGMENTS = {
    1: b"".join(one.data for one in GROUPS[:3]),
    9: b"".join(one.data for one in GROUPS[3:]),
}
LAST = sum(SIZES)


def planned(segments: dict[int, bytes], *, every: bool = False) -> Plan:
    return plan(sorted(segments), segments.__getitem__, KEYS, begin=GENESIS, every=every)


def packed(data: bytes, first_seq: int) -> bytes:
    packer = Packer(first_seq)
    lines = data.split(b"\n")[:-1]
    return b"".join(packer.pack(line + b"\n") for line in lines) + packer.finish()


def test_a_good_log_is_left_alone() -> None:
    made = planned({1: SEGMENTS[1], 9: SEGMENTS[9] + bytes(4096)})

    assert (made.cuts, made.gaps, made.lost_behind) == ([], [], False)
    assert made.head == GROUPS[-1].head


@pytest.mark.parametrize("at", range(len(GROUPS)))
def test_one_damaged_event_costs_at_most_its_group_up_to_it(at: int) -> None:
    """Events behind it in its group are covered by the group's signature."""
    for seq in range(GROUPS[at].first_seq, GROUPS[at].head.seq + 1):
        text = f'"token {seq}"'.encode()
        segments = {first: one.replace(text, text.upper()) for first, one in SEGMENTS.items()}
        made = planned(segments)

        is_at_the_end = seq == LAST
        assert made.lost_behind is is_at_the_end
        if is_at_the_end:
            assert made.head == GROUPS[-2].head
        else:
            assert made.gaps == [Gap(GROUPS[at].first_seq, seq, "damaged")]
            assert made.head == GROUPS[-1].head


@pytest.mark.parametrize("step", [7])
def test_every_flipped_bit_is_found_and_costs_one_group_at_most(step: int) -> None:
    data = bytearray(SEGMENTS[1])
    for bit in range(0, 8 * len(data), step):
        data[bit // 8] ^= 1 << bit % 8
        made = planned({1: bytes(data), 9: SEGMENTS[9]}, every=True)
        data[bit // 8] ^= 1 << bit % 8

        assert len(made.gaps) == 1, bit
        gap = made.gaps[0]
        hit = next(one for one in GROUPS if one.first_seq <= gap.first_seq <= one.head.seq)
        assert gap.last_seq <= hit.head.seq + 1  # a newline is of both its neighbours
        assert made.head == GROUPS[-1].head


@pytest.mark.parametrize(
    ("spoil", "gap"),
    [
        (lambda data: b"", (1, 8)),
        (lambda data: data[: len(GROUPS[0].data) + 5], (4, 8)),
        (lambda data: data[len(GROUPS[0].data) :], (1, 3)),
        (lambda data: data[: len(GROUPS[0].data)] + bytes(300) + data[-900:], (4, 6)),
    ],
)
def test_a_segment_that_lacks_a_part_leaves_a_gap(
    spoil: Callable[[bytes], bytes], gap: tuple[int, int]
) -> None:
    made = planned({1: spoil(SEGMENTS[1]), 9: SEGMENTS[9]})

    assert [(one.first_seq, one.last_seq) for one in made.gaps] == [gap]
    assert made.head == GROUPS[-1].head


def test_a_segment_that_is_gone_is_a_gap() -> None:
    made = plan([9], SEGMENTS.__getitem__, KEYS, begin=GENESIS)

    assert [(one.first_seq, one.last_seq) for one in made.gaps] == [(1, 8)]
    assert made.cuts == []


def test_a_damaged_frame_costs_its_events_alone() -> None:
    stored = bytearray(packed(SEGMENTS[1], 1))
    assert len(stored) < FRAME_BYTES
    stored[40] ^= 1

    made = planned({1: bytes(stored), 9: SEGMENTS[9]})

    assert len(made.gaps) == 1
    assert made.gaps[0].last_seq <= 3
    assert made.head == GROUPS[-1].head


def test_a_segment_of_another_history_is_not_mended() -> None:
    _, others = groups(SIZES, other=True)

    with pytest.raises(NotMendable, match="another history"):
        planned({1: b"".join(one.data for one in others[:3]), 9: SEGMENTS[9]})


def test_what_was_mended_is_found_good() -> None:
    segments = {1: SEGMENTS[1].replace(b'"token 5"', b'"TOKEN 5"'), 9: SEGMENTS[9]}
    (cut,) = planned(segments).cuts

    mended = {run.first_seq: run.data for run in cut.runs} | {9: SEGMENTS[9]}

    assert sorted(mended) == [1, 6, 9]
    again = plan(sorted(mended), mended.__getitem__, KEYS, begin=GENESIS)
    assert again.cuts == []
    assert again.gaps == planned(segments).gaps == [Gap(5, 5, "damaged")]


def test_a_log_without_its_first_events_begins_behind_them() -> None:
    made = plan([9], SEGMENTS.__getitem__, KEYS, begin=GROUPS[2].head)

    assert made.gaps == []
    assert start_of(9).seq == GROUPS[2].head.seq


def test_gaps_are_read_as_they_were_written() -> None:
    gaps = (Gap(1, 3, "damaged"), Gap(7, 7, "gone"))

    assert read_gaps(dump_gaps(gaps[::-1])) == gaps
    for text in (b"", b"{}", b"[1]", b'[{"first_seq":1}]', b"null"):
        with pytest.raises(LocalError):
            read_gaps(text)
