"""The NDJSON door, as a client sees it: one line out, lines in.

Everything waits with a bound, and a line has one too.
"""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hum.errors import absent
from thrum.errors import LocalError, MalformedTone
from thrum.lines import read_line, write_line
from thrum.tones import Tone

CONNECT_SECONDS = 5.0
LINE_BYTES_MAX = 16 * 1024 * 1024
READ_BYTES = 65_536


class DoorSilent(LocalError):
    """The door was open and nothing came."""


class Door:
    """One connection to the door."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        self._unread = bytearray()

    def send(self, tone: Tone) -> None:
        """Write one tone; raises `DaemonAbsent` when nobody takes it."""
        try:
            self._link.sendall(write_line(tone))
        except OSError as error:
            raise absent("the door was closed") from error

    def receive(self, *, within_seconds: float) -> Tone:
        """The next tone; what is none is passed over.

        Raises `DoorSilent` when none comes, `DaemonAbsent` when the door closes, `LocalError` for a
        line of more than `LINE_BYTES_MAX`.
        """
        self._link.settimeout(within_seconds)
        while True:
            line = self._line(within_seconds)
            try:
                tone = read_line(line)
            except MalformedTone:
                continue
            if tone is not None:
                return tone

    def echo(self, rid: str, *, within_seconds: float) -> Tone:
        """The echo of the tone `rid`, which is on disk then; what comes before it is passed over.

        Raises `DoorSilent` when it does not come in time, whatever else comes, and what `receive`
        raises besides.
        """
        until = time.monotonic() + within_seconds
        with suppress(DoorSilent):
            while (left := until - time.monotonic()) > 0:
                tone = self.receive(within_seconds=left)
                if tone.chi == "echo" and tone.rid == rid:
                    return tone
        raise DoorSilent(
            f"what was sent was not on disk within {within_seconds:.0f} s",
            hint="hum status; hum logs",
        )

    def _line(self, within_seconds: float) -> bytes:
        searched = 0
        while (end := self._unread.find(b"\n", searched)) < 0:
            searched = len(self._unread)
            if searched > LINE_BYTES_MAX:
                raise LocalError(f"a line of more than {LINE_BYTES_MAX} bytes", hint="hum logs")
            try:
                part = self._link.recv(READ_BYTES)
            except TimeoutError as error:
                raise DoorSilent(
                    f"nothing came for {within_seconds:.0f} s", hint="hum status; hum logs"
                ) from error
            except OSError as error:
                raise absent("the door was closed") from error
            if not part:
                raise absent("the door was closed before the answer was complete")
            self._unread += part
        line = bytes(self._unread[:end])
        del self._unread[: end + 1]
        return line


@contextmanager
def open_door(path: Path) -> Iterator[Door]:
    """Connect to the door at `path`; raises `DaemonAbsent` when nobody is behind it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        link.settimeout(CONNECT_SECONDS)
        try:
            link.connect(str(path))
        except OSError as error:
            raise absent(f"nobody answers at the door {path}") from error
        yield Door(link)
