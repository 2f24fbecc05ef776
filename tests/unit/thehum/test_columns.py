"""Columns of lines: the same bytes come back, whatever they say; what is no columns is refused."""

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.thehum.chains import AUTHOR, KEY, START_MS, groups, lines_of

from thehum.core.bodies import draft
from thehum.core.columns import BrokenColumns, join_lines, split_lines
from thehum.core.events import GENESIS
from thehum.core.groups import GroupBuilder, Signing
from thrum.canonical import dumps

TEXTS = st.sampled_from(
    ["", "a", "7", "x7y", "%", "%b", 'q"', "\\", "é☃\n\0", "x:", "}", ",", ':"a"}', ',"sig":', "00"]
) | st.text(max_size=6)
VALUES = st.recursive(
    TEXTS
    | st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=8,
)
BODIES = st.lists(st.dictionaries(TEXTS, VALUES, max_size=4), min_size=1, max_size=8)
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.binary(max_size=4) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4),
)
LONE_BYTES_MAX = 24
"""Of a token's event but for its signature."""


def chain(bodies: list[dict[str, object]], signing: Signing, texts: list[str]) -> list[bytes]:
    """Lines of events with these bodies; their other texts are taken in turn."""
    builder = GroupBuilder(AUTHOR, KEY, GENESIS, signing=signing)
    for at, body in enumerate(bodies):
        chi, rid, sid = (texts[(at + shift) % len(texts)] for shift in range(3))
        builder.add([draft(chi=chi, rid=rid, sid=sid or None, body=dumps(body))], START_MS + at % 3)
    return lines_of(builder.seal().data)


def there_and_back(lines: list[bytes]) -> list[bytes]:
    columns, signatures = split_lines(lines)
    return join_lines(columns, signatures, bytes_max=sum(map(len, lines)) + len(lines))


@given(BODIES, st.sampled_from(Signing), st.lists(TEXTS, min_size=1, max_size=4))
def test_lines_come_back_byte_for_byte(
    bodies: list[dict[str, object]], signing: Signing, texts: list[str]
) -> None:
    lines = chain(bodies, signing, texts)

    assert there_and_back(lines) == lines
    assert there_and_back(lines[len(lines) // 2 :]) == lines[len(lines) // 2 :]


def test_a_token_of_a_stream_costs_little_more_than_its_signature() -> None:
    lines = lines_of(groups([1] * 400)[0])

    columns, signatures = split_lines(lines)

    assert len(signatures) == 400 * 64
    assert len(columns) < 400 * LONE_BYTES_MAX


def test_a_hash_that_is_not_that_of_the_line_before_does_not_come_back() -> None:
    """So whoever splits must compare, and does."""
    lines = lines_of(groups([1] * 3)[0])
    lines[2] = lines[2].replace(b'"prev_hash":"', b'"prev_hash":"0', 1)

    assert there_and_back(lines) != lines


@pytest.mark.parametrize("line", [b"", b"{}", b'{"prev_hash":1}', b'{"a":1,"prev_hash":"ab"}'])
def test_what_is_no_line_has_no_columns(line: bytes) -> None:
    with pytest.raises(BrokenColumns):
        split_lines([line])


@given(JUNK | st.tuples(st.binary(max_size=40), JUNK, JUNK), st.binary(max_size=130))
def test_any_columns_are_lines_or_a_documented_error(junk: object, signatures: bytes) -> None:
    try:
        found = join_lines(msgpack.packb(junk), signatures, bytes_max=1_000)
    except BrokenColumns:
        return
    assert sum(map(len, found)) <= 1_000


@given(st.data())
def test_changed_columns_are_lines_or_a_documented_error(data: st.DataObject) -> None:
    columns, signatures = split_lines(lines_of(groups([3, 1, 1])[0]))
    changed = bytearray(columns)
    for _ in range(data.draw(st.integers(1, 3))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = join_lines(bytes(changed), signatures, bytes_max=10_000)
    except BrokenColumns:
        return
    assert sum(map(len, found)) <= 10_000


def test_few_columns_that_would_make_many_bytes_are_refused() -> None:
    """A column that is named again and again is no way to fill the memory."""
    count = 50
    text = b"\n".join([b"x" * 1_000] * count)
    bomb = [b"\0" * 32, [0] * count, [[[b""] * 10_001 + [b"", b""], [text, *[0] * 10_000, None]]]]

    with pytest.raises(BrokenColumns, match="more than"):
        join_lines(msgpack.packb(bomb), b"", bytes_max=1_000_000)
