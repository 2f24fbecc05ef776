"""What is owed to a bee: sent as far as its credit goes, kept until it has it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from humd.edge import outbox as limits
from humd.edge.outbox import CREDIT_PARCELS, FRAME_PARCELS_MAX, Outbox, Owed
from thrum import frames
from thrum.frames import Header


def owe(outbox: Outbox, *seqs: int, client: str | None = None, raw: bytes = b"\x80") -> None:
    for seq in seqs:
        outbox.put(Owed(Header("chunk", seq=seq, client=client), raw))


def sent(outbox: Outbox) -> list[int]:
    """The seqs of everything that goes out now."""
    seqs = []
    while (frame := outbox.next_frame()) is not None:
        seqs += [span.header.seq for span in frames.read_spans(frame)]
    return seqs


def test_what_is_owed_goes_out_in_order_and_once() -> None:
    outbox = Outbox()
    owe(outbox, 1, 2, 3)

    assert (sent(outbox), sent(outbox)) == ([1, 2, 3], [])


def test_nothing_is_sent_past_the_credit() -> None:
    outbox = Outbox()
    owe(outbox, *range(1, CREDIT_PARCELS + 10))

    assert len(sent(outbox)) == CREDIT_PARCELS


def test_credit_opens_the_window_by_what_was_received() -> None:
    outbox = Outbox()
    owe(outbox, *range(1, CREDIT_PARCELS + 10))
    sent(outbox)

    outbox.credit(3)

    assert sent(outbox) == [CREDIT_PARCELS + n for n in (1, 2, 3)]


@pytest.mark.parametrize("count", [0, -5, 2])
def test_credit_that_does_not_rise_changes_nothing(count: int) -> None:
    outbox = Outbox()
    owe(outbox, 1, 2, 3)
    sent(outbox)
    outbox.credit(2)

    outbox.credit(count)

    assert len(outbox) == 1


def test_credit_for_more_than_was_sent_is_worth_what_was_sent() -> None:
    outbox = Outbox()
    owe(outbox, 1)
    sent(outbox)
    owe(outbox, 2)

    outbox.credit(2**60)

    assert sent(outbox) == [2]


def test_a_new_connection_gets_what_lies_after_its_cursor() -> None:
    outbox = Outbox()
    owe(outbox, 1, 2, 3)
    sent(outbox)
    owe(outbox, 4)

    assert outbox.resume(2)

    assert sent(outbox) == [3, 4]


def test_what_is_not_in_the_log_is_not_sent_on_a_new_connection() -> None:
    outbox = Outbox()
    owe(outbox, 0, 1)

    outbox.resume(0)

    assert sent(outbox) == [1]


def test_a_frame_that_did_not_leave_is_sent_again() -> None:
    outbox = Outbox()
    owe(outbox, 1, 2)
    outbox.next_frame()

    outbox.unsent()

    assert sent(outbox) == [1, 2]


def test_parcels_of_one_event_are_never_split() -> None:
    outbox = Outbox()
    owe(outbox, *range(1, FRAME_PARCELS_MAX))
    owe(outbox, FRAME_PARCELS_MAX, client="a")
    owe(outbox, FRAME_PARCELS_MAX, client="b")

    frame = outbox.next_frame()

    assert frame is not None
    last_two = [span.header.client for span in frames.read_spans(frame)[-2:]]
    assert last_two == ["a", "b"]


def test_a_large_parcel_closes_its_frame() -> None:
    outbox = Outbox()
    raw = frames.pack_body({"x": "x" * limits.FRAME_BYTES_SOFT_MAX})
    owe(outbox, 1, 2, raw=raw)

    frame = outbox.next_frame()

    assert frame is not None
    assert len(frames.read_spans(frame)) == 1


def test_parcels_of_one_event_are_split_where_no_frame_could_hold_them() -> None:
    outbox = Outbox()
    raw = frames.pack_body({"x": "x" * (limits.FRAME_BYTES_WHOLE_MAX // 2)})
    owe(outbox, 7, 7, 7, raw=raw)

    parcels = []
    while (frame := outbox.next_frame()) is not None:
        assert len(frame) < frames.FRAME_BYTES_MAX
        parcels += frames.read_frame(frame)

    assert [header.seq for header, _ in parcels] == [7, 7, 7]


def test_what_is_for_each_client_can_be_taken_out_with_whether_it_was_on_its_way() -> None:
    outbox = Outbox()
    outbox.resume(0)
    owe(outbox, 1, client="a")
    owe(outbox, 2, client="b")
    sent(outbox)
    owe(outbox, 3, client="b")
    owe(outbox, 4, client="a")

    taken = [
        [(owed.header.seq, was_sent) for owed, was_sent in outbox.take_for(client)]
        for client in ("a", "b")
    ]

    assert taken == [[(1, True), (4, False)], [(2, True), (3, False)]]
    assert not outbox


@pytest.mark.parametrize(("bound", "raw"), [("PARCELS", b"\x80"), ("BYTES", b"\x80" * 100)])
def test_it_is_over_past_either_bound(
    monkeypatch: pytest.MonkeyPatch, bound: str, raw: bytes
) -> None:
    monkeypatch.setattr(limits, f"OUTBOX_{bound}_MAX", 3 * len(raw))
    outbox = Outbox()
    owe(outbox, 1, 2, 3, raw=raw)
    before = outbox.is_over

    owe(outbox, 4, raw=raw)

    assert (before, outbox.is_over) == (False, True)


def test_received_parcels_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "OUTBOX_BYTES_MAX", 3)
    outbox = Outbox()
    owe(outbox, 1, 2, 3)
    sent(outbox)
    outbox.credit(3)

    owe(outbox, 4, 5, 6)

    assert not outbox.is_over


class TestABoxOfABeeThatIsAway:
    @pytest.fixture
    def outbox(self, monkeypatch: pytest.MonkeyPatch) -> Outbox:
        monkeypatch.setattr(limits, "OUTBOX_PARCELS_MAX", 3)
        outbox = Outbox()
        owe(outbox, 1, 2, 3, 4, 5)
        outbox.shed()
        return outbox

    def test_keeps_the_newest_up_to_the_bound(self, outbox: Outbox) -> None:
        assert outbox.resume(2)
        assert sent(outbox) == [3, 4, 5]

    def test_knows_that_the_bee_missed_something(self, outbox: Outbox) -> None:
        assert not outbox.resume(1)


@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["owe", "send", "lose", "credit", "resume"]), st.integers(1, 9)),
        max_size=60,
    )
)
def test_whatever_is_lost_each_parcel_arrives_once_and_in_order(
    steps: list[tuple[str, int]],
) -> None:
    outbox, owed, received, on_wire, count = Outbox(), 0, [0], list[int](), 0
    for step, size in [*steps, ("resume", 1), ("send", 1), ("credit", 1)]:
        if step == "owe":
            owe(outbox, *range(owed + 1, owed + size + 1))
            owed += size
        elif step == "send":
            on_wire += sent(outbox)
        elif step == "lose":
            if outbox.next_frame() is not None:
                outbox.unsent()
        elif step == "credit":
            received += on_wire
            count += len(on_wire)
            on_wire = []
            outbox.credit(count)
        else:  # the connection breaks with some frames on it
            arrived, on_wire = on_wire[:size], []
            received += arrived
            count = 0
            outbox.resume(received[-1])

    assert received == list(range(owed + 1))
