"""Cutting bytes into lines."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from thrumd.core.splitter import Splitter

LINE_MAX = 8


def cut(data: bytes, at: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in at)})
    return [data[start:end] for start, end in pairwise(edges)]


@given(st.lists(st.binary(max_size=12)), st.lists(st.integers(0, 1_000)))
def test_lines_are_the_same_however_the_bytes_arrive(lines: list[bytes], places: list[int]) -> None:
    lines = [line.replace(b"\n", b"") for line in lines]
    splitter = Splitter(LINE_MAX)
    data = b"".join(line + b"\n" for line in lines)

    found = [line for piece in cut(data, places) for line in splitter.feed(piece)]

    assert found == [line if len(line) <= LINE_MAX else None for line in lines]
    assert splitter.waiting_bytes == 0
    assert not splitter.is_inside_line


def test_an_unfinished_line_waits() -> None:
    splitter = Splitter(LINE_MAX)

    assert splitter.feed(b"a\nbc") == [b"a"]
    assert (splitter.waiting_bytes, splitter.is_inside_line) == (2, True)
    assert splitter.feed(b"d\n") == [b"bcd"]


def test_a_line_over_the_limit_is_told_once_and_not_kept() -> None:
    splitter = Splitter(LINE_MAX)

    assert splitter.feed(b"123456789") == [None]
    assert splitter.waiting_bytes == 0
    assert splitter.feed(b"0" * 100) == []
    assert splitter.is_inside_line
    assert splitter.feed(b"0\nnext\n") == [b"next"]


def test_a_line_of_exactly_the_limit_is_kept() -> None:
    assert Splitter(LINE_MAX).feed(b"12345678\n") == [b"12345678"]


def test_a_line_given_up_ends_at_its_newline() -> None:
    splitter = Splitter(LINE_MAX)
    splitter.feed(b"abc")

    splitter.skip()

    assert splitter.waiting_bytes == 0
    assert splitter.feed(b"def\nx\n") == [b"x"]
