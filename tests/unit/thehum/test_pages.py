"""Pages of stored lines, and names of segments."""

import pytest
from tests.unit.thehum.chains import AUTHOR, KEY, groups, lines_of

from thehum.core import names
from thehum.core.bodies import draft
from thehum.core.events import GENESIS
from thehum.core.groups import GroupBuilder
from thehum.core.pages import PAGE_EVENTS_MAX, Page, PageLimits
from thehum.core.pages import lines_of as lines_of_segment
from thrum.canonical import dumps


def fill(page: Page, lines: list[bytes], first_seq: int = 1) -> None:
    for seq, line in enumerate(lines, first_seq):
        if not page.take(line, seq):
            return


def test_a_page_is_full_at_its_number_of_events() -> None:
    page = Page(PageLimits(events_max=3))

    fill(page, [b"a", b"b", b"c", b"d"])

    assert page.lines == [b"a", b"b", b"c"]
    assert page.next_seq == 4


def test_a_page_ends_before_the_event_that_would_be_too_much() -> None:
    page = Page(PageLimits(bytes_max=10))

    fill(page, [b"aaaa", b"bbbb", b"cccc"])

    assert page.lines == [b"aaaa", b"bbbb"]
    assert page.next_seq == 3


def test_a_single_larger_event_goes_alone() -> None:
    page = Page(PageLimits(bytes_max=10))

    fill(page, [b"a" * 50, b"b"])

    assert page.lines == [b"a" * 50]
    assert page.next_seq == 2


def test_a_smaller_limit_is_kept_and_a_larger_one_is_not() -> None:
    assert PageLimits().at_most(7).events_max == 7
    assert PageLimits().at_most(100_000).events_max == PAGE_EVENTS_MAX


@pytest.mark.parametrize("sid", ["hum-X", 'with "quotes"', "é", ""])
def test_a_filtered_page_holds_that_sid_alone_and_counts_the_others(sid: str) -> None:
    decoy = {"nested": {"seq": 1, "sid": sid, "sig": None, "ts_ms": 1}, "text": f',"sid":"{sid}"'}
    builder = GroupBuilder(AUTHOR, KEY, GENESIS)
    for own in (sid, "other", None, sid):
        builder.add([draft(chi="chunk", rid="r", sid=own, body=dumps(decoy))], 1)
    lines = lines_of(builder.seal().data)
    page = Page(PageLimits(), sid=sid)

    fill(page, lines)

    assert page.lines == [lines[0], lines[3]]
    assert page.next_seq == 5


def test_lines_end_where_the_zeros_begin_and_at_the_last_newline() -> None:
    data, _ = groups([2])

    assert len(lines_of_segment(data + bytes(100))) == 2
    assert len(lines_of_segment(data[:-1])) == 1
    assert lines_of_segment(b"") == []


def test_segments_are_named_by_their_first_seq_and_sort_by_it() -> None:
    assert names.segment_name(65_537) == "00000000000000065537.ndjson"
    assert names.segment_seq("00000000000000065537.ndjson") == 65_537
    assert names.segment_name(9) < names.segment_name(10)


@pytest.mark.parametrize("name", ["spare.ndjson", "1.ndjson", "author.json", "x" * 20 + ".ndjson"])
def test_other_files_are_no_segments(name: str) -> None:
    assert names.segment_seq(name) is None
