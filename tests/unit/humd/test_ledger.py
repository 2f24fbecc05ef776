"""Batches on their way to the disk: offered until confirmed, released in order, bounded."""

from typing import Any

import pytest

from humd.edge import ledger as limits
from humd.edge.ledger import BATCHES_IN_FLIGHT_MAX, Ledger
from thrum import frames
from thrum.frames import Header

PARCEL = frames.pack(Header("chunk"), {})


class Log:
    """Takes frames as thehum would; full when told so."""

    def __init__(self) -> None:
        self.taken: list[dict[str, Any]] = []
        self.is_full = False

    def send(self, frame: bytes) -> bool:
        if not self.is_full:
            ((_, raw),) = frames.read_frame(frame)
            self.taken.append(frames.read_body(raw))
        return not self.is_full

    @property
    def batches(self) -> list[int]:
        return [body["batch"] for body in self.taken]


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def ledger(log: Log) -> Ledger:
    ledger = Ledger("e")
    ledger.back(log.send, None, 0)
    return ledger


def add(ledger: Ledger, client: str | None = "A", *, now_ms: int = 1, count: int = 1) -> None:
    for _ in range(count):
        ledger.add(ledger.batch(now_ms), client, PARCEL)


def test_a_batch_is_offered_with_all_that_came_together(ledger: Ledger, log: Log) -> None:
    add(ledger, "A", count=2)
    add(ledger, "B")
    add(ledger, None)

    ledger.flush()

    (body,) = log.taken
    assert (body["epoch"], body["batch"], body["first_seq"], body["at_ms"]) == ("e", 1, 1, 1)
    assert body["sections"] == [
        ["A", None, 2, PARCEL * 2],
        ["B", None, 1, PARCEL],
        [None, None, 1, PARCEL],
    ]


def test_nothing_is_offered_when_nothing_came(ledger: Ledger, log: Log) -> None:
    ledger.batch(1)

    ledger.flush()

    assert log.taken == []


def test_a_batch_without_events_is_not_one_to_wait_for(ledger: Ledger) -> None:
    ledger.batch(1)

    assert ledger.newest is None


def test_an_event_gets_the_time_it_came_at_however_long_its_batch_was_empty(
    ledger: Ledger, log: Log
) -> None:
    ledger.batch(1)

    add(ledger, now_ms=900)
    ledger.flush()

    assert [body["at_ms"] for body in log.taken] == [900]


def test_time_in_the_log_never_goes_back(ledger: Ledger, log: Log) -> None:
    for now_ms in (5, 3):
        add(ledger, now_ms=now_ms)
        ledger.flush()

    assert [body["at_ms"] for body in log.taken] == [5, 5]


def test_batches_are_numbered_and_follow_each_other(ledger: Ledger, log: Log) -> None:
    for _ in range(3):
        add(ledger, count=2)
        ledger.flush()

    assert [(body["batch"], body["first_seq"]) for body in log.taken] == [(1, 1), (2, 3), (3, 5)]


def test_batches_are_released_in_order_up_to_the_confirmed_one(ledger: Ledger) -> None:
    for _ in range(3):
        add(ledger)
        ledger.flush()

    assert [batch.number for batch in ledger.durable(2)] == [1, 2]
    assert [batch.number for batch in ledger.durable(2)] == []
    assert [batch.number for batch in ledger.durable(3)] == [3]


def test_past_the_batches_in_flight_the_next_one_fills_up(ledger: Ledger, log: Log) -> None:
    for _ in range(BATCHES_IN_FLIGHT_MAX + 3):
        add(ledger)
        ledger.flush()

    assert len(log.taken) == BATCHES_IN_FLIGHT_MAX
    ledger.durable(1)
    ledger.flush()
    assert log.taken[-1]["sections"][0][2] == 3


def test_a_full_batch_makes_room_for_the_next(
    ledger: Ledger, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "BATCH_PARCELS_MAX", 2)

    add(ledger, count=5)
    ledger.flush()

    assert [body["sections"][0][2] for body in log.taken] == [2, 2, 1]


def test_a_large_parcel_does_not_make_a_batch_that_no_frame_can_carry(ledger: Ledger) -> None:
    large = b"\x80" * (limits.BATCH_BYTES_MAX - len(PARCEL) + 1)
    add(ledger)

    batch = ledger.batch(1, len(large))

    assert batch.count == 0


def test_a_frame_that_thehum_does_not_take_is_offered_later(ledger: Ledger, log: Log) -> None:
    log.is_full = True
    add(ledger)
    ledger.flush()

    log.is_full = False
    ledger.flush()

    assert log.batches == [1]


class TestWhileThehumIsAway:
    def test_batches_wait(self, ledger: Ledger, log: Log) -> None:
        ledger.lost()

        add(ledger)
        ledger.flush()

        assert log.taken == []
        assert ledger.newest is not None

    def test_more_than_we_hold_is_over(
        self, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(limits, "HELD_PARCELS_MAX", 3)
        ledger.lost()
        add(ledger, count=2)
        before = ledger.is_over

        add(ledger)

        assert (before, ledger.is_over) == (False, True)


class TestWhenThehumIsBack:
    def test_what_it_does_not_have_is_offered_again_in_order(
        self, ledger: Ledger, log: Log
    ) -> None:
        for _ in range(3):
            add(ledger)
            ledger.flush()
        ledger.lost()
        add(ledger)

        released = ledger.back(log.send, "e", 1)

        assert [batch.number for batch in released] == [1]
        assert log.batches == [1, 2, 3, 2, 3, 4]

    def test_what_it_has_is_released_though_it_never_confirmed_it(
        self, ledger: Ledger, log: Log
    ) -> None:
        add(ledger)
        ledger.flush()
        ledger.lost()

        released = ledger.back(log.send, "e", 1)

        assert [batch.number for batch in released] == [1]
        assert (ledger.held_parcels, ledger.held_bytes) == (0, 0)

    def test_a_batch_of_another_epoch_confirms_nothing(self, ledger: Ledger, log: Log) -> None:
        add(ledger)
        ledger.flush()
        ledger.lost()

        assert ledger.back(log.send, "an earlier start", 99) == []
        assert log.batches == [1, 1]

    def test_how_long_the_oldest_event_waits_is_known(self, ledger: Ledger, log: Log) -> None:
        assert ledger.lag_ms(10_000) == 0
        ledger.add(ledger.batch(1_000), "C", b"parcel")
        assert ledger.lag_ms(1_700) == 700

        ledger.send = log.send
        ledger.flush()
        ledger.add(ledger.batch(1_500), "C", b"parcel")
        assert ledger.lag_ms(1_700) == 700
        ledger.durable(1)
        assert ledger.lag_ms(1_700) == 200

    def test_the_oldest_unconfirmed_event_is_known(self, ledger: Ledger, log: Log) -> None:
        for _ in range(2):
            add(ledger, count=2)
            ledger.flush()

        ledger.durable(1)

        assert (ledger.oldest_seq, ledger.next_seq) == (3, 5)


def test_a_connection_is_settled_up_to_its_highest_number(ledger: Ledger) -> None:
    batch = ledger.batch(1)

    for number in (4, 0, 3):
        batch.settle(b"c", number)

    assert batch.settled == {b"c": 4}
