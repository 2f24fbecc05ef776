"""The one place where ZeroMQ sockets are made, so that every one of them is bounded.

libzmq's defaults are unlimited message sizes, silent drops and endless lingering; the options
below are the answer to each. A wrapper hides the library: nobody else imports it, and a caller
sees bytes, an outcome and a descriptor to wait on. ZeroMQ is a wire here, never a queue: what must
not be lost is numbered by
`nest.link` and kept until it is settled.
"""

import sys
from collections.abc import Iterable
from enum import Enum

import zmq

from thrum.frames import FRAME_BYTES_MAX

SEND_FRAMES_MAX = 1_000
"""Frames libzmq may hold for one peer before a send says `FULL`."""
RECEIVE_FRAMES_MAX = 4_000
"""Frames libzmq may hold from one peer before it stops reading from that peer."""
HANDSHAKE_MS = 3_000
"""How long a connection may take to greet."""
BACKLOG = 4_096
"""Connections waiting to be accepted; the default of 100 resets the rest of a storm."""
HEARTBEATS = 8
"""How often a silent peer is asked for a sign of life before it is disconnected."""
ROUTING_ID_BYTES = 5
"""Ids that the router mints: a zero byte and four more. A peer that chose its own is not served."""


class Sent(Enum):
    """What became of a send."""

    YES = "yes"
    FULL = "full"
    """The peer is alive and does not read; try again later."""
    GONE = "gone"
    """No such peer."""


def _bounded(socket: "zmq.Socket[bytes]") -> "zmq.Socket[bytes]":
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.MAXMSGSIZE, FRAME_BYTES_MAX)
    socket.setsockopt(zmq.SNDHWM, SEND_FRAMES_MAX)
    socket.setsockopt(zmq.RCVHWM, RECEIVE_FRAMES_MAX)
    socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
    socket.setsockopt(zmq.BACKLOG, BACKLOG)
    return socket


_EVENTS, _READABLE = int(zmq.EVENTS), int(zmq.POLLIN)
_AT_ONCE = int(zmq.DONTWAIT)
_FIRST_PART = int(zmq.DONTWAIT | zmq.SNDMORE)
"""Plain numbers: what they are combined with at every frame are numbers, too."""


def _has_message(socket: "zmq.Socket[bytes]") -> bool:
    """Whether a receive would return something. Asking costs less than half of being refused."""
    events: int = socket.getsockopt(_EVENTS)  # type: ignore[assignment]  # an option of a number
    return events & _READABLE != 0


class _Watched:
    """A socket and the monitor that tells when a connection ended."""

    def __init__(self, kind: int, ends: int = zmq.EVENT_DISCONNECTED) -> None:
        self._socket = _bounded(zmq.Context.instance().socket(kind))
        self._monitor = self._socket.get_monitor_socket(ends)
        self._ends = ends
        self._may_have_ended = _has_message(self._monitor)  # arms its descriptor, too
        self.frames_dropped = 0

    @property
    def descriptor(self) -> int:
        """Readable when something may have arrived. Edge-triggered: drain it."""
        return int(self._socket.getsockopt(zmq.FD))

    @property
    def monitor_descriptor(self) -> int:
        """Readable when a connection may have ended."""
        return int(self._monitor.getsockopt(zmq.FD))

    @property
    def is_readable(self) -> bool:
        """Whether a receive would return something; also lets libzmq do its bookkeeping."""
        return _has_message(self._socket)

    def disconnects(self) -> int:
        """How many connections ended since the last call, or could not be made.

        Looks only after `notice`: asking libzmq at every turn of a loop would cost more than
        reading a frame.
        """
        if not self._may_have_ended:
            return 0
        self._may_have_ended = False
        ended = 0
        while _has_message(self._monitor):
            message = self._monitor.recv_multipart(zmq.DONTWAIT)
            # Two bytes of event, four of value, in the machine's order (zmq_socket_monitor(3)).
            # The library's own parser would import asyncio: 4 MB in every poll loop.
            if int.from_bytes(message[0][:2], sys.byteorder) & self._ends:
                ended += 1
        return ended

    def notice(self) -> None:
        """The monitor's descriptor is readable; `Poll` calls this by itself."""
        self._may_have_ended = True

    def close(self) -> None:
        """Close at once; what libzmq still held is gone."""
        self._socket.disable_monitor()
        self._monitor.close(0)
        self._socket.close(0)


class RouterSocket(_Watched):
    """humd's side of the bus.

    With a `silence_ms` a peer that answers nothing for so long is disconnected, as if it had ended:
    libzmq asks it several times meanwhile, and its library answers for it even while its program is
    busy. One that is stopped or hung in the kernel answers nothing.
    """

    def __init__(self, endpoint: str, *, silence_ms: int = 0) -> None:
        super().__init__(zmq.ROUTER)
        self._socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        if silence_ms:
            self._socket.setsockopt(zmq.HEARTBEAT_IVL, silence_ms // HEARTBEATS)
            self._socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, silence_ms)
        self._socket.bind(endpoint)

    def receive(self) -> tuple[bytes, bytes] | None:
        """The next frame and the connection it came on; None when nothing waits.

        Messages of more than one part, and connections that chose their own id, are dropped and
        counted.
        """
        while _has_message(self._socket):
            parts = self._socket.recv_multipart(_AT_ONCE)
            if len(parts) == 2 and len(parts[0]) == ROUTING_ID_BYTES and parts[0][0] == 0:
                return parts[0], parts[1]
            self.frames_dropped += 1
        return None

    def send(self, connection: bytes, frame: bytes) -> Sent:
        """Hand a frame to libzmq without waiting."""
        try:
            self._socket.send(connection, _FIRST_PART)
            self._socket.send(frame, _AT_ONCE)
        except zmq.Again:
            return Sent.FULL
        except zmq.ZMQError as problem:
            if problem.errno == zmq.EHOSTUNREACH:
                return Sent.GONE
            raise
        return Sent.YES


class DealerSocket(_Watched):
    """A bee's side of the bus. One connection, never renewed: after a loss make a new socket."""

    def __init__(self, endpoint: str) -> None:
        super().__init__(zmq.DEALER, zmq.EVENT_DISCONNECTED | zmq.EVENT_CLOSED)
        self._socket.setsockopt(zmq.RECONNECT_IVL, -1)
        self._socket.connect(endpoint)

    def receive(self) -> bytes | None:
        """The next frame; None when nothing waits."""
        while _has_message(self._socket):
            parts = self._socket.recv_multipart(_AT_ONCE)
            if len(parts) == 1:
                return parts[0]
            self.frames_dropped += 1
        return None

    def send(self, frame: bytes) -> bool:
        """Hand a frame to libzmq without waiting; False when it is full."""
        try:
            self._socket.send(frame, _AT_ONCE)
        except zmq.Again:
            return False
        return True


class Poll:
    """Waits on sockets, their monitors and plain descriptors."""

    def __init__(self, descriptors: Iterable[int] = ()) -> None:
        self._poller = zmq.Poller()
        self._monitored: dict[object, _Watched] = {}
        for descriptor in descriptors:
            self._poller.register(descriptor, zmq.POLLIN)

    def watch(self, socket: RouterSocket | DealerSocket) -> None:
        """Wake for this socket and for the end of its connections."""
        self._poller.register(socket._socket, zmq.POLLIN)
        self._poller.register(socket._monitor, zmq.POLLIN)
        self._monitored[socket._monitor] = socket

    def watch_descriptor(self, descriptor: int) -> None:
        """Wake while this can be read."""
        self._poller.register(descriptor, zmq.POLLIN)

    def forget_descriptor(self, descriptor: int) -> None:
        """Stop waiting for it; call before closing it."""
        self._poller.unregister(descriptor)

    def forget(self, socket: RouterSocket | DealerSocket) -> None:
        """Stop waiting for it; call before closing it."""
        self._poller.unregister(socket._socket)
        self._poller.unregister(socket._monitor)
        del self._monitored[socket._monitor]

    def wait(self, milliseconds: int) -> bool:
        """Return True as soon as anything is readable, False after `milliseconds` without."""
        ready = self._poller.poll(milliseconds)
        for what, _ in ready:
            if what in self._monitored:
                self._monitored[what].notice()
        return bool(ready)
