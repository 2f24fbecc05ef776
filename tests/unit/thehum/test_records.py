"""The files of bodies, as bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thehum.core.keeping import Aside
from thehum.core.records import NO_SID, BrokenRecord, Record, is_of, pack, read_records

SALT = b"s" * 32
asides = st.builds(
    Aside,
    st.integers(1, 2**53),
    st.none() | st.text(max_size=20),
    st.binary(min_size=32, max_size=32),
    st.binary(max_size=200),
)


def records(data: bytes, offset: int = 0) -> list[Record]:
    return list(
        read_records(lambda at, length: data[at : at + length], len(data), offset)
    )  # fmt: skip


@given(st.lists(asides, max_size=5))
def test_what_was_packed_is_found(put: list[Aside]) -> None:
    data = b"".join(map(pack, put))

    found = records(data)

    assert [
        Aside(one.seq, one.sid, one.salt, data[one.body_offset : one.end]) for one in found
    ] == put
    assert [record.offset for record in found] == [0, *(record.end for record in found[:-1])][
        : len(put)
    ]
    assert all(records(data, record.offset)[0] == record for record in found)


@given(st.lists(asides, min_size=1, max_size=3), st.data())
def test_a_file_that_was_cut_says_where(put: list[Aside], data: st.DataObject) -> None:
    whole = b"".join(map(pack, put))
    cut = data.draw(st.integers(1, len(whole) - 1))
    starts = {record.offset for record in records(whole)}

    if cut in starts:
        assert len(records(whole[:cut])) < len(put)
    else:
        with pytest.raises(BrokenRecord):
            records(whole[:cut])


def test_garbage_where_a_record_should_begin_is_named() -> None:
    data = pack(Aside(1, "s", SALT, b"x"))

    with pytest.raises(BrokenRecord, match=f"byte {len(data)}"):
        records(data + b"garbage" * 20)


def test_a_record_belongs_to_its_sid_and_to_no_other() -> None:
    (record,) = records(pack(Aside(1, "café", SALT, b"x")))
    (without,) = records(pack(Aside(1, None, SALT, b"x")))

    assert is_of(record, "café")
    assert not is_of(record, "caf")
    assert not is_of(without, "")


def test_a_sid_of_absurd_length_is_still_found() -> None:
    sid = "é" * NO_SID

    (record,) = records(pack(Aside(1, sid, SALT, b"x")))

    assert is_of(record, sid)
