"""What a witness answers, one head after the other (reliability 4.5, features C9)."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.thehum.chains import AUTHOR, KEY
from tests.unit.thehum.test_witness import FORKED, HONEST, NAME, WITNESS, PlayedLog

from thehum.core import witnessing
from thehum.core.cosigned import dump_cosigned, newer, read_cosigned, witness_name
from thehum.core.notes import BadNote
from thehum.core.witness import Conflict, Unproven, cosignature
from thehum.core.witnessing import (
    Asked,
    Busy,
    Record,
    Sign,
    Witnessed,
    dump_conflict,
    dump_head,
    read_asked,
    read_record,
)
from thrum.ids import hid_of
from thrum.keys import SigningKey

OWN = str(hid_of("humd", WITNESS.public))


def asks(log: PlayedLog, size: int, old: int = 0) -> Asked:
    return Asked(head=log.head(size), public=KEY.public, proof=log.proof(old, size))


@pytest.fixture
def witness() -> Witnessed:
    return Witnessed(OWN)


def holds(witness: Witnessed, log: PlayedLog, size: int) -> None:
    verdict = witness.ask(asks(log, size))
    assert isinstance(verdict, Record)
    witness.recorded(verdict.head)


def test_a_first_head_is_recorded_and_then_signed_for(witness: Witnessed) -> None:
    verdict = witness.ask(asks(HONEST, 5))

    assert verdict == Record(HONEST.head(5))
    assert witness.recorded(HONEST.head(5)) == Sign(HONEST.head(5))
    assert witness.ask(asks(HONEST, 5)) == Sign(HONEST.head(5)), "again, at once"


def test_a_head_that_is_not_recorded_yet_is_signed_for_by_nobody(witness: Witnessed) -> None:
    witness.ask(asks(HONEST, 5))

    assert isinstance(witness.ask(asks(HONEST, 5)), Busy)
    assert isinstance(witness.ask(asks(HONEST, 9, 5)), Busy)


def test_of_two_heads_that_race_one_is_recorded_and_both_are_evidence(witness: Witnessed) -> None:
    assert isinstance(witness.ask(asks(HONEST, 5)), Record)

    verdict = witness.ask(asks(FORKED, 5))

    assert verdict == Conflict(HONEST.head(5), FORKED.head(5))
    assert witness.ask(asks(HONEST, 5)) == verdict
    assert witness.ask(asks(HONEST, 9, 5)) == verdict, "nothing of that log is signed any more"


def test_a_second_history_is_caught_whatever_was_held(witness: Witnessed) -> None:
    holds(witness, HONEST, 7)

    assert witness.ask(asks(FORKED, 9, 7)) == Unproven(7, "no proof that it goes on from ours")
    assert isinstance(witness.ask(asks(FORKED, 7)), Conflict)
    assert witness.held[AUTHOR] == HONEST.head(7), "what was agreed stays"


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 20), st.integers(0, 20)), max_size=12))
def test_two_histories_are_never_both_signed_for(
    questions: list[tuple[bool, int, int]],
) -> None:
    """`reliability F8`: a fork is never held beside the truth, and no honest log is accused."""
    witness, signed = Witnessed(OWN), list[tuple[bool, int]]()
    for is_fork, size, old in questions:
        log = FORKED if is_fork and size > 3 else HONEST
        verdict = witness.ask(asks(log, size, min(old, size)))
        if isinstance(verdict, Record):
            verdict = witness.recorded(verdict.head)
        if isinstance(verdict, Sign):
            signed.append((log is FORKED, size))

    assert len({is_fork for is_fork, size in signed if size > 3}) <= 1
    assert [size for _, size in signed] == sorted(size for _, size in signed)
    if not any(is_fork and size > 3 for is_fork, size, _ in questions):
        assert witness.conflicts == {}


def test_nobody_witnesses_for_himself() -> None:
    with pytest.raises(BadNote, match="our own log"):
        Witnessed(AUTHOR).ask(asks(HONEST, 5))


def test_logs_beyond_the_bound_are_refused(
    witness: Witnessed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(witnessing, "WITNESSED_MAX", 1)
    witness.held["humd_another"] = HONEST.head(1)

    assert isinstance(witness.ask(asks(HONEST, 5)), Busy)


def body_of(asked: Asked, **more: Any) -> dict[str, Any]:
    proof = [each.hex() for each in asked.proof]
    return {"note": asked.head.note, "pubkey": asked.public.hex(), "proof": proof, **more}


def test_what_is_asked_is_read_and_verified() -> None:
    asked = asks(HONEST, 9, 4)

    assert read_asked(body_of(asked)) == asked
    assert read_asked({**body_of(asked), "proof": None}).proof == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"note": None}, {"note": 7}, {"pubkey": "zz"}, {"pubkey": None}, {"proof": ["zz"]},
        {"proof": 7}, {"proof": [7]}, {"proof": ["00"] * 200}, {"pubkey": WITNESS.public.hex()},
    ],
)  # fmt: skip
def test_what_cannot_be_considered_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadNote):
        read_asked({**body_of(asks(HONEST, 9, 4)), **wrong})


def test_records_come_back_and_are_verified_again() -> None:
    conflict = Conflict(HONEST.head(5), FORKED.head(5))

    assert read_record(dump_head(HONEST.head(5), KEY.public)) == HONEST.head(5)
    assert read_record(dump_conflict(conflict, KEY.public)) == conflict


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"pubkey": 7, "note": "x"},
        {"pubkey": KEY.public.hex(), "conflict": [HONEST.head(5).note] * 2},
        {"pubkey": KEY.public.hex(), "conflict": [HONEST.head(5).note]},
        {"pubkey": KEY.public.hex(), "note": HONEST.head(5).note.replace("\n5\n", "\n6\n")},
    ],
)
def test_a_record_that_proves_nothing_is_refused(record: dict[str, Any]) -> None:
    with pytest.raises(BadNote):
        read_record(record)


def signed_below(size: int, at_seconds: int = 1_700_000_000) -> dict[str, Any]:
    line = cosignature(HONEST.head(size), WITNESS, name=NAME, at_seconds=at_seconds)
    return {
        "note": HONEST.head(size).note, "cosignature": line, "pubkey": WITNESS.public.hex(),
    }  # fmt: skip


def test_a_signature_below_ours_is_kept_with_its_note() -> None:
    cosigned = read_cosigned(signed_below(9), public=KEY.public)

    assert witness_name(OWN) == NAME
    assert (cosigned.witness, cosigned.size) == (OWN, 9)
    assert cosigned.at_seconds == 1_700_000_000
    assert read_cosigned(dump_cosigned(cosigned), public=KEY.public) == cosigned


def test_of_two_by_one_witness_the_longer_log_counts_and_then_the_later_time() -> None:
    old, new, later = (
        read_cosigned(signed_below(size, at), public=KEY.public)
        for size, at in ((5, 1_700_000_009), (9, 1_700_000_000), (9, 1_700_000_001))
    )

    assert newer(old, new) is new
    assert newer(new, old) is new
    assert newer(later, new) is later


@pytest.mark.parametrize(
    "wrong",
    [
        {"cosignature": ""},
        {"cosignature": 7},
        {"pubkey": KEY.public.hex()},
        {"pubkey": "00"},
        {"note": HONEST.head(8).note},
    ],
)
def test_what_no_witness_signed_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadNote):
        read_cosigned({**signed_below(9), **wrong}, public=KEY.public)


def test_a_signature_below_somebody_elses_checkpoint_is_refused() -> None:
    with pytest.raises(BadNote):
        read_cosigned(signed_below(9), public=SigningKey.from_seed(b"x" * 32).public)
