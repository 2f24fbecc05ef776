"""Insert before or after a symbol, a place inside one, or the import block (humfs 8.6)."""

import re
from dataclasses import dataclass

from humfs.core.edits.code import fitted_in
from humfs.core.edits.draft import CodeFile, Draft, spliced
from humfs.core.edits.fitting import Fitted, Place, lines_of
from humfs.core.edits.gate import Change
from humfs.core.edits.lines import (
    blank_after,
    blank_before,
    count_blank,
    indent_before,
    indent_of,
    is_blank,
    line_end,
    line_start,
    newline_of,
    trimmed,
    with_newlines,
)
from humfs.core.edits.trees import comma_beside, is_comment_at, outermost, roots
from humfs.core.lookup import IMPORTS, Match
from humfs.core.symbols import Symbol
from humfs.core.syntax import Blocks
from humfs.core.text import Span

_ONE_LINE_KINDS = frozenset(
    {"const", "var", "type", "field", "prop", "variant", "proto", "macro", IMPORTS}
)
_CLOSING_MARKS = re.compile(rb"[ \t]*[;,]?[ \t]*")


@dataclass(frozen=True, slots=True)
class _Gap:
    """Where new text goes: replaces a span of white space or nothing."""

    at: Span
    indent: bytes | None
    before: bool
    """Whether the anchor follows the new text."""
    blank: int
    """Blank lines between it and the anchor; below zero for one space on the same line."""
    splits: bool = False
    """The anchor shares its line: the other side becomes a line of its own, too."""


def insert(file: CodeFile, match: Match, new: bytes, *, before: bool) -> Draft:
    """Put `new` on lines of its own before or after a place; never splits what it cannot."""
    blank = _blank_lines(file, match, before=before)
    draft = _inserted(file, match, new, before=before, blank=blank)
    if blank and _both_single(file, match, draft, new, before=before):
        draft = _inserted(file, match, new, before=before, blank=0)
    return draft


def _inserted(file: CodeFile, match: Match, new: bytes, *, before: bool, blank: int) -> Draft:
    gap = _gap(file, match, before=before, blank=blank)
    source, newline = file.source, newline_of(file.source)

    def splice(fitted: Fitted) -> tuple[bytes, Change, Span]:
        text = with_newlines(fitted.text, newline)
        lead, tail = _around(gap, fitted.indent, newline)
        result, change = spliced(source, gap.at, lead + text + tail)
        start = gap.at.start + len(lead)
        return result, change, Span(start, start + len(text))

    blocks = match.syntax.blocks if match.syntax is not None else Blocks.BRACES
    place = Place(indent=gap.indent, blocks=blocks)
    return fitted_in(file, match.syntax, place, new, splice)


def _around(gap: _Gap, indent: bytes, newline: bytes) -> tuple[bytes, bytes]:
    """What stands before and after the new text."""
    if gap.blank < 0:
        return (b"", b" ") if gap.before else (b" ", b"")
    apart = newline * (gap.blank + 1)
    if gap.splits:
        return apart + indent, apart + indent
    return (indent, apart) if gap.before else (apart + indent, b"")


def _gap(file: CodeFile, match: Match, *, before: bool, blank: int) -> _Gap:
    source = file.source
    span = trimmed(source, match.span)
    start, end = line_start(source, span.start), line_end(source, span.end)
    indent = indent_before(source, span.start)
    if before and indent is not None:
        return _Gap(Span(start, start), indent, True, blank)
    if not before and (is_blank(source[span.end : end]) or _is_tail(file, match, span.end, end)):
        own = indent if indent is not None else indent_of(source[start:end])
        return _Gap(Span(end, end), own, False, blank)
    own = indent_of(source[start : span.start])
    if not _may_break(match):
        at = span.start if before else _after_marks(source, span.end)
        return _Gap(Span(at, at), None, before, -1)
    at = span.start if before else _after_marks(source, span.end)
    return _Gap(_white_around(source, at), own, before, blank, splits=True)


def _is_tail(file: CodeFile, match: Match, at: int, end: int) -> bool:
    """Whether what follows an anchor on its line stays with it: a mark, a comment."""
    marks = _CLOSING_MARKS.match(file.source, at)
    rest = marks.end() if marks is not None else at
    if rest >= end:
        return True
    comments = match.syntax.comments if match.syntax is not None else frozenset({"comment"})
    return is_comment_at(roots(file.outline), rest, comments=comments)


def _after_marks(source: bytes, at: int) -> int:
    marks = re.compile(rb"[ \t]*[;,]").match(source, at)
    return marks.end() if marks is not None else at


def _white_around(source: bytes, at: int) -> Span:
    start = end = at
    while source[start - 1 : start] in (b" ", b"\t"):
        start -= 1
    while source[end : end + 1] in (b" ", b"\t"):
        end += 1
    return Span(start, end)


def _may_break(match: Match) -> bool:
    """Whether a line may be broken beside a place: not in a list, nor where lines have meaning."""
    if match.syntax is None or match.syntax.blocks is Blocks.INDENT or not match.nodes:
        return False
    declared = match.symbol.declaration if match.symbol is not None else match.span
    return comma_beside(outermost(match.nodes[0], declared)) == (None, None)


def _blank_lines(file: CodeFile, match: Match, *, before: bool) -> int:
    """Blank lines as there are between the place and a neighbour, else the usual number."""
    source, span = file.source, trimmed(file.source, match.span)
    above = count_blank(source, blank_before(source, span.start))
    below = count_blank(source, blank_after(source, span.end))
    has_above, has_below = _neighbours(file, match)
    first, second = (
        ((has_above, above), (has_below, below))
        if before
        else (
            (has_below, below),
            (has_above, above),
        )
    )
    if first[0]:
        return first[1]
    if second[0]:
        return second[1]
    if match.symbol is None or match.symbol.syntax.is_markup:
        return 0
    is_top = match.symbol.depth == 0 and match.symbol.syntax.blocks is Blocks.INDENT
    return 2 if is_top else 1


def _neighbours(file: CodeFile, match: Match) -> tuple[bool, bool]:
    """Whether there is a sibling before the place, and one after it."""
    if match.kind == IMPORTS:
        return False, False
    if match.symbol is None:
        first, last = match.nodes[0], match.nodes[-1]
        return first.prev_named_sibling is not None, last.next_named_sibling is not None
    siblings = siblings_of(file, match.symbol)
    return (
        any(one.full.end <= match.span.start for one in siblings),
        any(one.full.start >= match.span.end for one in siblings),
    )


def siblings_of(file: CodeFile, symbol: Symbol) -> list[Symbol]:
    """The symbols beside one, itself included."""
    if symbol in file.outline.symbols:
        return file.outline.symbols
    return next((one.children for one in file.outline if symbol in one.children), [])


def _both_single(file: CodeFile, match: Match, draft: Draft, new: bytes, *, before: bool) -> bool:
    """Whether the place and the new text are single lines of the same plain sort."""
    if match.kind == IMPORTS:
        return _are_imports(match, draft)
    if match.kind not in _ONE_LINE_KINDS or len(lines_of(new)) > 1:
        return False
    source, span = file.source, match.span
    if b"\n" in source[span.start : span.end].rstrip():
        return False
    declared = draft.symbols
    if not declared or any(one.kind not in _ONE_LINE_KINDS for one in declared):
        return False
    near = _nearest_sibling(file, match, before=before)
    return near is None or near.kind not in _ONE_LINE_KINDS


def _nearest_sibling(file: CodeFile, match: Match, *, before: bool) -> Symbol | None:
    assert match.symbol is not None
    siblings = siblings_of(file, match.symbol)
    if before:
        above = [one for one in siblings if one.full.end <= match.span.start]
        return above[-1] if above else None
    return next((one for one in siblings if one.full.start >= match.span.end), None)


def _are_imports(match: Match, draft: Draft) -> bool:
    blocks = [draft.outline.imports, *(one.imports for one in draft.outline.symbols)]
    return any(
        block is not None
        and block.start <= draft.region.start
        and draft.region.end <= trimmed_end(draft.source, block)
        for block in blocks
    )


def trimmed_end(source: bytes, span: Span) -> int:
    """Where the text of a span ends; line ends behind it count as text."""
    return max(span.end, len(source[: span.end].rstrip()))
