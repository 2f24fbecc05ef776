"""Receipts, call data and when to try again (features C8)."""

from typing import Any

import pytest
from tests.unit.thehum.chains import AUTHOR, KEY
from tests.unit.thehum.test_witness import HONEST

from thehum.core.anchors import (
    EVM_SELECTOR,
    RETRY_SECONDS_MAX,
    AnchorQueue,
    Backend,
    BadReceipt,
    Receipt,
    call_data,
    dump_receipt,
    read_receipt,
)

HEAD = HONEST.head(9)
_MASK = 2**64 - 1


def keccak_256(data: bytes) -> bytes:
    """Keccak-256 as Ethereum has it, straight from its definition: round constants by the LFSR."""

    def turned(word: int, by: int) -> int:
        return (word << by % 64 | word >> (64 - by % 64)) & _MASK

    padded = bytearray(data + b"\1" + bytes(-(len(data) + 1) % 136))
    padded[-1] |= 0x80
    lanes = [[0] * 5 for _ in range(5)]
    for start in range(0, len(padded), 136):
        for i in range(17):
            word = padded[start + 8 * i : start + 8 * i + 8]
            lanes[i % 5][i // 5] ^= int.from_bytes(word, "little")
        lfsr = 1
        for _ in range(24):
            sums = [row[0] ^ row[1] ^ row[2] ^ row[3] ^ row[4] for row in lanes]
            for x in range(5):
                mixed = sums[x - 1] ^ turned(sums[(x + 1) % 5], 1)
                lanes[x] = [lane ^ mixed for lane in lanes[x]]
            x, y, carried = 1, 0, lanes[1][0]
            for t in range(24):
                x, y = y, (2 * x + 3 * y) % 5
                carried, lanes[x][y] = lanes[x][y], turned(carried, (t + 1) * (t + 2) // 2)
            lanes = [
                [lanes[x][y] ^ (~lanes[(x + 1) % 5][y] & lanes[(x + 2) % 5][y]) for y in range(5)]
                for x in range(5)
            ]
            for j in range(7):
                if lfsr & 1:
                    lanes[0][0] ^= 1 << (1 << j) - 1
                lfsr = lfsr << 1 ^ (0x171 if lfsr & 0x80 else 0)
    return b"".join((lanes[i % 5][i // 5] & _MASK).to_bytes(8, "little") for i in range(4))


def test_the_selector_is_that_of_the_function() -> None:
    assert keccak_256(b"").hex().startswith("c5d2460186f7233c927e7db2dcc703c0"), "a known answer"
    assert keccak_256(b"anchor(bytes32,bytes32,uint64)")[:4] == EVM_SELECTOR


def test_call_data_is_a_selector_and_three_words() -> None:
    data = call_data(HEAD.checkpoint)

    assert len(data) == 4 + 3 * 32
    assert data[4:36] == HEAD.checkpoint.root
    assert data[36:68].hex() == AUTHOR.removeprefix("humd_")
    assert int.from_bytes(data[68:], "big") == 9


def receipt(backend: Backend = Backend.EVM) -> dict[str, Any]:
    data = call_data(HEAD.checkpoint) if backend is Backend.EVM else b""
    return dump_receipt(
        Receipt(backend=backend, ref="0xab", at_ms=1, note=HEAD.note, checkpoint=HEAD.checkpoint,
                data=data)
    )  # fmt: skip


@pytest.mark.parametrize("backend", [Backend.FILE, Backend.WITNESS, Backend.EVM])
def test_a_receipt_comes_back_as_it_was(backend: Backend) -> None:
    fields = receipt(backend)

    assert dump_receipt(read_receipt(fields, public=KEY.public)) == fields


@pytest.mark.parametrize(
    "wrong",
    [
        {"data": "0x" + "00" * 100}, {"data": "0xzz"}, {"data": 7}, {"size": 8}, {"root": "00"},
        {"author": "humd_0"}, {"backend": "somewhere"}, {"note": "x"}, {"at_ms": "x"},
        {"note": HONEST.head(8).note}, {"note": None},
    ],
)  # fmt: skip
def test_a_receipt_that_shows_nothing_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadReceipt):
        read_receipt({**receipt(), **wrong}, public=KEY.public)


def queue(anchored: int = 0) -> AnchorQueue:
    return AnchorQueue(every_seconds=60.0, anchored_size=anchored, now=0.0)


def test_the_newest_root_is_anchored_and_then_none_for_a_while() -> None:
    waiting = queue()
    for size in (3, 9):
        waiting.offer(HONEST.head(size).checkpoint, "note")

    due = waiting.due(0.0)
    assert due is not None
    waiting.done(due[0], 0.0)
    waiting.offer(HONEST.head(12).checkpoint, "note")

    assert due[0].size == 9
    assert waiting.due(59.0) is None
    assert waiting.due(60.0) == (HONEST.head(12).checkpoint, "note")


def test_while_a_root_waits_what_is_behind_the_last_one_must_stay() -> None:
    waiting = queue(anchored=5)
    assert not waiting.is_pending

    waiting.offer(HONEST.head(5).checkpoint, "note")
    assert not waiting.is_pending, "that one is anchored"
    waiting.offer(HEAD.checkpoint, "note")
    assert (waiting.is_pending, waiting.floor_seq) == (True, 5)
    waiting.done(HEAD.checkpoint, 0.0)
    assert (waiting.is_pending, waiting.floor_seq) == (False, 9)


def test_tries_that_fail_are_repeated_later_and_later() -> None:
    waiting, now, waits = queue(), 0.0, []
    waiting.offer(HEAD.checkpoint, "note")
    for _ in range(14):
        assert waiting.due(now) is not None
        waiting.failed(now)
        began = now
        while waiting.due(now) is None:
            now += 5.0
        waits.append(now - began)

    assert waits[:4] == [5, 10, 20, 40]
    assert max(waits) == waits[-1] == RETRY_SECONDS_MAX
    waiting.done(HEAD.checkpoint, now)
    assert waiting.failures == 0
