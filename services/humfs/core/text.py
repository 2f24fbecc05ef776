"""File bytes as text: encodings, lines, spans.

`Text.source` is what parsers and searches see: UTF-8 without a byte order mark, or, for a file that
is not valid UTF-8, its bytes as they are. Offsets and spans are bytes of `source`. Lines are
counted from 1 and end with LF or CRLF.
"""

import bisect
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from itertools import accumulate

BINARY_PROBE_BYTES = 8_192
"""A NUL among the first so many bytes makes a file binary."""

UTF8_MARK = b"\xef\xbb\xbf"
_UTF16_MARKS = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
_NO_WORD = bytes(code for code in range(128) if not (chr(code).isalnum() or code == ord("_")))
_FOREIGN = bytes(range(128, 256))
"""In UTF-8, all that is not ASCII: it may be a letter or a space."""


class Encoding(StrEnum):
    """How a file's bytes become text, and back again."""

    UTF8 = "utf-8"
    UTF8_MARK = "utf-8-sig"
    UTF16_LE = "utf-16-le"
    UTF16_BE = "utf-16-be"
    BYTES = "bytes"
    """Not decodable: shown with U+FFFD, kept as bytes."""


@dataclass(frozen=True, slots=True)
class Span:
    """A half-open byte range of a `Text.source`."""

    start: int
    end: int


@dataclass(frozen=True)
class Text:
    """One file's content. Made by `decode`."""

    source: bytes
    encoding: Encoding

    def encoded(self, source: bytes) -> bytes:
        """The bytes of a file that holds `source` and is otherwise like this one."""
        if self.encoding is Encoding.UTF8_MARK:
            return UTF8_MARK + source
        for mark, encoding in _UTF16_MARKS.items():
            if self.encoding == encoding:
                return mark + source.decode().encode(encoding)
        return source

    @cached_property
    def _starts(self) -> list[int]:
        lines = self.source.split(b"\n")
        starts = [0, *accumulate(map((1).__add__, map(len, lines)))]
        starts.pop()  # where a line after the last would begin
        if starts[-1] == len(self.source):
            starts.pop()
        return starts

    @property
    def lines(self) -> int:
        """How many lines there are; a final line end begins no further one."""
        return len(self._starts)

    def line_of(self, offset: int) -> int:
        """The line that holds a byte."""
        return max(1, bisect.bisect_right(self._starts, offset))

    def line_span(self, line: int) -> Span:
        """A line without its end."""
        start = self._starts[line - 1]
        end = self._starts[line] - 1 if line < len(self._starts) else len(self.source)
        if self.source.endswith(b"\n", start, end) and line == len(self._starts):
            end -= 1
        if self.source.endswith(b"\r", start, end) and self.source[end : end + 1] == b"\n":
            end -= 1
        return Span(start, end)

    def line(self, line: int) -> str:
        """A line as text, without its end."""
        return self.text(self.line_span(line))

    def text(self, span: Span) -> str:
        """A span as text; bytes that are not UTF-8 are U+FFFD."""
        return self.source[span.start : span.end].decode("utf-8", "replace")

    def first_line(self, span: Span) -> int:
        """The line a span begins on."""
        return self.line_of(span.start)

    def last_line(self, span: Span) -> int:
        """The line a span ends on."""
        return self.line_of(max(span.start, span.end - 1))


def holds_each(source: bytes, words: Iterable[bytes]) -> bool:
    """Whether each word stands somewhere by itself, and not only inside a longer one."""
    for word in words:
        for at in _places(source, word, 0, len(source)):
            around = source[at - 1 : at] + source[at + len(word) : at + len(word) + 1]
            if not around.translate(None, _NO_WORD):
                break
        else:
            return False
    return True


def holds_any(source: bytes, words: Iterable[bytes], start: int, end: int) -> bool:
    """Whether a word stands in a range with no ASCII letter, digit or `_` beside it."""
    for word in words:
        for at in _places(source, word, start, end):
            around = source[at - 1 : at] + source[at + len(word) : at + len(word) + 1]
            if not around.translate(None, _NO_WORD).strip(_FOREIGN):
                return True
    return False


def _places(source: bytes, word: bytes, start: int, end: int) -> Iterator[int]:
    at = source.find(word, start, end)
    while at >= 0:
        yield at
        at = source.find(word, at + len(word), end)


def is_binary(head: bytes) -> bool:
    """Whether a file that begins with `head` is binary: a NUL early on and no UTF-16 mark."""
    return head.find(b"\0", 0, BINARY_PROBE_BYTES) >= 0 and head[:2] not in _UTF16_MARKS


def is_utf16(head: bytes) -> bool:
    """Whether a file that begins with `head` carries a UTF-16 mark."""
    return head[:2] in _UTF16_MARKS


def decode(content: bytes) -> Text:
    """A file's bytes as text. Never fails: what cannot be decoded stays bytes."""
    utf16 = _UTF16_MARKS.get(content[:2])
    try:
        if utf16 is not None:
            return Text(content[2:].decode(utf16).encode(), Encoding(utf16))
        if content.startswith(UTF8_MARK):
            body = content[len(UTF8_MARK) :]
            body.decode()
            return Text(body, Encoding.UTF8_MARK)
        content.decode()
    except UnicodeDecodeError:
        return Text(content, Encoding.BYTES)
    return Text(content, Encoding.UTF8)
