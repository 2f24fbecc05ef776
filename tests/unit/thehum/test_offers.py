"""Each batch is taken exactly once, however often it is offered."""

from typing import Any

import pytest

from thehum.core.bodies import Via
from thehum.core.offers import (
    Answer,
    Append,
    BatchName,
    Offer,
    Section,
    batch_of,
    judge,
    read_offer,
)
from thrum.errors import MalformedTone

BODY: dict[str, Any] = {
    "epoch": "mwq",
    "batch": 7,
    "first_seq": 11,
    "at_ms": 5,
    "sections": [["c1", None, 2, b"ab"], [None, "humd_9", 1, b"c"]],
}


def offer(number: int, first_seq: int, count: int = 3, epoch: str = "mwq") -> Offer:
    name = BatchName(epoch, number)
    return Offer(name=name, first_seq=first_seq, at_ms=0, count=count, sections=())


def test_an_append_body_is_read() -> None:
    read = read_offer(BODY)

    assert read.name == BatchName("mwq", 7)
    assert (read.first_seq, read.at_ms, read.count) == (11, 5, 3)
    assert read.sections == (Section("c1", None, b"ab"), Section(None, "humd_9", b"c"))
    assert read.via(read.sections[1]) == Via("mwq.7", None, "humd_9")


@pytest.mark.parametrize(
    "change",
    [
        {"epoch": ""},
        {"batch": 0},
        {"batch": "x"},
        {"at_ms": -1},
        {"first_seq": None},
        {"sections": 7},
        {"sections": [[1, None, 1, b""]]},
        {"sections": [["c", None, 1, "text"]]},
        {"sections": [["c", None, b""]]},
    ],
)
def test_an_append_that_is_none_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(MalformedTone):
        read_offer({**BODY, **change})
    with pytest.raises(MalformedTone):
        read_offer({key: value for key, value in BODY.items() if key not in change})


LAST = BatchName("mwq", 7)


@pytest.mark.parametrize(
    ("offered", "last", "next_seq", "verdict"),
    [
        (offer(1, 1), None, 1, Append()),
        (offer(8, 14), LAST, 14, Append()),
        (offer(1, 14, epoch="new"), LAST, 14, Append()),
        (offer(7, 11), LAST, 14, Answer.ALREADY_DURABLE),
        (offer(3, 2), LAST, 14, Answer.ALREADY_DURABLE),
        (offer(7, 11), LAST, 12, Append(skip=1)),
        (offer(8, 15), LAST, 14, Answer.OUT_OF_STEP),
        (offer(8, 13), LAST, 14, Answer.OUT_OF_STEP),
        (offer(1, 1, epoch="new"), LAST, 14, Answer.OUT_OF_STEP),
    ],
)
def test_an_offer_is_judged_by_name_and_place(
    offered: Offer, last: BatchName | None, next_seq: int, verdict: Append | Answer
) -> None:
    assert judge(offered, last=last, next_seq=next_seq) == verdict


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (b'{"@via":{"batch":"mwq.7","client":null,"peer":null}}', BatchName("mwq", 7)),
        (b'{"@via":{"batch":"a.b.12"}}', BatchName("a.b", 12)),
        (b"{}", None),
        (b'{"@via":null}', None),
        (b'{"@via":{"batch":7}}', None),
        (b'{"@via":{"batch":"seven"}}', None),
        (b'{"@via":{"batch":"mwq.x"}}', None),
    ],
)
def test_the_batch_of_an_event_is_in_its_body(body: bytes, name: BatchName | None) -> None:
    assert batch_of(body) == name
