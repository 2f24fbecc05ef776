"""Where a reader stands, and what it is refused."""

import pytest

from thehum.core.cursors import (
    CURSORS_MAX,
    Cursor,
    CursorRefused,
    asked_of,
    dump_cursors,
    lapsed,
    read_cursors,
)
from thrum.errors import Qualifier


def test_an_unknown_cursor_begins_with_the_oldest_event_or_where_it_says() -> None:
    assert asked_of({}, {"cursor": "a"}, first_seq=5, head_seq=9) == ("a", Cursor(4))
    assert asked_of({}, {"cursor": "a", "acked": 7}, first_seq=5, head_seq=9) == ("a", Cursor(7))


def test_an_acknowledgement_never_goes_back() -> None:
    table = {"a": Cursor(7)}

    assert asked_of(table, {"cursor": "a", "acked": 3}, first_seq=1, head_seq=9)[1] == Cursor(7)
    assert asked_of(table, {"cursor": "a"}, first_seq=1, head_seq=9)[1] == Cursor(7)


@pytest.mark.parametrize(
    "asked",
    [{"cursor": ""}, {"cursor": "a/b"}, {"cursor": 1}, {"cursor": "x" * 65},
     {"cursor": "a", "acked": 10}, {"cursor": "a", "acked": -1}, {"cursor": "a", "acked": True},
     {"cursor": "a", "acked": "3"}],
)  # fmt: skip
def test_what_is_no_request_is_refused(asked: dict[str, object]) -> None:
    with pytest.raises(CursorRefused) as refused:
        asked_of({}, asked, first_seq=1, head_seq=9)

    assert refused.value.qualifier is Qualifier.TONE_MALFORMED


def test_one_cursor_too_many_is_refused() -> None:
    table = {f"c{number}": Cursor(0) for number in range(CURSORS_MAX)}

    with pytest.raises(CursorRefused) as refused:
        asked_of(table, {"cursor": "more"}, first_seq=1, head_seq=9)

    assert refused.value.qualifier is Qualifier.QUEUE_OVERFLOW
    assert asked_of(table, {"cursor": "c0"}, first_seq=1, head_seq=9)[1] == Cursor(0)


def test_a_lapsed_cursor_is_told_so_until_it_begins_anew() -> None:
    table = lapsed({"a": Cursor(3), "b": Cursor(8)}, upto_seq=5)
    assert table == {"a": Cursor(3, is_lapsed=True)}

    with pytest.raises(CursorRefused) as refused:
        asked_of(table, {"cursor": "a", "acked": 9}, first_seq=6, head_seq=9)

    assert refused.value.qualifier is Qualifier.LOG_BEHIND
    anew = asked_of(table, {"cursor": "a", "anew": True}, first_seq=6, head_seq=9)
    assert anew == ("a", Cursor(5))


def test_one_that_asks_for_what_is_gone_is_told_so() -> None:
    with pytest.raises(CursorRefused) as refused:
        asked_of({}, {"cursor": "a", "acked": 2}, first_seq=6, head_seq=9)

    assert refused.value.qualifier is Qualifier.LOG_BEHIND


def test_a_table_comes_back_from_its_file() -> None:
    table = {"a": Cursor(3, is_lapsed=True), "b": Cursor(8)}

    assert read_cursors(dump_cursors(table)) == table


@pytest.mark.parametrize("data", [b"", b"[]", b'{"a":1}', b'{"a":[1]}', b"\x00"])
def test_any_other_file_is_none(data: bytes) -> None:
    with pytest.raises((ValueError, TypeError)):
        read_cursors(data)
