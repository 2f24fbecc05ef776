"""A witness and the logs it looks at, all in one process."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.thehum.chains import AUTHOR, KEY, group, lines_of

from thehum.core.notes import BadNote, Checkpoint, origin, sign_checkpoint
from thehum.core.proofs import event_leaf
from thehum.core.witness import (
    Conflict,
    Cosign,
    Head,
    Unproven,
    cosignature,
    cosigned_at,
    decide,
    read_head,
)
from thrum.ids import hid_of
from thrum.keys import SigningKey
from thrum.merkle import Node, consistency, leaf_hash, perfect_root, root

WITNESS = SigningKey.from_seed(b"w" * 32)
NAME = f"hum/{hid_of('humd', WITNESS.public)}/witness"
NOW = 1_700_000_000


class PlayedLog:
    """A log of `count` events; `note` makes it another history of the same author."""

    def __init__(self, count: int, note: str = "", *, shared: int = 0) -> None:
        ours = [event_leaf(line) for line in lines_of(group(count).data)]
        forked = [event_leaf(line) for line in lines_of(group(count, note=note).data)]
        self.leaves = ours[:shared] + forked[shared:] if note else ours

    @property
    def node(self) -> Node:
        return lambda level, index: perfect_root(self.leaves[index << level : index + 1 << level])

    def head(self, size: int, key: SigningKey = KEY, epoch: int = 1) -> Head:
        checkpoint = Checkpoint(origin(AUTHOR, epoch), size, root(size, self.node))
        return read_head(sign_checkpoint(checkpoint, key), public=key.public)

    def proof(self, old: int, size: int) -> list[bytes]:
        return consistency(old, size, self.node)


HONEST = PlayedLog(20)
FORKED = PlayedLog(20, "another story", shared=3)


def test_the_first_head_is_taken_on_trust() -> None:
    assert decide(None, HONEST.head(5), []) == Cosign(HONEST.head(5))


@given(st.integers(1, 20), st.integers(1, 20))
def test_a_log_that_only_grows_is_always_signed_for(old: int, new: int) -> None:
    old, new = min(old, new), max(old, new)

    verdict = decide(HONEST.head(old), HONEST.head(new), HONEST.proof(old, new))

    assert verdict == Cosign(HONEST.head(new))


@given(st.integers(4, 20), st.integers(4, 20), st.booleans())
def test_no_two_histories_are_both_signed_for(old: int, new: int, honest_proof: bool) -> None:
    prover = HONEST if honest_proof else FORKED
    proof = prover.proof(min(old, new), max(old, new))

    verdict = decide(HONEST.head(old), FORKED.head(new), proof)

    if old == new:
        assert verdict == Conflict(HONEST.head(old), FORKED.head(new))
    else:
        assert isinstance(verdict, Unproven)
        assert verdict.size == old


def test_of_two_heads_that_race_one_is_signed_for_and_both_are_evidence() -> None:
    for first, second in ((HONEST, FORKED), (FORKED, HONEST)):
        held = HONEST.head(3)
        verdict = decide(held, first.head(9), first.proof(3, 9))
        assert isinstance(verdict, Cosign)

        late = decide(verdict.held, second.head(9), second.proof(3, 9))

        assert isinstance(late, Conflict)
        notes = [late.first.note, late.second.note]
        again = [read_head(note, public=KEY.public).checkpoint for note in notes]
        assert again[0].size == again[1].size
        assert again[0].root != again[1].root


def test_a_head_that_is_shown_twice_is_the_one_that_is_held() -> None:
    assert decide(HONEST.head(5), HONEST.head(5), []) == Cosign(HONEST.head(5))


def test_a_witness_does_not_go_back() -> None:
    verdict = decide(HONEST.head(9), HONEST.head(5), HONEST.proof(5, 9))

    assert verdict == Unproven(9, "the head is older: 5 events")


def test_another_life_of_a_log_is_another_log() -> None:
    with pytest.raises(BadNote):
        decide(HONEST.head(5), HONEST.head(6, epoch=2), HONEST.proof(5, 6))


def test_nobody_else_signs_heads_of_a_log() -> None:
    with pytest.raises(BadNote):
        HONEST.head(5, key=WITNESS)


def test_a_cosignature_says_who_and_when() -> None:
    held = HONEST.head(5)
    line = cosignature(held, WITNESS, name=NAME, at_seconds=NOW)

    note = held.note + line

    assert cosigned_at(note, name=NAME, public=WITNESS.public) == NOW
    assert read_head(note, public=KEY.public).checkpoint == held.checkpoint
    assert cosigned_at(held.note, name=NAME, public=WITNESS.public) is None
    assert cosigned_at(note, name=NAME, public=KEY.public) is None
    other = HONEST.head(6).note + line
    with pytest.raises(BadNote):
        cosigned_at(other, name=NAME, public=WITNESS.public)


def test_the_leaves_of_two_histories_differ_only_behind_the_fork() -> None:
    assert HONEST.leaves[:3] == FORKED.leaves[:3]
    assert HONEST.leaves[3] != FORKED.leaves[3] != leaf_hash(b"")
