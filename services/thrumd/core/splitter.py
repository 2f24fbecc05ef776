"""Bytes of one connection, cut into lines."""


class Splitter:
    """Cuts at newlines and keeps the unfinished rest; a line over the limit is skipped."""

    def __init__(self, line_bytes_max: int) -> None:
        self._line_bytes_max = line_bytes_max
        self._parts: list[bytes] = []
        self._skipping = False
        self.waiting_bytes = 0
        """Bytes of the line that is not finished yet; 0 while one is being skipped."""

    @property
    def is_inside_line(self) -> bool:
        """Whether a line has begun and not ended."""
        return bool(self._parts) or self._skipping

    def feed(self, data: bytes) -> list[bytes | None]:
        """The lines that `data` finishes, without newline; None stands for one over the limit.

        None comes once, as soon as the line is too long; its rest up to the newline is dropped.
        """
        if self._skipping:
            end = data.find(b"\n")
            if end < 0:
                return []
            self._skipping = False
            data = data[end + 1 :]
        first, *others = data.split(b"\n")
        if first:
            self._parts.append(first)
            self.waiting_bytes += len(first)
        lines: list[bytes | None] = []
        if others:
            *whole, rest = others
            lines = [self._checked(b"".join(self._parts))]
            if len(data) <= self._line_bytes_max:
                lines += whole
            else:
                lines += [self._checked(line) for line in whole]
            self._parts = [rest] if rest else []
            self.waiting_bytes = len(rest)
        if self.waiting_bytes > self._line_bytes_max:
            self.skip()
            lines.append(None)
        return lines

    def skip(self) -> None:
        """Give up the unfinished line: nothing of it is kept, its end is waited for."""
        self._parts = []
        self.waiting_bytes = 0
        self._skipping = True

    def _checked(self, line: bytes) -> bytes | None:
        return line if len(line) <= self._line_bytes_max else None
