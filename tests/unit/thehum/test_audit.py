"""A whole log, segment by segment."""

from dataclasses import replace
from itertools import pairwise

import pytest
from tests.unit.thehum.chains import AUTHOR, KEY, groups

from thehum.core.audit import Author, Report, Vouched, audit, vouch
from thehum.core.keys import KeyChain
from thehum.core.verify import Flaw

OWNER = Author(hid=AUTHOR, public=KEY.public)
_, GROUPS = groups([3, 2, 4])
SEGMENTS = {made.first_seq: made.data for made in GROUPS}


def report(segments: dict[int, bytes], *, every: bool = False, remembered_seq: int = 0) -> Report:
    """What an audit says, which is the same when its sealed segments are vouched for."""
    firsts = sorted(segments)
    next_of = dict(pairwise(firsts))

    def vouched(first_seq: int) -> Vouched | None:
        return vouch(segments[first_seq], OWNER, first_seq, next_of[first_seq] - 1, every=every)

    found, same = (
        audit(firsts, segments.__getitem__, OWNER, every=every, remembered_seq=remembered_seq,
              vouched=by)
        for by in (lambda _: None, vouched)
    )  # fmt: skip
    assert found == same
    return found


@pytest.mark.parametrize("every", [False, True])
def test_a_good_log_is_good(every: bool) -> None:
    found = report(SEGMENTS, every=every, remembered_seq=9)

    assert found.damage is None
    assert (found.first_seq, found.events, found.segments, found.signatures) == (1, 9, 3, 3)
    assert found.head == GROUPS[-1].head
    assert found.unfinished_bytes == 0


def test_an_empty_log_is_good() -> None:
    assert report({}).damage is None
    assert report({1: b""}).events == 0


def test_a_log_whose_old_segments_are_gone_is_good() -> None:
    found = report({4: SEGMENTS[4], 6: SEGMENTS[6]})

    assert found.damage is None
    assert (found.first_seq, found.events) == (4, 6)


def test_a_missing_segment_is_named_by_its_first_event() -> None:
    found = report({1: SEGMENTS[1], 6: SEGMENTS[6]})

    assert found.damage is not None
    assert (found.damage.seq, found.damage.flaw) == (4, Flaw.MISSING)


def test_a_log_shorter_than_remembered_is_cut_short() -> None:
    found = report({1: SEGMENTS[1]}, remembered_seq=9)

    assert found.damage is not None
    assert (found.damage.seq, found.damage.flaw) == (4, Flaw.MISSING)


def test_a_segment_swapped_for_that_of_another_history_is_named() -> None:
    _, others = groups([3, 2], other=True)

    found = report({**SEGMENTS, 4: others[1].data})

    assert found.damage is not None
    assert found.damage.seq == 4
    assert found.events == 3


def test_a_sealed_segment_with_half_a_line_is_damaged() -> None:
    found = report({**SEGMENTS, 1: SEGMENTS[1] + b"{"})

    assert found.damage is not None
    assert (found.damage.seq, found.damage.flaw) == (4, Flaw.FORM)


def test_a_group_that_is_being_written_is_no_damage() -> None:
    found = report({**SEGMENTS, 6: SEGMENTS[6][:-30] + bytes(512)})

    assert found.damage is None
    assert found.head == GROUPS[1].head
    assert found.unfinished_bytes == len(SEGMENTS[6]) - 30


def test_what_looked_damaged_while_it_grew_is_read_once_more() -> None:
    growing = iter([SEGMENTS[6].replace(b"token 7", b"token 8"), SEGMENTS[6]])

    found = audit(
        sorted(SEGMENTS), lambda first: next(growing) if first == 6 else SEGMENTS[first], OWNER
    )

    assert found.damage is None
    assert found.events == 9


def test_damage_in_the_newest_segment_stays_damage() -> None:
    found = report({**SEGMENTS, 6: SEGMENTS[6].replace(b"token 7", b"token 8")})

    assert found.damage is not None
    assert found.damage.group_first_seq == 6
    assert found.head == GROUPS[1].head


def test_progress_is_told_after_each_segment() -> None:
    told: list[int] = []

    audit(sorted(SEGMENTS), SEGMENTS.__getitem__, OWNER, progress=told.append)

    assert told == [3, 5, 9]


def test_a_good_segment_is_vouched_for() -> None:
    middle = vouch(SEGMENTS[4], OWNER, 4, 5)

    assert middle is not None
    assert middle.head == GROUPS[1].head
    assert middle.follows(GROUPS[0].head, KeyChain(KEY.public))
    assert not middle.follows(GROUPS[2].head, KeyChain(KEY.public))
    assert not middle.follows(
        replace(GROUPS[0].head, ts_ms=middle.first_ts_ms + 1), KeyChain(KEY.public)
    )


@pytest.mark.parametrize(
    "data",
    [
        b"",
        SEGMENTS[4][:-1],
        SEGMENTS[4] + b"x",
        SEGMENTS[4][: SEGMENTS[4].index(b"\n") + 1],
        SEGMENTS[4].replace(b'"chi"', b'"chx"', 1),
        SEGMENTS[1],
        b"\x28\xb5\x2f\xfd" + SEGMENTS[4],
    ],
)
def test_what_is_not_good_through_and_through_is_not_vouched_for(data: bytes) -> None:
    assert vouch(data, OWNER, 4, 5) is None


def test_another_history_is_not_vouched_for_behind_this_one() -> None:
    _, others = groups([3, 2], other=True)
    stranger = vouch(others[1].data, OWNER, 4, 5)

    assert stranger is not None
    assert not stranger.follows(GROUPS[0].head, KeyChain(KEY.public))
