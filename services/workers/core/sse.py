"""Server-sent events: bytes in, the `data` of events out, whatever the pieces they arrive in."""

from thrum.errors import PeerError

EVENT_BYTES_MAX = 4 * 1024 * 1024
"""Bytes of one event."""

_BOM = b"\xef\xbb\xbf"


class EventTooLarge(PeerError):
    """One event is longer than `EVENT_BYTES_MAX`. The stream cannot be read on."""


class SseParser:
    """Incremental: feed it what was read, get the data of every event that is complete.

    Lines end with LF, CRLF or CR. Comments and fields other than `data` are dropped; several `data`
    lines of one event are joined by a line feed. An event that the stream's end cuts off is
    dropped, as the standard says.
    """

    def __init__(self) -> None:
        self._partial: list[bytes] = []
        """Pieces of the line whose end has not come."""
        self._partial_bytes = 0
        self._data: list[bytes] = []
        self._data_bytes = 0
        self._after_cr = False
        self._is_first_line = True

    def feed(self, piece: bytes) -> list[bytes]:
        """The data of the events that `piece` completes. Raises `EventTooLarge`."""
        events: list[bytes] = []
        for line in self._lines(piece):
            if not line:
                if self._data:
                    events.append(b"\n".join(self._data))
                    self._data = []
                    self._data_bytes = 0
            elif line.startswith(b"data:"):
                self._add(line[6:] if line.startswith(b"data: ") else line[5:])
            elif line == b"data":
                self._add(b"")
        if self._data_bytes + self._partial_bytes > EVENT_BYTES_MAX:
            raise EventTooLarge(f"an event is longer than {EVENT_BYTES_MAX} bytes")
        return events

    def _add(self, data: bytes) -> None:
        self._data_bytes += len(data) + 1
        if self._data_bytes > EVENT_BYTES_MAX:
            raise EventTooLarge(f"an event is longer than {EVENT_BYTES_MAX} bytes")
        self._data.append(data)

    def _lines(self, piece: bytes) -> list[bytes]:
        """The lines that `piece` completes; what follows the last line end is kept."""
        if self._after_cr and piece:
            piece = piece.removeprefix(b"\n")
            self._after_cr = False
        if b"\r" in piece:
            self._after_cr = piece.endswith(b"\r")
            piece = piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        lines = piece.split(b"\n")
        rest = lines.pop()
        if lines:
            if self._partial:
                lines[0] = b"".join((*self._partial, lines[0]))
                self._partial = []
                self._partial_bytes = 0
            if self._is_first_line:
                self._is_first_line = False
                lines[0] = lines[0].removeprefix(_BOM)
        if rest:
            self._partial.append(rest)
            self._partial_bytes += len(rest)
        return lines
