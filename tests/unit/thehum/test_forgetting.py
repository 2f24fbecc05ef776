"""Orders to forget: found in what is appended, kept in notes."""

import pytest
from tests.unit.thehum.chains import AUTHOR, KEY, keep

from thehum.core.bodies import Via, read_drafts
from thehum.core.events import GENESIS
from thehum.core.forgetting import (
    Done,
    NotAnOrder,
    Order,
    dump_note,
    may_order,
    order_in,
    orders_in,
    read_note,
)
from thehum.core.groups import GroupBuilder
from thrum import frames
from thrum.frames import Header


def parcels(*headers: Header) -> bytes:
    return b"".join(frames.pack(header, {"content": "forget"}) for header in headers)


def test_an_order_is_found_by_what_it_is_not_by_what_is_said() -> None:
    run = parcels(
        Header("prompt", "r", "forget"), Header("forget", "r", 's"1'), Header("forget", "r"),
        Header("chunk", 'r","chi":"forget","prev_hash":"', "s"), Header("forget", "r", "s2"),
    )  # fmt: skip
    drafts, _ = read_drafts(
        run, via=Via("e.1", "c", None), mint=str, keep=keep(), first_seq=5
    )  # fmt: skip
    builder = GroupBuilder(AUTHOR, KEY, GENESIS)
    builder.add(drafts, 1)
    lines = builder.seal().data.split(b"\n")[:-1]

    assert may_order(run)
    assert orders_in(drafts, 5) == [Order(6, 's"1'), Order(9, "s2")]
    assert [order_in(line) for line in lines] == [
        None, Order(2, 's"1'), None, None, Order(5, "s2"),
    ]  # fmt: skip


def test_ordinary_tones_cost_no_look() -> None:
    assert not may_order(frames.pack(Header("chunk", "r", "s"), {"delta": "remember"}))


def test_what_is_no_line_is_no_order() -> None:
    assert order_in(b"not an event") is None


@pytest.mark.parametrize("done", [None, Done(0, 0), Done(3, 10_000_000, is_whole=False)])
def test_a_note_comes_back_as_it_was(done: Done | None) -> None:
    assert read_note(dump_note(Order(7, "hum-ß"), done)) == (Order(7, "hum-ß"), done)


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b'{"seq":"x","sid":1}', b'{"seq":1}', b"\xff"])
def test_what_is_no_note_is_refused(data: bytes) -> None:
    with pytest.raises(NotAnOrder):
        read_note(data)
