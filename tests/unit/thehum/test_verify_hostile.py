"""The quick look at a line and the full parse agree, whatever a body or a name pretends to be."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.thehum.chains import AUTHOR, KEY, START_MS, group, groups, lines_of, walk

from thehum.core.bodies import draft
from thehum.core.events import GENESIS, ZERO_HASH, Event, Head, hash_of, split_line, stored_line
from thehum.core.groups import GroupBuilder
from thehum.core.verify import Flaw, Walk
from thrum.canonical import dumps

BEFORE = Head(6, "5e" * 32, START_MS)
OTHER = "0f" * 32
TAIL = f'","prev_hash":"{BEFORE.hash}","rid":"r","seq":7,"sid":"s","sig":null,"ts_ms":{START_MS}}}'
TEXTS = st.sampled_from(
    [
        "", ",", '"', "\\", '\\"', "x,", '","seq":7,"sid":', TAIL, TAIL[2:], "," + TAIL, "\n", "\0",
        ',"prev_hash":"' + BEFORE.hash, BEFORE.hash, OTHER, '"},"chi":"c' + TAIL, "é☃",
    ]
)  # fmt: skip
KEYS = TEXTS | st.sampled_from(["prev_hash", "rid", "seq", "sid", "sig", "ts_ms", "chi", "body"])
VALUES = st.recursive(
    TEXTS | st.none() | st.integers(6, 8) | st.just(START_MS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=6),
    max_leaves=12,
)


class Glancing(Walk):
    """A walk that never parses a line."""

    def _parse(self, line: bytes) -> Flaw | None:
        raise AssertionError(f"parsed: {line!r}")


@st.composite
def events(draw: st.DrawFn) -> Event:
    """Events behind `BEFORE`, some of which follow it."""
    return Event(
        author=draw(st.sampled_from([AUTHOR, AUTHOR, AUTHOR, AUTHOR[:-1], "x"])),
        body=dumps(draw(st.dictionaries(KEYS, VALUES, max_size=6))),
        chi=draw(TEXTS),
        prev_hash=draw(st.sampled_from([BEFORE.hash, BEFORE.hash, OTHER])),
        rid=draw(TEXTS),
        seq=draw(st.sampled_from([7, 7, 7, 6, 8, 70])),
        sid=draw(TEXTS | st.none()),
        sig=draw(st.sampled_from([None, None, "ab" * 64])),
        ts_ms=START_MS + draw(st.sampled_from([0, 0, 1, 5000, -1, -START_MS])),
    )


@given(events())
def test_a_quick_look_decides_as_a_full_parse_does(event: Event) -> None:
    line = stored_line(event)[:-1]
    quick, full = walk(BEFORE), walk(BEFORE)

    assert quick.step(line) == full._parse(line)
    assert quick.head == full.head
    assert quick.signed == full.signed
    assert quick.signed_seqs == full.signed_seqs


@given(events(), st.data())
def test_they_agree_on_bytes_that_changed_too(event: Event, data: st.DataObject) -> None:
    """But for the form of what stands before `prev_hash`, which only the parse looks at."""
    line = bytearray(stored_line(event)[:-1])
    at = data.draw(st.integers(line.rindex(b',"prev_hash":"'), len(line) - 1))
    line[at] = data.draw(st.sampled_from(b'09af",:{}\\ '))
    quick, full = walk(BEFORE), walk(BEFORE)

    if quick.step(bytes(line)) is None:
        assert full._parse(bytes(line)) in (None, Flaw.FORM)
        assert quick.seq == full.seq or b'"rid":' in line


@pytest.mark.parametrize(
    "body",
    [
        {"prev_hash": BEFORE.hash, "rid": "r", "seq": 7, "sid": "s", "sig": None, "ts_ms": 1},
        {"a": {"prev_hash": BEFORE.hash, "rid": "r", "seq": 7, "sid": "s"}},
        {"a": TAIL},
        {"a": [TAIL, {"b": '"' + TAIL}], ',"seq":7,"sid":': 1},
    ],
)
def test_a_look_alike_in_the_body_does_not_stand_in_for_the_event(body: object) -> None:
    event = Event(
        author=AUTHOR, body=dumps(body), chi="c", prev_hash=OTHER, rid="r", seq=7, sid="s",
        sig=None, ts_ms=START_MS,
    )  # fmt: skip

    assert walk(BEFORE).step(stored_line(event)[:-1]) is Flaw.PREV_HASH
    wrong_seq = replace(event, prev_hash=BEFORE.hash, seq=9)
    assert walk(BEFORE).step(stored_line(wrong_seq)[:-1]) is Flaw.SEQ


def test_a_chain_of_hostile_bodies_is_taken_without_parsing_a_line() -> None:
    builder = GroupBuilder(AUTHOR, KEY, GENESIS)
    for number in range(9):
        body = dumps({"prev_hash": ZERO_HASH, "rid": TAIL, "seq": number, "sid": None, "x": {}})
        builder.add([draft(chi=TAIL, rid=TAIL, sid=TAIL, body=body)], START_MS + number)
    made = builder.seal()
    position = Glancing(AUTHOR, KEY.public)

    assert position.take(lines_of(made.data)) is None
    assert position.head == made.head
    assert position.signed_seqs == [9]


def test_what_is_hashed_is_the_stored_line_without_its_signature() -> None:
    data, made = groups([1, 5, 1, 3])
    position = Glancing(AUTHOR, KEY.public)

    for line in lines_of(data):
        assert position.step(line) is None
        assert position.head.hash == hash_of(split_line(line)[0])
    assert position.head == made[-1].head
    assert position.signed is not None
    assert position.signed.seq == 10


def test_a_time_with_a_leading_zero_is_another_form() -> None:
    line = lines_of(group(1).data)[0]
    changed = line.replace(b'"ts_ms":', b'"ts_ms":0')

    assert walk().step(changed) is Flaw.FORM
