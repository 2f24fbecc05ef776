"""A log without a disk, on the real bus: for tests and benchmarks that are not about durability.

Run as a program: `python -m tests.support.memory_log`, with the environment of the stack. It joins
as thehum does, confirms every batch at once, and keeps nothing. With `--endless` it claims to have
more events than anybody could read: a start of humd goes on for as long as it runs.
"""

import os
import signal
import sys
import time

from nest.identity import load_or_mint_identity
from nest.link import Joined, Link
from nest.paths import Paths, ensure_private
from nest.sockets import DealerSocket, Poll
from thrum.chi import Chi, LinkChi
from thrum.ids import mint_humid
from thrum.tones import Body, Tone

ENDLESS_SEQ = 1_000_000
PAGE_SECONDS = 0.05
"""Between the empty pages of a log without end."""


class MemoryLog:
    """See the module."""

    def __init__(self, paths: Paths, *, is_endless: bool) -> None:
        identity = load_or_mint_identity(paths.bee_key("thehum"), prefix="fbee")
        instance = mint_humid(1, os.urandom(26))
        self._link = Link(identity.hid, identity.key, instance, self._hello)
        self._endpoint = paths.bus_endpoint
        self._is_endless = is_endless
        self._seq = ENDLESS_SEQ if is_endless else 0
        self._offer: Body = {}

    def _hello(self) -> Body:
        head = {"seq": self._seq, "hash": "0" * 64, "ts_ms": 0}
        return {
            "bee": ["log"],
            "hive": "thehum",
            "author": "humd_" + "0" * 64,
            "head": head,
            "offer": self._offer,
            "state": "writable",
        }

    def run(self) -> None:
        while True:
            self._connection()

    def _connection(self) -> None:
        socket = DealerSocket(self._endpoint)
        poll = Poll()
        poll.watch(socket)
        self._link.opened()
        while not socket.disconnects():
            while (frame := socket.receive()) is not None:
                for event in self._link.receive(frame):
                    if isinstance(event, Tone):
                        self._answer(event)
                    elif not isinstance(event, Joined):
                        break
            while (out := self._link.take()) is not None:
                socket.send(out)
            if not poll.wait(500) and not self._link.is_joined:
                break
        poll.forget(socket)
        socket.close()

    def _answer(self, tone: Tone) -> None:
        body = tone.body
        if tone.chi == LinkChi.APPEND:
            count = sum(section[2] for section in body["sections"])
            self._seq = body["first_seq"] + count - 1
            self._offer = {"epoch": body["epoch"], "batch": body["batch"]}
            self._link.offer(Tone(chi=LinkChi.DURABLE, body={**self._offer, "head_seq": self._seq}))
        elif tone.chi == LinkChi.STATE and body.get("op") == "list":
            known: Body = {"op": "list", "snapshots": [], "first_seq": 1}
            self._link.offer(Tone(chi=LinkChi.STATE, body=known))
        elif tone.chi == Chi.BACKFILL:
            page: Body = {"events": [], "next_seq": None, "head_seq": self._seq}
            if self._is_endless:
                time.sleep(PAGE_SECONDS)
                page["next_seq"] = body["from_seq"]
            self._link.offer(Tone(chi=Chi.BACKFILL, rid=tone.rid, to=tone.sender, body=page))
        elif tone.chi == LinkChi.VITALS and not body:
            self._link.offer(Tone(chi=LinkChi.VITALS, rid=tone.rid, to=tone.sender, body={}))


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    paths = Paths.from_environment(os.environ)
    ensure_private(paths.bus_socket.parent)
    MemoryLog(paths, is_endless="--endless" in sys.argv[1:]).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
