"""Which client waits for an echo of what."""

from thrumd.core.receipts import BYTES_MAX, Receipt, Receipts


def receipts(*entries: tuple[int, str, str | None]) -> Receipts:
    made = Receipts()
    for number, client, rid in entries:
        made.expect(Receipt(number, client, rid, 10))
    return made


def test_an_echo_comes_once_its_number_is_settled_and_only_once() -> None:
    waiting = receipts((1, "a", "r1"), (2, "b", "r2"), (4, "a", "r4"))

    first = [(receipt.client, receipt.rid) for receipt, _ in waiting.settle(2, {})]
    again = list(waiting.settle(2, {}))
    rest = [(receipt.client, receipt.rid) for receipt, _ in waiting.settle(9, {})]

    assert (first, again, rest) == ([("a", "r1"), ("b", "r2")], [], [("a", "r4")])


def test_a_refused_number_comes_with_its_reason() -> None:
    waiting = receipts((1, "a", "r1"), (2, "a", "r2"))

    settled = {receipt.rid: reason for receipt, reason in waiting.settle(2, {2: "no worker"})}

    assert settled == {"r1": None, "r2": "no worker"}


def test_a_tone_without_rid_is_settled_in_silence() -> None:
    waiting = receipts((1, "a", None))

    assert list(waiting.settle(1, {1: "refused"})) == []


def test_bytes_on_their_way_are_bounded_and_come_back() -> None:
    waiting = Receipts()

    waiting.expect(Receipt(1, "a", None, BYTES_MAX))

    assert not waiting.has_room
    assert list(waiting.settle(1, {})) == []
    assert waiting.has_room
