"""Fakes around the door: a bee that records, and a transport that records."""

import asyncio
import socket
from typing import Any

import orjson

from thrum.chi import Chi
from thrum.tones import Body, Tone


class FakeInbox:
    """Tones from humd, as `nest.bee.Bee.inbox` gives them."""

    def __init__(self) -> None:
        self.waiting: list[Tone] = []
        self._arrived = asyncio.Event()
        self._hungry = asyncio.Event()

    def put(self, tone: Tone) -> None:
        self.waiting.append(tone)
        self._hungry.clear()
        self._arrived.set()

    async def take(self) -> list[Tone]:
        while not self.waiting:
            self._arrived.clear()
            self._hungry.set()
            await self._arrived.wait()
        taken, self.waiting = self.waiting, []
        return taken

    async def emptied(self) -> None:
        """Return once the reader has handled everything and waits for more."""
        await self._hungry.wait()


class FakeBee:
    """What the door needs of a bee. `room` is how many tones may be unsettled."""

    def __init__(self) -> None:
        self.inbox = FakeInbox()
        self.posted: list[Tone] = []
        self.unlogged: list[Tone] = []
        self.room = 1_000_000
        self.is_connected = True
        self._settled = 0

    @property
    def mark(self) -> tuple[int, int]:
        return 1, len(self.inbox.waiting)

    def handled(self, mark: tuple[int, int]) -> None:
        assert mark == (1, 0)

    @property
    def has_room(self) -> bool:
        return len(self.posted) - self._settled < self.room

    def post(self, tone: Tone) -> int:
        if tone.chi in (Chi.BACKFILL, Chi.LOG):
            self.unlogged.append(tone)
            return 0
        assert self.has_room
        tone.rid = tone.rid or "minted"
        self.posted.append(tone)
        return len(self.posted)

    def settle(self, upto: int) -> None:
        self._settled = max(self._settled, upto)


class FakeTransport:
    """Keeps what is written; its socket is one end of a real pair, to tell a half-close."""

    def __init__(self) -> None:
        self.is_reading = True
        self.protocol: Any = None
        self._written = b""
        self._is_closing = False
        self.aborts = 0
        self._socket, self._other = socket.socketpair()

    def read(self) -> list[Body]:
        """What was written since the last call."""
        written, self._written = self._written, b""
        return [orjson.loads(line) for line in written.splitlines()]

    def hang_up(self) -> None:
        """The client closes its end altogether."""
        self._other.close()

    def set_write_buffer_limits(self, high: int) -> None:
        assert high > 0

    def get_extra_info(self, name: str) -> socket.socket:
        assert name == "socket"
        return self._socket

    def write(self, data: bytes) -> None:
        assert not self._is_closing
        self._written += data

    def pause_reading(self) -> None:
        assert self.is_reading
        self.is_reading = False

    def resume_reading(self) -> None:
        assert not self.is_reading
        self.is_reading = True

    def is_closing(self) -> bool:
        return self._is_closing

    def close(self) -> None:
        self._is_closing = True

    def abort(self) -> None:
        self._is_closing = True
        self.aborts += 1

    def __del__(self) -> None:
        self._socket.close()
        self._other.close()
