"""How long one call may take, and whether somebody wants it to end."""

import threading
import time

from humfs.errors import Code, Refusal

CALL_SECONDS = 9.0
"""What a search may take, so that it is answered within ten seconds; then it says how far it
got."""


class Watch:
    """One per call; asked often, from the thread that works."""

    def __init__(self, seconds: float = CALL_SECONDS) -> None:
        self._seconds = seconds
        self._until = time.monotonic() + seconds
        self._cancelled = threading.Event()

    def restart(self) -> None:
        """Count the time from now: the call had to wait for its turn."""
        self._until = time.monotonic() + self._seconds

    def cancel(self) -> None:
        """Ask the call to end; from any thread."""
        self._cancelled.set()

    def pause(self, seconds: float) -> None:
        """Wait before asking again for something that others hold; raises `Refusal` on a cancel."""
        self._cancelled.wait(min(seconds, self.left))
        self.check()

    @property
    def left(self) -> float:
        """Seconds left, not below zero."""
        return max(0.0, self._until - time.monotonic())

    @property
    def is_over(self) -> bool:
        """Whether the time is over; raises `Refusal` when the call was cancelled."""
        self.check()
        return self.left == 0

    def check(self) -> None:
        """Raise `Refusal` when the call was cancelled."""
        if self._cancelled.is_set():
            raise Refusal(Code.CANCELLED, "The call was cancelled.")

    def wants_stop(self) -> bool:
        """Whether to stop for either reason; never raises, for use inside other people's code."""
        return self._cancelled.is_set() or self.left == 0
