"""Lines of source bytes: their ends, their indentation, the blank ones around a place."""

import re
from collections import Counter
from collections.abc import Sequence

from humfs.core.text import Span

INDENTED_LINES_MAX = 2_000
"""Lines looked at to tell how a file is indented."""
UNIT_DEFAULT = 4

_INDENTED = re.compile(rb"^([ \t]+)\S", re.MULTILINE)
_BLANK = b" \t\r\n"


def newline_of(source: bytes) -> bytes:
    """The line end most lines have; LF on a tie."""
    crlf = source.count(b"\r\n")
    return b"\r\n" if crlf > source.count(b"\n") - crlf else b"\n"


def unified(text: bytes) -> bytes:
    """Text with LF alone."""
    return text.replace(b"\r\n", b"\n")


def with_newlines(text: bytes, newline: bytes) -> bytes:
    """Text that has LF alone, with these line ends."""
    return text if newline == b"\n" else text.replace(b"\n", newline)


def indent_of(line: bytes) -> bytes:
    """The white space a line begins with."""
    return line[: len(line) - len(line.lstrip(b" \t"))]


def is_blank(line: bytes) -> bool:
    """Whether nothing stands on a line."""
    return not line.strip(_BLANK)


def line_start(source: bytes, offset: int) -> int:
    """Where the line of a byte begins."""
    return source.rfind(b"\n", 0, offset) + 1


def line_end(source: bytes, offset: int) -> int:
    """Where the line of a byte ends, before its line end."""
    end = source.find(b"\n", offset)
    if end < 0:
        return len(source)
    return end - 1 if end > offset and source[end - 1 : end] == b"\r" else end


def next_line(source: bytes, offset: int) -> int:
    """Where the line after that of a byte begins; the end of the source when there is none."""
    end = source.find(b"\n", offset)
    return len(source) if end < 0 else end + 1


def indent_before(source: bytes, offset: int) -> bytes | None:
    """The white space before a byte on its line; None when something else stands there."""
    before = source[line_start(source, offset) : offset]
    return None if before.strip(b" \t") else before


def blank_after(source: bytes, offset: int) -> Span:
    """The blank lines that follow the line `offset` is on."""
    start = end = next_line(source, offset)
    while end < len(source):
        following = next_line(source, end)
        if not is_blank(source[end:following]):
            break
        end = following
    return Span(start, end)


def blank_before(source: bytes, offset: int) -> Span:
    """The blank lines above the line `offset` is on."""
    start = end = line_start(source, offset)
    while start > 0:
        above = line_start(source, start - 1)
        if not is_blank(source[above:start]):
            break
        start = above
    return Span(start, end)


def count_blank(source: bytes, span: Span) -> int:
    """How many blank lines a span of blank lines has."""
    return source.count(b"\n", span.start, span.end)


def trimmed(source: bytes, span: Span) -> Span:
    """A span without line ends and white space at its end."""
    end = span.start + len(source[span.start : span.end].rstrip(_BLANK))
    return Span(span.start, max(end, span.start))


def uses_tabs(indents: Sequence[bytes]) -> bool | None:
    """Whether lines are indented by tabs alone (True), by spaces alone (False), or by both."""
    kinds = {b"\t" in one for one in indents if one}
    return kinds.pop() if len(kinds) == 1 else None


def file_uses_tabs(source: bytes) -> bool | None:
    """Whether most indented lines of a file begin with a tab; None without indented lines."""
    counts = Counter(indent[:1] for indent in file_indents(source))
    if not counts:
        return None
    return counts[b"\t"] > counts[b" "]


def file_indents(source: bytes) -> list[bytes]:
    """The indentation of the first indented lines of a file."""
    found = []
    for match in _INDENTED.finditer(source):
        found.append(match[1])
        if len(found) == INDENTED_LINES_MAX:
            break
    return found


def unit_of(indents: Sequence[bytes]) -> int:
    """Spaces of one step: the smallest step of at least two between lines."""
    widths = sorted({len(one) for one in indents})
    base = widths[0] if widths and widths[0] > 1 else 0
    steps = [width - base for width in widths if width - base > 1] or [base]
    return steps[0] if steps[0] > 1 else UNIT_DEFAULT
