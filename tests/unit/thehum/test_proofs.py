"""Proof files: read back as written, and never more than they show."""

from contextlib import suppress

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.thehum.chains import AUTHOR, KEY, group, lines_of

from thehum.core.notes import Checkpoint, origin, sign_checkpoint
from thehum.core.proofs import NotProven, Proof, check, dump_proof, event_leaf, read_proof
from thehum.core.tiles import TilesLost, tile_nodes
from thrum.merkle import inclusion, root

LINES = lines_of(group(9).data)
NODE = tile_nodes(lambda *_: None, 0, [event_leaf(line) for line in LINES])
NOTE = sign_checkpoint(Checkpoint(origin(AUTHOR), 9, root(9, NODE)), KEY)


def proof(seq: int) -> Proof:
    return Proof(
        author=AUTHOR,
        public=KEY.public,
        line=LINES[seq - 1],
        inclusion=inclusion(seq - 1, 9, NODE),
        note=NOTE,
    )


DATA = orjson.dumps(dump_proof(proof(4), 4))


@pytest.mark.parametrize("seq", range(1, 10))
def test_a_proof_is_read_back_and_proves_its_event(seq: int) -> None:
    read = read_proof(orjson.dumps(dump_proof(proof(seq), seq)))

    assert read == proof(seq)
    proven = check(read)
    assert (proven.event.seq, proven.checkpoint.size) == (seq, 9)


def test_an_event_is_proven_only_where_it_is() -> None:
    fields = orjson.loads(DATA)
    fields["inclusion"] = [each.hex() for each in proof(5).inclusion]

    with pytest.raises(NotProven, match="not in the log"):
        check(read_proof(orjson.dumps(fields)))


@given(st.binary())
def test_any_file_is_a_proof_or_is_none(data: bytes) -> None:
    with suppress(NotProven):
        check(read_proof(data))


@given(st.integers(0, len(DATA) - 1), st.integers(1, 255))
def test_a_proof_with_a_changed_byte_shows_the_same_event_or_nothing(at: int, change: int) -> None:
    data = DATA[:at] + bytes([DATA[at] ^ change]) + DATA[at + 1 :]
    with suppress(NotProven):
        read = read_proof(data)
        proven = check(read)
        assert (read.line, proven.checkpoint.size) == (LINES[3], 9)


@given(
    st.sampled_from(["author", "pubkey", "seq", "line", "inclusion", "checkpoint", "kind"]),
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    ),
)
def test_a_field_of_another_kind_proves_nothing(key: str, value: object) -> None:
    fields = orjson.loads(DATA)
    fields[key] = value

    with pytest.raises(NotProven):
        check(read_proof(orjson.dumps(fields)))


def test_a_missing_leaf_is_said_and_a_missing_upper_level_is_computed() -> None:
    leaves = [bytes([number]) * 32 for number in range(256)] * 2

    def only_leaves(level: int, start: int, count: int) -> list[bytes] | None:
        return leaves[start : start + count] if level == 0 else None

    assert root(512, tile_nodes(only_leaves, 512, [])) == root(
        512, tile_nodes(only_leaves, 0, leaves)
    )
    with pytest.raises(TilesLost):
        root(512, tile_nodes(lambda *_: None, 512, []))
