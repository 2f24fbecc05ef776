"""The one way a process is told to end, for poll loops and for tasks."""

import contextlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio


class Stop:
    """A flag that stays up, and a descriptor that becomes readable with it.

    A poll loop watches `descriptor` beside its sockets; a task awaits `wait()`. Raising it from a
    signal handler wakes both.
    """

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        self._event: asyncio.Event | None = None
        self.reason: str | None = None
        """Who asked first, for the log; None while nobody did."""

    @property
    def requested(self) -> bool:
        """Whether the process is to end."""
        return self.reason is not None

    @property
    def descriptor(self) -> int:
        """Readable, for ever, from the first request on. Never read from it."""
        return self._read

    def request(self, reason: str) -> None:
        """Ask the process to end; only the first request counts."""
        if self.reason is None:
            self.reason = reason
            os.write(self._write, b"!")

    async def wait(self) -> None:
        """Return once the process is to end. Any number of tasks of one loop may wait."""
        import asyncio  # here, because a poll loop never needs it: 4 MB

        if self._event is None:
            self._event = asyncio.Event()
            asyncio.get_running_loop().add_reader(self._read, self._wake)
        await self._event.wait()

    def close(self) -> None:
        """Give the descriptors back. Nobody waits any more."""
        for descriptor in (self._read, self._write):
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def _wake(self) -> None:
        import asyncio

        assert self._event is not None
        asyncio.get_running_loop().remove_reader(self._read)
        self._event.set()
