"""A bee's side of the bus protocol: joining, numbers, settling, credit, resets."""

from collections import deque
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from nest import link as limits
from nest.link import CREDIT_EVERY, HELLO_CONTEXT, HelloRefused, Joined, Link, Reset, Settled
from thrum import frames, keys
from thrum.errors import MalformedTone
from thrum.frames import Header
from thrum.ids import hid_of
from thrum.keys import SigningKey
from thrum.tones import Tone

KEY = SigningKey.from_seed(bytes(32))
HID = hid_of("wbee", KEY.public)
WELCOME = {"epoch": "e", "client": "i", "humd": "h", "sessions": []}


def new_link() -> Link:
    return Link(HID, KEY, "INSTANCE", lambda: {"hive": "test"})


@pytest.fixture
def link() -> Link:
    return new_link()


def parcel(chi: str, body: dict[str, Any] | None = None, **slots: Any) -> bytes:
    return frames.pack(Header(chi, **slots), body or {})


def parcels(frame: bytes | None) -> list[tuple[Header, dict[str, Any]]]:
    run = frames.read_frame(frame or b"")
    return [(header, frames.read_body(raw)) for header, raw in run]


def taken(link: Link) -> list[tuple[Header, dict[str, Any]]]:
    """Everything the link wants to say now."""
    said = []
    while (frame := link.take()) is not None:
        said += parcels(frame)
    return said


def numbers(link: Link) -> list[int]:
    return [header.seq for header, _ in taken(link) if header.chi == "chunk"]


def join(link: Link, settled: int = 0, **more: Any) -> list[object]:
    """Open a connection, have humd answer both greetings, and pass over the word that says so."""
    link.opened()
    taken(link)
    link.receive(parcel("breath", {"nonce": "n"}))
    taken(link)
    joined: list[object] = list(
        link.receive(parcel("breath", {**WELCOME, "settled": settled, **more}))
    )
    ((heard, body),) = parcels(link._control.pop())
    assert (heard.chi, body["count"]) == ("credit", 0)
    return joined


def offer(link: Link, count: int = 1) -> None:
    for _ in range(count):
        link.offer(Tone(chi="chunk", sid="s"))


class TestJoining:
    def test_begins_with_the_hid_alone(self, link: Link) -> None:
        link.opened()

        assert parcels(link.take()) == [(Header("hello"), {"hid": str(HID)})]

    def test_proves_the_hid_over_the_nonce(self, link: Link) -> None:
        link.opened()
        taken(link)
        link.receive(parcel("breath", {"nonce": "fresh"}))

        ((header, body),) = taken(link)
        signed = f"{HELLO_CONTEXT}:{HID}:fresh".encode()
        assert header.chi == "hello"
        assert header.seq == 0
        assert body["instance"] == "INSTANCE"
        assert body["hive"] == "test"
        assert keys.verify(KEY.public, signed, bytes.fromhex(body["signature"]))
        assert bytes.fromhex(body["pubkey"]) == KEY.public

    def test_ends_with_the_second_breath(self, link: Link) -> None:
        (joined,) = join(link, settled=3, resumed=True)

        assert joined == Joined("e", "i", "h", 3, True)
        assert link.is_joined

    def test_that_is_refused_says_why(self, link: Link) -> None:
        link.opened()

        with pytest.raises(HelloRefused, match="forged"):
            link.receive(parcel("error", {"message": "forged"}))

    def test_lets_nothing_but_the_greeting_out(self, link: Link) -> None:
        offer(link)
        link.opened()

        assert [header.chi for header, _ in taken(link)] == ["hello"]

    def test_names_the_last_log_seq_that_was_seen(self, link: Link) -> None:
        join(link)
        link.receive(parcel("chunk", seq=7) + parcel("chunk", seq=5))
        link.opened()
        taken(link)
        link.receive(parcel("breath", {"nonce": "n"}))

        ((_, body),) = taken(link)
        assert body["cursor"] == 7


class TestWhatIsOffered:
    def test_is_numbered_from_one_without_a_gap(self, link: Link) -> None:
        join(link)
        offer(link, 3)

        assert numbers(link) == [1, 2, 3]

    def test_goes_out_once_on_a_connection(self, link: Link) -> None:
        join(link)
        offer(link)
        taken(link)

        assert taken(link) == []

    def test_keeps_its_number_on_the_next_connection(self, link: Link) -> None:
        join(link)
        offer(link, 2)
        taken(link)
        link.closed()

        join(link)
        offer(link)

        assert numbers(link) == [1, 2, 3]

    def test_while_there_is_no_connection_goes_out_on_the_next(self, link: Link) -> None:
        offer(link, 2)

        join(link)

        assert numbers(link) == [1, 2]

    def test_and_is_on_disk_is_not_offered_again(self, link: Link) -> None:
        join(link)
        offer(link, 3)

        join(link, settled=2)

        assert numbers(link) == [3]

    def test_has_a_bound(self, link: Link, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(limits, "UNSETTLED_PARCELS_MAX", 2)
        offer(link)
        before = link.has_room

        offer(link)

        assert (before, link.has_room) == (True, False)

    def test_and_never_logged_has_no_number_and_is_not_kept(self, link: Link) -> None:
        join(link)

        number = link.offer(Tone(chi="vitals", rid="r", body={"pid": 1}))

        ((header, _),) = taken(link)
        assert (number, header.seq, len(link.unsettled)) == (0, 0, 0)

    def test_and_never_logged_is_dropped_without_a_connection(self, link: Link) -> None:
        link.offer(Tone(chi="echo"))

        join(link)

        assert taken(link) == []

    def test_cannot_say_what_only_humd_says(self, link: Link) -> None:
        join(link)
        link.offer(Tone(chi="chunk", seq=99, fan=1))

        ((header, _),) = taken(link)
        assert (header.seq, header.fan) == (1, 0)

    def test_keeps_the_client_it_is_said_for(self, link: Link) -> None:
        join(link)
        link.offer(Tone(chi="chunk", client="c"))

        ((header, _),) = taken(link)
        assert header.client == "c"

    def test_is_cut_into_frames_of_a_bounded_size(self, link: Link) -> None:
        join(link)
        for _ in range(3):
            link.offer(Tone(chi="chunk", body={"x": "x" * limits.FRAME_BYTES_SOFT_MAX}))

        assert [len(parcels(link.take())) for _ in range(3)] == [1, 1, 1]


class TestSettling:
    def test_frees_what_came_up_to_the_number(self, link: Link) -> None:
        join(link)
        offer(link, 3)

        (settled,) = link.receive(parcel("credit", {"upto": 2, "refused": {}}))

        assert settled == Settled(2, {})
        assert [one.number for one in link.unsettled] == [3]

    def test_says_what_was_refused_and_why(self, link: Link) -> None:
        join(link)

        (settled,) = link.receive(parcel("credit", {"upto": 2, "refused": {"1": "no"}}))

        assert settled == Settled(2, {1: "no"})


class TestCredit:
    def test_is_given_after_a_run_of_parcels(self, link: Link) -> None:
        join(link)
        for number in range(CREDIT_EVERY - 1):
            link.receive(parcel("chunk", seq=number + 1))
        before = taken(link)

        link.receive(parcel("chunk", seq=900))

        ((header, body),) = taken(link)
        assert before == []
        assert header == Header("credit")
        assert body == {"count": CREDIT_EVERY, "cursor": 900}

    def test_goes_along_with_anything_that_is_sent(self, link: Link) -> None:
        join(link)
        link.receive(parcel("chunk", seq=4))
        offer(link)

        assert [header.chi for header, _ in taken(link)] == ["chunk", "credit"]

    def test_goes_by_itself_once_it_is_late(self, link: Link) -> None:
        join(link)
        nothing_owed = link.owes_credit
        link.receive(parcel("chunk", seq=4))
        is_owed, early = link.owes_credit, link.take()

        ((header, body),) = list(frames.read_frame(link.take(is_late=True) or b""))

        assert (nothing_owed, is_owed, early) == (False, True, None)
        assert (header, frames.read_body(body)) == (Header("credit"), {"count": 1, "cursor": 4})
        assert (link.owes_credit, link.take(is_late=True)) == (False, None)

    def test_is_given_at_once_for_what_was_handled_where_that_is_what_counts(
        self, link: Link
    ) -> None:
        link.credits_handled = True
        join(link)
        link.receive(parcel("chunk", seq=4))
        mark, early = link.mark, link.take(is_late=True)
        link.receive(parcel("chunk", seq=5))
        link.handled(mark)

        ((header, body),) = taken(link)

        assert (early, header) == (None, Header("credit"))
        assert body["count"] == 1
        assert taken(link) == []

    def test_is_not_given_for_what_came_on_another_connection(self, link: Link) -> None:
        link.credits_handled = True
        join(link)
        link.receive(parcel("chunk", seq=4))
        mark = link.mark
        link.closed()
        join(link)
        link.receive(parcel("chunk", seq=5))

        link.handled(mark)

        assert taken(link) == []

    def test_is_not_given_while_we_take_no_more(self, link: Link) -> None:
        join(link)
        link.takes_more = False
        for _ in range(CREDIT_EVERY):
            link.receive(parcel("chunk", seq=1))
        held_back = taken(link)

        link.takes_more = True

        assert held_back == []
        assert [body["count"] for _, body in taken(link)] == [CREDIT_EVERY]

    def test_starts_at_zero_on_a_new_connection(self, link: Link) -> None:
        join(link)
        link.receive(parcel("chunk", seq=1))
        join(link)
        link.receive(parcel("chunk", seq=2))
        offer(link)

        assert taken(link)[-1][1]["count"] == 1

    @pytest.mark.parametrize("chi", ["breath", "error", "finish"])
    def test_counts_every_tone_whatever_its_chi(self, link: Link, chi: str) -> None:
        join(link)

        (tone,) = link.receive(parcel(chi, {"x": 1}, sid="s", seq=3, fan=1))
        offer(link)

        assert isinstance(tone, Tone)
        assert taken(link)[-1][1] == {"count": 1, "cursor": 3}

    def test_does_not_count_link_tones(self, link: Link) -> None:
        join(link)
        link.receive(parcel("credit", {"upto": 0, "refused": {}}) + parcel("vitals"))
        offer(link)

        assert [header.chi for header, _ in taken(link)] == ["chunk"]


class TestAReset:
    def test_ends_the_connection_and_keeps_what_is_unsettled(self, link: Link) -> None:
        join(link)
        offer(link, 2)

        (reset,) = link.receive(parcel("reset", {"reason": "why"}))

        assert reset == Reset("why")
        assert not link.is_joined
        assert link.take() is None
        assert len(link.unsettled) == 2


class TestFollowingASid:
    @staticmethod
    def heard(link: Link, wane: int, **slots: Any) -> bool:
        return link.receive(parcel("chunk", sid="s", wane=wane, fan=1, **slots)) != []

    def test_drops_what_was_heard_before(self, link: Link) -> None:
        join(link)
        link.offer(Tone(chi="attach", sid="s", wane=3))

        assert [self.heard(link, wane) for wane in (3, 4, 5, 4, 5, 6)] == [
            False, True, True, False, False, True,
        ]  # fmt: skip

    def test_is_over_after_a_detach(self, link: Link) -> None:
        join(link)
        link.offer(Tone(chi="attach", sid="s", wane=3))
        link.offer(Tone(chi="detach", sid="s"))

        assert self.heard(link, 1)

    def test_is_for_one_client_behind_a_door(self, link: Link) -> None:
        join(link)
        link.offer(Tone(chi="attach", sid="s", wane=3, client="a"))

        assert not self.heard(link, 1, client="a")
        assert self.heard(link, 1, client="b")

    def test_has_a_bound(self, link: Link, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(limits, "FOLLOWED_MAX", 1)
        join(link)
        link.offer(Tone(chi="attach", sid="s", wane=3))
        link.offer(Tone(chi="attach", sid="t", wane=3))

        assert self.heard(link, 1)


class TestHostileBytes:
    def test_that_are_no_frame_are_malformed(self, link: Link) -> None:
        join(link)

        with pytest.raises(MalformedTone):
            link.receive(b"\xc1junk")

    def test_in_another_bees_body_cost_only_that_tone(self, link: Link) -> None:
        join(link)
        bad = frames.pack_header(Header("chunk", seq=1)) + b"\x81\xa1\xff\x01"

        events = link.receive(bad + parcel("chunk", seq=2))
        offer(link)

        assert [event.seq for event in events if isinstance(event, Tone)] == [2]
        assert taken(link)[-1][1] == {"count": 2, "cursor": 2}
        assert link.unreadable == 1

    def test_an_empty_frame_means_nothing(self, link: Link) -> None:
        join(link)

        assert link.receive(b"") == []


class Humd:
    """A small humd: logs each link number once, and loses what was not yet logged when it dies."""

    def __init__(self) -> None:
        self.log: list[tuple[int, int]] = []
        self.pending: list[tuple[int, int]] = []
        self.state = "new"

    @property
    def upto(self) -> int:
        return self.log[-1][0] if self.log else 0

    def take(self, frame: bytes) -> bytes:
        answer = b""
        for header, body in parcels(frame):
            if header.chi == "hello" and "signature" not in body:
                answer += parcel("breath", {"nonce": "n"})
            elif header.chi == "hello":
                answer += parcel("breath", {**WELCOME, "settled": self.upto})
            elif header.chi == "chunk":
                newest = self.pending[-1][0] if self.pending else self.upto
                if header.seq > newest:
                    self.pending.append((header.seq, body["n"]))
        return answer

    def commit(self, count: int) -> bytes:
        done, self.pending = self.pending[:count], self.pending[count:]
        self.log += done
        return parcel("credit", {"upto": self.upto, "refused": {}}) if done else b""


class Wire(RuleBasedStateMachine):
    """A link and a humd, with frames in flight that may be lost together with the connection."""

    def __init__(self) -> None:
        super().__init__()
        self.link, self.humd = new_link(), Humd()
        self.up, self.down = deque[bytes](), deque[bytes]()
        self.offered = 0
        self.is_open = False

    @rule(count=st.integers(1, 5))
    def offer(self, count: int) -> None:
        for _ in range(count):
            self.link.offer(Tone(chi="chunk", body={"n": self.offered}))
            self.offered += 1

    @precondition(lambda self: not self.is_open)
    @rule()
    def open(self) -> None:
        self.link.opened()
        self.is_open = True

    @precondition(lambda self: self.is_open)
    @rule()
    def send(self) -> None:
        if (frame := self.link.take()) is not None:
            self.up.append(frame)

    @precondition(lambda self: self.up)
    @rule()
    def arrive(self) -> None:
        if answer := self.humd.take(self.up.popleft()):
            self.down.append(answer)

    @precondition(lambda self: self.down)
    @rule()
    def hear(self) -> None:
        self.link.receive(self.down.popleft())

    @rule(count=st.integers(1, 4))
    def commit(self, count: int) -> None:
        if (credit := self.humd.commit(count)) and self.is_open:
            self.down.append(credit)

    @rule()
    def cut(self) -> None:
        """The connection breaks; what was on it is lost, humd goes on."""
        self.link.closed()
        self.up.clear()
        self.down.clear()
        self.is_open = False

    @rule()
    def kill(self) -> None:
        """Humd dies with what it had not logged."""
        self.humd.pending.clear()
        self.cut()

    @invariant()
    def the_log_has_each_tone_once_and_in_order(self) -> None:
        assert [n for _, n in self.humd.log] == list(range(len(self.humd.log)))

    def teardown(self) -> None:
        if not self.is_open:
            self.open()
        for _ in range(8):
            self.send()
            while self.up:
                self.arrive()
            self.commit(1_000_000)
            while self.down:
                self.hear()

        assert len(self.humd.log) == self.offered
        assert not self.link.unsettled


TestWire = Wire.TestCase
TestWire.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
