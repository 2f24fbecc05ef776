"""Regular expressions of `pattern`: RE2, line by line.

RE2 matches in linear time whatever the expression, so nothing here needs a clock; a caller that
searches much asks between two pieces whether it may go on. Lines end with LF or CRLF, `^` and `$`
are their ends, and no match crosses one. Bytes that are no UTF-8 match nothing but themselves.
"""

import bisect
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from humfs.errors import Code, Refusal

PATTERN_CHARS_MAX = 1_000
LINE_CHARS_MAX = 1_000
"""Characters of a line kept in a hit, around the match."""

_KNOWS_ENDS = re.compile(r"\\[Az]|\(\?[a-zA-Z]*-[a-zA-Z]*m")


class Match(Protocol):
    """One match."""

    def start(self) -> int:
        """Where it begins, in bytes."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A line that matches."""

    line: int
    byte: int
    """Where the match starts in its line."""
    text: str
    char: int
    """Where it starts in `text`."""
    before: int
    after: int
    """Characters of the line left out of `text` on either side."""


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled expression. Made by `compiled`."""

    search: Callable[[bytes, int], Match | None]
    """The first match from a place on."""
    by_line: bool
    """Whether it means something else when it sees more than one line."""


def compiled(pattern: str) -> Expression:
    """The expression, ready to search; raises `Refusal` (`bad_pattern`) with the reason."""
    if len(pattern) > PATTERN_CHARS_MAX:
        raise _bad(f"longer than {PATTERN_CHARS_MAX} characters")
    import re2  # here, because it is megabytes that an idle service does without

    options = re2.Options()
    options.log_errors, options.never_nl = False, True
    try:
        search = re2.compile(f"(?m){pattern}".encode(), options).search
    except (re2.error, UnicodeEncodeError) as problem:
        raise _bad(_reason(problem)) from problem
    finally:
        re2.purge()  # else it keeps the last 128, each with megabytes of its own
    return Expression(search, _KNOWS_ENDS.search(pattern) is not None)


@dataclass(slots=True)
class Batch:
    """Lines of several files in a row, searched at once."""

    pieces: list[tuple[int, int, int]] = field(default_factory=list)
    """For each file its number, the number of its first line, and where it begins."""
    texts: list[bytes] = field(default_factory=list)
    size: int = 0

    def add(self, file: int, line: int, text: bytes) -> None:
        """Append lines of a file, of which the first has the number `line`."""
        if b"\r" in text:
            text = text.replace(b"\r\n", b"\n")
        if text:
            self.pieces.append((file, line, self.size))
            self.texts.append(text if text.endswith(b"\n") else text + b"\n")
            self.size += len(self.texts[-1])

    def hits(self, expression: Expression) -> Iterator[tuple[int, Hit]]:
        """The lines that match, each once, with the number of the file."""
        if expression.by_line:
            for (file, line, _), text in zip(self.pieces, self.texts, strict=True):
                for number, one in enumerate(text.removesuffix(b"\n").split(b"\n"), start=line):
                    match = expression.search(one, 0)
                    if match is not None:
                        yield file, _hit(one, number, match.start())
            return
        text, at, piece, counted = b"".join(self.texts), 0, -1, 0
        starts = [start for _, _, start in self.pieces]
        file = number = 0
        while at < len(text) and (match := expression.search(text, at)) is not None:
            start = match.start()
            if start == len(text):
                return
            if piece + 1 < len(starts) and start >= starts[piece + 1]:
                piece = bisect.bisect_right(starts, start) - 1
                file, number, counted = self.pieces[piece]
            number += text.count(b"\n", counted, start)
            first, end = text.rfind(b"\n", 0, start) + 1, text.index(b"\n", start)
            yield file, _hit(text[first:end], number, start - first)
            at, counted = end + 1, start


def _hit(content: bytes, line: int, byte: int) -> Hit:
    text = content.decode("utf-8", "replace")
    char = len(content[:byte].decode("utf-8", "replace"))
    first = max(0, min(char - LINE_CHARS_MAX // 3, len(text) - LINE_CHARS_MAX))
    kept = text[first : first + LINE_CHARS_MAX]
    return Hit(line, byte, kept, char - first, first, len(text) - first - len(kept))


def _reason(problem: Exception) -> str:
    text = problem.args[0] if problem.args else ""
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)


def _bad(reason: str) -> Refusal:
    return Refusal(
        Code.BAD_PATTERN,
        f"pattern cannot be used: {reason}.",
        hint="It is an RE2 expression, applied line by line; \\ makes a character literal.",
    )
