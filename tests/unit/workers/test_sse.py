"""Server-sent events, in whatever pieces they arrive."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.core.sse import EVENT_BYTES_MAX, EventTooLarge, SseParser

LINES = st.sampled_from(
    [
        b"data: one",
        b"data:two",
        b"data",
        b"",
        b": comment",
        b"event: x",
        b"id: 1",
        b"data: \xc3\xa9",
    ]
)
ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])


def parsed(*pieces: bytes) -> list[bytes]:
    parser = SseParser()
    return [event for piece in pieces for event in parser.feed(piece)]


@given(st.lists(st.tuples(LINES, ENDS)), st.lists(st.integers(0, 200)))
def test_every_split_of_the_bytes_gives_the_same_events(
    lines: list[tuple[bytes, bytes]], cuts: list[int]
) -> None:
    stream = b"".join(line + end for line, end in lines)
    places = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})

    pieces = [stream[a:b] for a, b in pairwise(places)]

    assert parsed(*pieces) == parsed(stream)


@given(st.binary(max_size=200))
def test_any_bytes_are_events_or_nothing(noise: bytes) -> None:
    assert all(isinstance(event, bytes) for event in parsed(noise))


def test_data_lines_of_one_event_are_joined_by_a_line_feed() -> None:
    assert parsed(b"data: a\ndata:b\ndata\n\ndata: c\n\n") == [b"a\nb\n", b"c"]


def test_comments_other_fields_and_a_cut_off_event_are_dropped() -> None:
    assert parsed(b": ping\n\nevent: x\nid: 1\ndata: a\n\ndata: cut") == [b"a"]


def test_a_byte_order_mark_is_no_part_of_the_first_line() -> None:
    assert parsed(b"\xef\xbb\xbfdata: a\n\n") == [b"a"]


def test_carriage_returns_end_lines_even_when_split_from_their_line_feed() -> None:
    assert parsed(b"data: a\r", b"\n\r", b"\ndata: b\r\r") == [b"a", b"b"]


@pytest.mark.parametrize("line_end", [b"", b"\n"])
def test_an_event_over_the_bound_is_refused(line_end: bytes) -> None:
    parser = SseParser()
    fifth = b"data:" + b"x" * (EVENT_BYTES_MAX // 5) + line_end
    for _ in range(4):
        parser.feed(fifth)

    with pytest.raises(EventTooLarge):
        parser.feed(fifth)


def test_comments_between_events_do_not_count_towards_the_bound() -> None:
    parser = SseParser()
    for _ in range(6):
        assert parser.feed(b":" + b"x" * (EVENT_BYTES_MAX // 5) + b"\n") == []
