"""Frames that wait while the log is too far behind."""

from humd.edge import parked
from humd.edge.greeting import Connection
from humd.edge.parked import Parked


def connection(name: bytes) -> Connection:
    return Connection(name, "nonce", 0.0)


def test_frames_come_out_in_the_order_in_which_they_came() -> None:
    waiting, one, other = Parked(), connection(b"1"), connection(b"2")

    for sender, frame in ((one, b"a"), (other, b"b"), (one, b"c")):
        assert waiting.put(sender, frame)

    assert [waiting.take() for _ in range(3)] == [(one, b"a"), (other, b"b"), (one, b"c")]
    assert not waiting
    assert waiting.count == 3


def test_a_connection_is_held_until_its_last_frame_is_taken() -> None:
    waiting, one, other = Parked(), connection(b"1"), connection(b"2")
    waiting.put(one, b"a")
    waiting.put(one, b"b")

    assert waiting.holds(one)
    assert not waiting.holds(other)
    waiting.take()
    assert waiting.holds(one)
    waiting.take()
    assert not waiting.holds(one)


def test_what_waits_is_bounded_by_its_bytes() -> None:
    waiting, one = Parked(), connection(b"1")
    half = bytes(parked.PARKED_BYTES_MAX // 2)

    assert waiting.put(one, half)
    assert waiting.put(one, half)
    assert not waiting.put(one, b"x")
    waiting.take()
    assert waiting.put(one, b"x")
