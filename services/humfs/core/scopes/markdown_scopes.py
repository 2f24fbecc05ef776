"""Markdown: a heading owns its section; list items with their lines; blocks between blank lines."""

import re

from humfs.core import anchors
from humfs.core.anchors import Anchor
from humfs.core.edits.lines import indent_of, is_blank, line_start, next_line
from humfs.core.scopes.unit import Unit, block_between_blanks, lines_unit, whole_lines
from humfs.core.text import Span, Text

_HEADING = re.compile(rb" {0,3}(#{1,6})(?:[ \t]|$)")
_UNDERLINE = re.compile(rb" {0,3}(=+|-+)[ \t]*")
_ITEM = re.compile(rb"[ \t]*(?:[-*+]|[0-9]{1,9}[.)])[ \t]+")


class MarkdownScopes:
    """See `unit.Scopes`."""

    def __init__(self, text: Text) -> None:
        self._source = text.source
        self._anchors = anchors.anchors_of("x.md", text)

    def phrases(self, wanted: str) -> list[Unit]:
        """The bodies of sections by their headings as written."""
        return [self._section(one) for one in self._anchors if wanted in (one.label, one.target)]

    def sentence(self, found: Span) -> Unit | None:
        """The line, or the list item with its lines."""
        source, span = self._source, whole_lines(self._source, found)
        if item := _ITEM.match(source, span.start):
            span = Span(span.start, max(span.end, self._item_end(span.start, item.end())))
        return lines_unit(source, span, noun="line", is_block=False)

    def paragraph(self, found: Span) -> Unit | None:
        """On a heading the section with the heading, else the block between blank lines."""
        source = self._source
        for one in self._anchors:
            if one.span.start <= found.start < self._body_start(one):
                end = next_line(source, max(one.span.start, one.span.end - 1))
                span = Span(line_start(source, one.span.start), end)
                return lines_unit(source, span, noun="section", is_block=True)
        span = block_between_blanks(source, found)
        return lines_unit(source, span, noun="block", is_block=True)

    def fault(self) -> str:
        """Markdown has no form it must keep."""
        return ""

    def _section(self, anchor: Anchor) -> Unit:
        source = self._source
        start = line_start(source, anchor.span.start)
        body = self._body_start(anchor)
        end = max(body, next_line(source, max(anchor.span.start, anchor.span.end - 1)))
        level = self._level(anchor)

        def fit(new: bytes) -> tuple[Span, bytes]:
            text = new.strip(b"\n")
            first, _, rest = text.partition(b"\n")
            marks = _HEADING.match(first)
            if marks is not None and len(marks[1]) == level:
                span = Span(start, end if rest.strip() else body)
                return span, text + self._newline(span)
            lead = b"\n" if source.endswith(b"\n", 0, body) else b"\n\n"
            ends = body == end or source.endswith(b"\n", 0, end)
            tail = b"\n" if ends and lead == b"\n" else b""
            return Span(body, end), lead + text + tail

        return Unit(Span(body, end), "section", fit)

    def _newline(self, span: Span) -> bytes:
        return b"\n" if self._source.endswith(b"\n", span.start, span.end) else b""

    def _level(self, anchor: Anchor) -> int:
        source, start = self._source, line_start(self._source, anchor.span.start)
        marks = _HEADING.match(source[start : next_line(source, start)])
        if marks is not None:
            return len(marks[1])
        below = next_line(source, start)
        return 1 if source[below : below + 4].lstrip().startswith(b"=") else 2

    def _body_start(self, anchor: Anchor) -> int:
        """Behind the line of a heading, or behind the line under it."""
        source, start = self._source, line_start(self._source, anchor.span.start)
        after = next_line(source, start)
        if _HEADING.match(source[start:after]):
            return after
        return next_line(source, after)

    def _item_end(self, start: int, content: int) -> int:
        """The end of a list item: its indented lines, and what goes on directly without indent."""
        source, at = self._source, next_line(self._source, start)
        end, after_blank = at, False
        while at < len(source):
            line = source[at : next_line(source, at)]
            at += len(line)
            if is_blank(line):
                after_blank = True
                continue
            is_inside = len(indent_of(line)) >= content - start
            if not is_inside and (after_blank or _starts_block(line)):
                break
            end, after_blank = at, False
        return end


def _starts_block(line: bytes) -> bool:
    marks = (b"```", b"~~~", b">")
    return bool(_ITEM.match(line) or _HEADING.match(line)) or line.lstrip().startswith(marks)
