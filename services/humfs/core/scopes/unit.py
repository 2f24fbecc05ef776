"""One place of a text file that an edit replaces or deletes, and how formats are asked for them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from humfs.core.edits.lines import (
    blank_after,
    blank_before,
    indent_of,
    line_end,
    line_start,
    next_line,
)
from humfs.core.text import Span, Text

Fit = Callable[[bytes], tuple[Span, bytes]]
"""From a replacement (LF alone) to what goes where."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A place. Its deletion takes `cuts` away, by default `span`."""

    span: Span
    noun: str
    """What it is, as answers name it: `value`, `section`, `block`, `line`, `text`."""
    fit: Fit
    cuts: tuple[Span, ...] = ()

    @property
    def deleted(self) -> tuple[Span, ...]:
        """What goes when it is deleted, in file order."""
        return self.cuts or (self.span,)


class Scopes(Protocol):
    """One text in one format. Made for each edit; says nothing about other texts."""

    def __init__(self, text: Text) -> None: ...

    def phrases(self, wanted: str) -> list[Unit]:
        """The places with this structural name, in file order; `#N` may be part of it."""

    def sentence(self, found: Span) -> Unit | None:
        """The smallest independent unit around a piece of text; None when it is in none."""

    def paragraph(self, found: Span) -> Unit | None:
        """The block around a piece of text; None when it is in none."""

    def fault(self) -> str:
        """Why the text is not well-formed; empty when it is, or when the format has no form."""


def verbatim(span: Span, *, noun: str = "text") -> Unit:
    """A place that takes whatever it is given."""
    return Unit(span, noun, lambda new: (span, new))


def lines_unit(source: bytes, span: Span, *, noun: str, is_block: bool) -> Unit:
    """Complete lines, line ends included; a deleted block takes the blank lines after it along.

    A replacement gets the line end it lacks, and one line the indentation of the one line it
    replaces.
    """

    def fit(new: bytes) -> tuple[Span, bytes]:
        indent = indent_of(source[span.start : span.end])
        is_line = b"\n" not in source[span.start : span.end].rstrip(b"\r\n")
        if is_line and b"\n" not in new.rstrip(b"\n") and not indent_of(new):
            new = indent + new
        ends = source.endswith(b"\n", span.start, span.end)
        if ends and not new.endswith(b"\n"):
            new += b"\n"
        return span, new

    return Unit(span, noun, fit, (_with_blank(source, span),) if is_block else ())


def _with_blank(source: bytes, span: Span) -> Span:
    below = blank_after(source, max(span.start, span.end - 1))
    if below.end < len(source):
        return Span(span.start, max(span.end, below.end))
    return Span(blank_before(source, span.start).start, len(source))


def whole_lines(source: bytes, span: Span) -> Span:
    """The lines a span touches, with the last one's end."""
    return Span(line_start(source, span.start), next_line(source, max(span.start, span.end - 1)))


def block_between_blanks(source: bytes, span: Span) -> Span:
    """The lines around a span up to blank ones."""
    start, end = line_start(source, span.start), line_end(source, max(span.start, span.end - 1))
    while start > 0:
        above = line_start(source, start - 1)
        if not source[above:start].strip():
            break
        start = above
    end = next_line(source, end)
    while end < len(source):
        below = next_line(source, end)
        if not source[end:below].strip():
            break
        end = below
    return Span(start, end)
