"""Compressed segments: the same bytes come back, and no bit changes unseen."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.thehum.chains import AUTHOR, KEY, groups

from thehum.core import sealed
from thehum.core.audit import Author, audit
from thehum.core.verify import Flaw

OWNER = Author(hid=AUTHOR, public=KEY.public)
_, GROUPS = groups([30, 20, 40])


def packed(parts: list[bytes], first_seq: int) -> bytes:
    packer = sealed.Packer(first_seq)
    return b"".join([packer.pack(part) for part in parts]) + packer.finish()


PLAIN = b"".join(made.data for made in GROUPS)
PACKED = packed([made.data for made in GROUPS], 1)


def test_the_lines_come_back_byte_for_byte() -> None:
    assert sealed.is_packed(PACKED)
    assert sealed.unpack(PACKED) == (PLAIN, True)


def test_a_plain_segment_is_given_back_as_it_is() -> None:
    assert sealed.unpack(PLAIN) == (PLAIN, True)
    assert sealed.unpack(bytes(512)) == (bytes(512), True)


def test_a_seq_is_found_by_the_index() -> None:
    frames = sealed.read_index(PACKED[-sealed.index_bytes(PACKED[-44:]) :], len(PACKED))

    assert [frame.first_seq for frame in frames] == [1, 31, 51]
    assert [sealed.frame_of(frames, seq) for seq in (1, 30, 31, 50, 51, 999)] == [0, 0, 1, 1, 2, 2]
    second = frames[1]
    stored = PACKED[second.offset : second.offset + second.stored_bytes]
    assert sealed.unpack_frame(second, stored) == GROUPS[1].data


def test_every_flipped_bit_of_the_file_is_detected() -> None:
    """`reliability F6`."""
    for at in range(len(PACKED)):
        changed = bytearray(PACKED)
        changed[at] ^= 1 << at % 8

        found = audit([1], {1: bytes(changed)}.__getitem__, OWNER)

        assert found.damage is not None, at


@given(st.integers(0, len(PACKED) - 1))
def test_a_file_cut_anywhere_is_detected(cut: int) -> None:
    lines, is_whole = sealed.unpack(PACKED[:cut])

    assert not is_whole or not sealed.is_packed(PACKED[:cut])
    assert PLAIN.startswith(lines) or cut < 4


@given(st.binary(max_size=300))
def test_whatever_a_file_holds_is_bytes_or_a_documented_error(junk: bytes) -> None:
    sealed.unpack(b"\x28\xb5\x2f\xfd" + junk)
    sealed.unpack(PACKED[: -len(junk) or None] + junk)
    with suppress(sealed.BrokenSegment):
        sealed.read_index(junk, len(junk))


def test_damage_in_a_frame_is_named_by_the_first_event_that_is_lost() -> None:
    frames = sealed.read_index(PACKED[-sealed.index_bytes(PACKED[-44:]) :], len(PACKED))
    changed = bytearray(PACKED)
    changed[frames[1].offset + 40] ^= 1
    others = [bytes(changed), groups([1])[0]]

    found = audit([1, 91], lambda first: others[first == 91], OWNER)

    assert found.damage is not None
    assert (found.damage.seq, found.damage.flaw) == (31, Flaw.STORAGE)
    assert found.events == 30


def test_damage_in_the_index_alone_is_named_within_its_segment() -> None:
    changed = PACKED[:-60] + bytes([PACKED[-60] ^ 1]) + PACKED[-59:]

    found = audit([1, 91], lambda _: changed, OWNER)

    assert found.damage is not None
    assert found.damage.flaw is Flaw.STORAGE
    assert found.damage.seq <= 90


def test_a_log_of_both_forms_is_good() -> None:
    files = {
        1: packed([GROUPS[0].data], 1),
        31: packed([GROUPS[1].data], 31),
        51: GROUPS[2].data + bytes(99),
    }

    found = audit([1, 31, 51], files.__getitem__, OWNER, every=True, remembered_seq=90)

    assert found.damage is None
    assert (found.events, found.head) == (90, GROUPS[2].head)


@pytest.mark.parametrize("keep", [43, 44, 60])
def test_an_index_that_is_cut_is_refused(keep: int) -> None:
    with pytest.raises(sealed.BrokenSegment):
        sealed.read_index(PACKED[-keep:], len(PACKED))
