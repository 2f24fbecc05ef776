"""One question to humd by a process that is no bee: nothing of it is logged, no key is needed.

Without an event loop, so that a command that only wants to know something pays for nothing else.
"""

import secrets
import time

from nest.link import Joined, Link, Reset
from nest.paths import Paths
from nest.sockets import DealerSocket, Poll
from thrum import ids
from thrum.chi import LinkChi
from thrum.errors import DaemonAbsent
from thrum.keys import SigningKey
from thrum.tones import Body, Tone

_MEND = "hum logs humd; hum ctl restart humd"


def ask_humd(paths: Paths, question: Body, *, within_seconds: float) -> Body:
    """The answer of humd to `question` (docs/wire.md, section 1.2, `vitals`).

    Raises `DaemonAbsent` when there is none in time.
    """
    if not paths.bus_socket.exists():  # libzmq would not tell
        raise DaemonAbsent("humd does not run", hint="hum up")
    key = SigningKey.from_seed(secrets.token_bytes(32))
    instance = ids.mint_humid(_now_ms(), secrets.token_bytes(ids.HUMID_RANDOM_BYTES))
    link = Link(ids.hid_of("fbee", key.public), key, instance, lambda: {"visit": True})
    link.opened()
    socket, poll, until = (
        DealerSocket(paths.bus_endpoint),
        Poll(),
        time.monotonic() + within_seconds,
    )
    poll.watch(socket)
    try:
        while (left := until - time.monotonic()) > 0:
            while (frame := link.take()) is not None:
                socket.send(frame)
            poll.wait(int(left * 1000) + 1)
            answer = _take(socket, link, question)
            if answer is not None:
                return answer
            if socket.disconnects():
                raise DaemonAbsent("humd does not answer at its socket", hint=_MEND)
    finally:
        poll.forget(socket)
        socket.close()
    said = f"humd did not answer within {within_seconds:.0f} s"
    raise DaemonAbsent(said, hint=_MEND)


def _take(socket: DealerSocket, link: Link, question: Body) -> Body | None:
    """Take what arrived; ask once the hello is answered."""
    while (received := socket.receive()) is not None:
        for event in link.receive(received):
            if isinstance(event, Joined):
                link.offer(Tone(chi=LinkChi.VITALS, rid="visit", body=question))
            elif isinstance(event, Reset):
                raise DaemonAbsent(f"humd refused: {event.reason}", hint="hum logs humd")
            elif isinstance(event, Tone) and event.rid == "visit":
                return event.body
    return None


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
