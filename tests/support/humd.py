"""A humd that a test plays on a real bus, as far as thehum sees it."""

import time
from typing import Any, Self

from tests.support.stack import Stack

from nest.paths import ensure_private
from nest.sockets import Poll, RouterSocket
from thrum import frames
from thrum.chi import Chi, LinkChi
from thrum.frames import Header
from thrum.tones import Body, Tone

ANSWER_SECONDS = 15.0
BEGUN = 1
"""Events that a log begins with by itself: which key comes next."""


class Humd:
    """The other side of the bus, as far as thehum sees it."""

    def __init__(self, stack: Stack) -> None:
        ensure_private(stack.paths.bus_socket.parent)
        self._router = RouterSocket(stack.paths.bus_endpoint)
        self._poll = Poll()
        self._poll.watch(self._router)
        self._connection = b""
        self._waiting: list[Tone] = []
        self.hello: Body = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._router.close()

    def joined(self) -> Body:
        """Play the greeting through; the hello's body."""
        self._connection, self._waiting = b"", []
        self.read(Chi.HELLO)
        self.send(Header(Chi.BREATH), {"nonce": "n", "epoch": "e", "protoVersion": "0.7.0"})
        hello = self.read(Chi.HELLO)
        while "signature" not in hello.body:
            hello = self.read(Chi.HELLO)
        welcome = {"epoch": "e", "client": "c", "humd": hello.sender, "settled": 0}
        self.send(Header(Chi.BREATH), welcome)
        assert self.read(LinkChi.CREDIT).body["count"] == 0
        self.hello = hello.body
        return hello.body

    def send(self, header: Header, body: Body) -> None:
        self._router.send(self._connection, frames.pack(header, body))

    def append(self, batch: int, first_seq: int, count: int = 1, epoch: str = "e") -> None:
        """Offer a batch; the number of its first event is counted from behind `BEGUN`."""
        parcels = b"".join(
            frames.pack(Header("chunk", f"r{seq}", f"s{seq % 2}", seq=seq), {"delta": f"{seq}"})
            for seq in range(first_seq, first_seq + count)
        )
        body = {
            "epoch": epoch,
            "batch": batch,
            "first_seq": first_seq + BEGUN,
            "at_ms": 1_700_000_000_000 + batch,
            "sections": [["c1", None, count, parcels]],
        }
        self.send(Header(LinkChi.APPEND), body)

    def offer(
        self, batch: int, first_seq: int, *tones: tuple[Header, Body], client: str | None = "c1"
    ) -> None:
        """Offer a batch of these tones."""
        parcels = b"".join(frames.pack(header, body) for header, body in tones)
        body = {
            "epoch": "e",
            "batch": batch,
            "first_seq": first_seq + BEGUN,
            "at_ms": 1_700_000_000_000 + batch,
            "sections": [[client, None, len(tones), parcels]],
        }
        self.send(Header(LinkChi.APPEND), body)

    def durable(self, batch: int) -> Body:
        """Wait until this batch is confirmed."""
        while (answer := self.read(LinkChi.DURABLE).body)["batch"] < batch:
            assert "refused" not in answer, answer
        return answer

    def refused(self) -> Body:
        """Wait until a batch is refused."""
        while "refused" not in (answer := self.read(LinkChi.DURABLE).body):
            pass
        return answer

    def backfill(self, *, sender: str = "c1", sid: str | None = None, **asked: Any) -> Body:
        self.send(Header(Chi.BACKFILL, "b1", sid, sender), asked)
        answer = self.read(Chi.BACKFILL)
        assert (answer.rid, answer.to, answer.seq) == ("b1", sender, 0)
        return answer.body

    def read(self, *chis: str) -> Tone:
        """The next tone of one of these kinds; others are passed over."""
        until = time.monotonic() + ANSWER_SECONDS
        while True:
            while self._waiting:
                tone = self._waiting.pop(0)
                if tone.chi in chis:
                    return tone
            received = self._router.receive()
            if received is not None:
                connection, frame = received
                tones = [frames.read_tone(parcel) for parcel in frames.read_frame(frame)]
                if any(tone.chi == Chi.HELLO for tone in tones):
                    self._connection = connection
                if connection == self._connection:
                    self._waiting += tones
            else:
                assert time.monotonic() < until, f"no {chis}"
                self._poll.wait(100)
