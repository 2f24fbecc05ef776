"""Delete a symbol or a place inside one (humfs 8.7)."""

from humfs.core.edits.draft import CodeFile, Draft, spliced
from humfs.core.edits.lines import (
    blank_after,
    blank_before,
    count_blank,
    is_blank,
    line_end,
    line_start,
    next_line,
    trimmed,
)
from humfs.core.edits.trees import comma_beside, is_emptied, outermost
from humfs.core.lookup import Match
from humfs.core.text import Span


def delete(file: CodeFile, match: Match) -> Draft:
    """Take a place out of a file.

    Lines it filled go; of the blank lines around them the larger run stays. What shares its line
    goes alone, with the white space up to the next token. In a list one comma goes too, and the
    last of a group in brackets takes the group with it.
    """
    source = file.source
    cut = removed(source, _with_comma(source, match))
    result, change = spliced(source, cut, b"")
    return Draft(result, file.changed(result, change), change, change.new)


def removed(source: bytes, span: Span) -> Span:
    """What goes from the file when `span` is deleted: its lines with blank ones, or itself."""
    start, end = line_start(source, span.start), line_end(source, span.end)
    fills = is_blank(source[start : span.start]) and is_blank(source[span.end : end])
    if fills:
        return _lines(source, Span(start, next_line(source, span.end)))
    after = span.end
    while source[after : after + 1] in (b" ", b"\t"):
        after += 1
    if after < end:
        return Span(span.start, after)
    before = span.start
    while before > start and source[before - 1 : before] in (b" ", b"\t"):
        before -= 1
    return Span(before if before > start else span.start, span.end)


def _lines(source: bytes, lines: Span) -> Span:
    """Whole lines with the smaller run of blank lines around them; with both at an end of file."""
    above, below = (
        blank_before(source, lines.start),
        blank_after(source, max(lines.start, lines.end - 1)),
    )
    if above.start == 0:
        return Span(0, below.end)
    if below.end >= len(source):
        return _to_the_end(source, above.start)
    if count_blank(source, above) > count_blank(source, below):
        return Span(lines.start, below.end)
    return Span(above.start, lines.end)


def _to_the_end(source: bytes, start: int) -> Span:
    """From a line to the end of the file, which keeps or lacks its last line end as before."""
    if source.endswith(b"\n"):
        return Span(start, len(source))
    start -= 2 if source.endswith(b"\r\n", 0, start) else 1
    return Span(start, len(source))


def _with_comma(source: bytes, match: Match) -> Span:
    """The span of a place, with a comma beside it, or as the whole group it is the last of."""
    span = trimmed(source, match.span)
    if not match.nodes:
        return span
    declared = match.symbol.declaration if match.symbol is not None else span
    node = outermost(match.nodes[0], declared)
    group = is_emptied(node)
    if group is not None:
        return Span(min(span.start, group.start_byte), max(span.end, group.end_byte))
    before, after = comma_beside(node)
    if after is not None and is_blank(source[span.end : after.start_byte]):
        return Span(span.start, after.end_byte)
    if before is not None and after is None and is_blank(source[before.end_byte : span.start]):
        return Span(before.start_byte, span.end)
    return span
