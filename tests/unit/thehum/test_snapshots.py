"""Which snapshots stay, and which events they need."""

import orjson
import pytest

from thehum.core.snapshots import Marks, NotASnapshot, floor_of, marks_in, outlived

ROOT = "ab" * 32


def marks(at_seq: int, *, needs: int | None = None, erased: int = 0) -> Marks:
    return Marks(
        at_seq=at_seq, needs_seq=at_seq if needs is None else needs, erased_seq=erased, root=ROOT
    )


def line(**changed: object) -> bytes:
    fields = {"at_seq": 7, "needs_seq": 5, "erased_seq": 0, "root": ROOT, "leaves": 3}
    return b'["x",1]\n' + orjson.dumps({**fields, **changed}) + b"\n"


def test_the_last_line_says_what_the_log_has_to_know() -> None:
    assert marks_in(line(), at_seq=7) == marks(7, needs=5)


@pytest.mark.parametrize(
    "tail",
    [
        b"",
        b"\n",
        line()[:-1],
        line()[:-9],
        line(root="zz"),
        line(needs_seq=None),
        b"[1]\n",
        b"\x00",
    ],
)
def test_a_file_that_ends_otherwise_is_no_snapshot(tail: bytes) -> None:
    with pytest.raises(NotASnapshot):
        marks_in(tail, at_seq=7)


def test_a_snapshot_under_another_name_is_none() -> None:
    with pytest.raises(NotASnapshot, match="its name says"):
        marks_in(line(), at_seq=8)


def test_the_two_newest_stay() -> None:
    kept = [marks(1), marks(2), marks(3)]

    assert outlived(kept) == [marks(1)]
    assert outlived(kept[1:]) == []


def test_a_snapshot_from_before_an_erasure_goes_with_the_first_one_behind_it() -> None:
    before, behind = marks(5), marks(9, erased=7)

    assert outlived([before, behind]) == [before]
    assert outlived([behind, marks(12, erased=7)]) == []


def test_nothing_may_go_while_one_damaged_file_would_be_the_end() -> None:
    assert floor_of([]) == 0
    assert floor_of([marks(9)]) == 0
    assert floor_of([marks(9), marks(20)]) == 9


def test_what_either_snapshot_needs_stays() -> None:
    assert floor_of([marks(9, needs=4), marks(20, needs=2)]) == 2
