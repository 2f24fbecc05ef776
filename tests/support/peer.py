"""A bee on the bus for programs without an event loop: blocking, and next to no cost of its own.

    poll = Poll()
    peer = Peer(stack.paths.bus_endpoint, poll, {"bee": ["asker"], "hive": "count"})
    peer.join()
    assert peer.vitals()["hum_table_size"]["turns",] == 0

`link` says the hello and whatever is offered to it; who sends frames of its own sends them on
`socket`.
"""

import os
import time

from nest.identity import SEED_BYTES
from nest.link import Link, Reset
from nest.sockets import DealerSocket, Poll
from thrum.chi import LinkChi
from thrum.ids import HUMID_RANDOM_BYTES, hid_of, mint_humid
from thrum.keys import SigningKey
from thrum.tones import Body, Tone

POLL_MS = 200
AGAIN_SECONDS = 0.02
"""Between two connections while humd is not there: libzmq closes sockets at its leisure."""
STALL_SECONDS = 30.0
"""How long humd may take to answer; a bound for a broken build."""


class NoAnswer(AssertionError):
    """humd does not answer."""


class Peer:
    """See the module."""

    def __init__(
        self, endpoint: str, poll: Poll, about: Body, *, seed: bytes | None = None
    ) -> None:
        key = SigningKey.from_seed(seed or os.urandom(SEED_BYTES))
        instance = mint_humid(time.time_ns() // 1_000_000, os.urandom(HUMID_RANDOM_BYTES))
        self.link = Link(hid_of("wbee", key.public), key, instance, lambda: about)
        self._endpoint, self._poll = endpoint, poll
        self._count = 0
        self.socket = self._open()

    def _open(self) -> DealerSocket:
        socket = DealerSocket(self._endpoint)
        self._poll.watch(socket)
        self.link.opened()
        return socket

    def join(self) -> None:
        """Say hello until humd answers; it does once it has replayed its log."""
        ends = time.monotonic() + STALL_SECONDS
        while not self.link.is_joined:
            if time.monotonic() > ends:
                raise NoAnswer("humd did not answer a hello")
            self.flush()
            self._poll.wait(POLL_MS)
            if self.socket.disconnects() or self._is_reset():
                self.leave()
                time.sleep(AGAIN_SECONDS)
                self.socket = self._open()

    def _is_reset(self) -> bool:
        is_over = False
        while (frame := self.socket.receive()) is not None:
            is_over |= any(isinstance(event, Reset) for event in self.link.receive(frame))
        return is_over

    def flush(self) -> None:
        """Send what the link has to say."""
        while (out := self.link.take()) is not None:
            self.socket.send(out)

    def vitals(self, hive: str = "humd") -> dict[str, dict[tuple[str, ...], float]]:
        """What a process counts now: by metric, then by the values of its labels."""
        told = self._asked({}, hive)
        return {
            metric["name"]: {
                tuple(sample["labels"].values()): sample["value"]
                for sample in metric["samples"]
                if "value" in sample
            }
            for metric in told["metrics"]
        }

    def bees(self) -> list[Body]:
        """The bees that humd lists."""
        listed: list[Body] = self._asked({"ask": "bees"})["bees"]
        return listed

    def _asked(self, question: Body, hive: str = "humd") -> Body:
        """The answer of humd, or of one hive; others answer too, and are not waited for."""
        self._count += 1
        self.link.offer(Tone(chi=LinkChi.VITALS, rid=f"v-{self._count}", body=question))
        self.flush()
        ends = time.monotonic() + STALL_SECONDS
        while time.monotonic() < ends:
            while (frame := self.socket.receive()) is not None:
                for event in self.link.receive(frame):
                    if not isinstance(event, Tone) or event.rid != f"v-{self._count}":
                        continue
                    if event.body.get("hive", "humd") == hive:
                        return event.body
            self._poll.wait(POLL_MS)
        raise NoAnswer(f"{hive} did not answer {question}")

    def leave(self) -> None:
        self._poll.forget(self.socket)
        self.socket.close()
