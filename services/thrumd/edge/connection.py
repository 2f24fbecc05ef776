"""One client's socket: bytes in, lines to the door; tones in, bytes out. It decides nothing."""

import asyncio
import select
import socket
import struct
from collections import deque
from collections.abc import Callable
from typing import Protocol, cast

from nest.bucket import Bucket
from thrum.tones import Tone
from thrumd.core.outbound import lines_of
from thrumd.core.outbox import FULL_SECONDS_MAX, Outbox
from thrumd.core.splitter import Splitter

WRITE_BYTES_HIGH = 256 * 1024
"""Bytes handed to the transport before lines wait in the outbox instead."""
READ_BYTES_MAX = 16 * 1024
"""Bytes taken from one client at once; one buffer serves all, its bytes are copied out."""
LINES_PER_TURN = 40
"""Lines of one client handled before others get their turn."""
BYTES_PER_TURN = 64 * 1024
"""Bytes of them: the line that reaches it is the last of its turn."""
NOISE_PER_SECOND = 1_000.0
"""Lines of one client that may lead nowhere, in the long run; then the door paces that client."""
NOISE_BURST = 1_000.0
LINE_SECONDS_MAX = 10.0
"""How long a line may take from its first byte to its newline, while we read."""
HALF_CLOSED_SECONDS_MAX = 60.0
"""How long a client that closed its writing side is served without anything being delivered."""
LAST_LINE_SECONDS_MAX = 10.0
"""How long a client that is cut may take to read what was written, and why it is cut."""
LOGS_PER_SECOND = 10.0
"""`log` tones of one client that go on, in the long run; they go past every other bound."""
LOGS_BURST = 100.0
SLOW_READER = "slow-reader"
PEER_CREDENTIALS = "3i"


class Host(Protocol):
    """What a connection needs of the door."""

    line_bytes_max: int

    @property
    def has_room(self) -> bool: ...

    def arrived(self, client: "Connection") -> None: ...

    def left(self, client: "Connection") -> None: ...

    def take(self, client: "Connection", line: bytes | None) -> bool: ...

    def pace(self, client: "Connection") -> None: ...

    def is_noisy(self, lines: int) -> bool: ...

    def wait_for_room(self, client: "Connection") -> None: ...

    def hold(self, more: int, whole: int) -> bool: ...

    def owe(self, more: int) -> None: ...

    def watch(self, client: "Connection") -> None: ...

    def cut(self, client: "Connection", reason: str) -> None: ...


_incoming = memoryview(bytearray(READ_BYTES_MAX))


class Connection(asyncio.BufferedProtocol):
    """See the module. Made for a socket that is accepted and allowed in."""

    def __init__(self, door: Host, client: str) -> None:
        self.client = client
        self.is_known = False
        """Whether humd has heard of this client."""
        self._door = door
        self._splitter = Splitter(door.line_bytes_max)
        self._lines: deque[bytes | None] = deque()
        self._outbox = Outbox()
        self._accounted = 0
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._is_reading = True
        self._is_turn_due = False
        self._is_stopped = False
        self._must_wait = False
        self._line_since: float | None = None
        self._full_since: float | None = None
        self._half_closed_since: float | None = None
        self._cut_since: float | None = None
        self._talk: Bucket | None = None
        self._noise: Bucket | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=WRITE_BYTES_HIGH)
        self._door.arrived(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._lines.clear()
        self._outbox.clear()
        self._account()
        self._door.left(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        return _incoming

    def buffer_updated(self, nbytes: int) -> None:
        self.data_received(bytes(_incoming[:nbytes]))

    def data_received(self, data: bytes) -> None:
        """Take bytes of the client, which are its own from here on."""
        before = self._splitter.waiting_bytes
        lines = self._splitter.feed(data)
        held = self._splitter.waiting_bytes
        if not self._door.hold(held - before, held):
            self._door.hold(-held, 0)
            self._splitter.skip()
            lines.append(None)
        self._lines.extend(lines)
        if lines or not self._splitter.is_inside_line:
            self._line_since = None
        if self._splitter.is_inside_line and self._line_since is None:
            self._line_since = self._loop.time()
            self._door.watch(self)
        if not self._is_turn_due:
            self.take_turn()

    def eof_received(self) -> bool:
        self._half_closed_since = self._loop.time()
        self._line_since = None
        self._door.watch(self)
        self._end_if_gone()
        return True

    def pause_writing(self) -> None:
        self._must_wait = True

    def resume_writing(self) -> None:
        self._must_wait = False
        while self._outbox and not self._must_wait and self._transport is not None:
            self._transport.write(self._outbox.take(WRITE_BYTES_HIGH))
        self._account()
        if not self._outbox.is_full:
            self._full_since = None

    @property
    def held_bytes(self) -> int:
        """Bytes of an unfinished line."""
        return self._splitter.waiting_bytes

    @property
    def owed_bytes(self) -> int:
        """Bytes that wait for the client, beside what the transport has."""
        return self._outbox.waiting_bytes

    def take_turn(self) -> None:
        """Hand some of the waiting lines to the door; then read on, or wait for the next turn."""
        self._is_turn_due = False
        noise = size = 0
        went_on = True
        for _ in range(LINES_PER_TURN):
            if not self._lines:  # or they were given up: a reply was one too many
                break
            if went_on and not self._door.has_room:  # what leads nowhere needs none
                self._wait(self._door.wait_for_room)
                return
            line = self._lines.popleft()
            went_on = self._door.take(self, line)
            noise += not went_on
            size += len(line or b"")
            if size >= BYTES_PER_TURN:
                break
        if noise and self._is_noisy(noise):
            self._wait(self._door.pace)
            return
        self._read(not self._lines)
        if self._lines:
            self._is_turn_due = True
            self._loop.call_soon(self.take_turn)
        else:
            self._end_if_gone()

    def deliver(self, tone: Tone) -> bool:
        """Send a tone; False when it was dropped. Raises `MalformedTone` when JSON cannot."""
        if self._half_closed_since is not None:
            self._half_closed_since = self._loop.time()
        if self._transport is None or self._transport.is_closing():
            return False
        if self._must_wait:
            is_queued = self._outbox.put(tone)
            self._mind_outbox()
            return is_queued
        for line in lines_of(tone):
            self._transport.write(line)
        return True

    def reply(self, lines: bytes) -> None:
        """Send lines of the door's own."""
        if self._transport is None or self._transport.is_closing():
            return
        if self._must_wait:
            self._outbox.put_lines(lines)
            self._mind_outbox()
        else:
            self._transport.write(lines)

    def may_talk(self) -> bool:
        """Whether one more `log` tone of this client goes on."""
        if self._talk is None:
            self._talk = Bucket(LOGS_PER_SECOND, LOGS_BURST)
        return self._talk.take(self._loop.time()) == 0

    def stop_reading(self) -> None:
        """Take nothing more from this client."""
        self._lines.clear()
        self._read(False)
        self._is_stopped = True

    def close(self) -> None:
        """Close once what is handed to the transport is written."""
        if self._transport is not None:
            self._transport.close()

    def cut(self, last_line: bytes = b"") -> int:
        """End this connection; how many tones that waited are lost with it.

        `last_line` comes after what the system has already: a client that reads on hears why. One
        that does not within `LAST_LINE_SECONDS_MAX` is closed by the sweep. Without it, now.
        """
        transport = self._transport
        if transport is None:
            return 0
        self._lines.clear()
        if last_line and self._cut_since is None:
            self._cut_since = self._loop.time()
            transport.write(last_line)
            transport.close()
        else:
            transport.abort()
        lost = self._outbox.clear()
        self._account()
        return lost

    def overdue(self, now: float) -> str | None:
        """Why this connection must end now, or None."""
        if self._cut_since is not None:
            return None
        if self._full_since is not None and now - self._full_since > FULL_SECONDS_MAX:
            return SLOW_READER
        if self._line_since is not None and now - self._line_since > LINE_SECONDS_MAX:
            return "unfinished-line"
        since = self._half_closed_since
        if since is None or self._lines:
            return None
        if self._is_hung_up():
            return "gone"
        return "half-closed" if now - since > HALF_CLOSED_SECONDS_MAX else None

    def is_deaf(self, now: float) -> bool:
        """Whether it was cut and still has not read its last line: `cut` it again."""
        return self._cut_since is not None and now - self._cut_since > LAST_LINE_SECONDS_MAX

    @property
    def is_watched(self) -> bool:
        """Whether `overdue` could ever say something as things stand."""
        moments = (
            self._line_since,
            self._full_since,
            self._half_closed_since,
            self._cut_since,
        )
        return any(moment is not None for moment in moments)

    def _wait(self, queue: Callable[["Connection"], None]) -> None:
        """Read nothing and take no turn until the door gives one, by that queue of it."""
        self._is_turn_due = True
        self._read(False)
        queue(self)

    def _is_noisy(self, noise: int) -> bool:
        """Whether so many more lines that led nowhere are too many, of this client or of all."""
        if self._noise is None:
            self._noise = Bucket(NOISE_PER_SECOND, NOISE_BURST)
        is_over = self._noise.take(self._loop.time(), noise) > 0
        return self._door.is_noisy(noise) or is_over

    def _account(self) -> None:
        """Tell the door how much more, or less, waits for this client."""
        more, self._accounted = self.owed_bytes - self._accounted, self.owed_bytes
        self._door.owe(more)

    def _mind_outbox(self) -> None:
        self._account()
        if self._outbox.overflowed:
            self._door.cut(self, SLOW_READER)
        elif self._outbox.is_full and self._full_since is None:
            self._full_since = self._loop.time()
            self._door.watch(self)

    def _read(self, wanted: bool) -> None:
        if wanted == self._is_reading or self._transport is None or self._transport.is_closing():
            return
        if wanted and self._is_stopped:
            return
        self._is_reading = wanted
        if self._half_closed_since is not None:
            return
        if wanted:
            self._transport.resume_reading()
            if self._splitter.is_inside_line:
                self._line_since = self._loop.time()
                self._door.watch(self)
        else:
            self._transport.pause_reading()
            self._line_since = None

    def _end_if_gone(self) -> None:
        """Close when the client is gone altogether, and not only done with writing."""
        if self._half_closed_since is not None and not self._lines and self._is_hung_up():
            self.close()

    def _is_hung_up(self) -> bool:
        if self._transport is None:
            return True
        poll = select.poll()
        poll.register(self._transport.get_extra_info("socket").fileno(), 0)
        return any(events & (select.POLLHUP | select.POLLERR) for _, events in poll.poll(0))


def peer_uid(client: socket.socket) -> int | None:
    """The user at the other end; None where the system cannot tell (the 0700 directory must do)."""
    if not hasattr(socket, "SO_PEERCRED"):
        return None
    size = struct.calcsize(PEER_CREDENTIALS)
    raw = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    _pid, uid, _gid = struct.unpack(PEER_CREDENTIALS, raw)
    return int(uid)
