"""New text in the indentation of the place it goes to.

Models hand in the source of a symbol as it was shown, dedented as a whole, or with only its first
line stripped; each is told from the others by its lines. Lines that begin inside a string are
content: they are left as they came, except where that would change a string that was there before,
and except documentation strings, which move with their function. Which lines those are is known
only when the text has been parsed in its place, so fitting is done once without and, if there are
any, once more with them.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from tree_sitter import Node

from humfs.core.edits.lines import (
    file_indents,
    file_uses_tabs,
    indent_before,
    indent_of,
    is_blank,
    line_start,
    unified,
    unit_of,
    uses_tabs,
)
from humfs.core.syntax import Blocks
from humfs.core.text import Span

_OPENING = b"([{"
_CLOSING = b")]}"
_STATEMENTS = frozenset({"expression_statement"})
_LINE_TYPES = frozenset({"heredoc_body"})
"""Strings that begin with a line of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where new text goes."""

    indent: bytes | None
    """The white space before it on its line; None when something else stands there too."""
    blocks: Blocks
    old: bytes = b""
    """What it replaces, whole lines, LF alone; empty when it replaces nothing."""
    strings: frozenset[bytes] = frozenset()
    """The texts of several lines in `old`."""


@dataclass(frozen=True, slots=True)
class Literal:
    """A string over several lines in new text."""

    first: int
    """The line it begins on."""
    column: int
    last: int
    end: int
    """Its end on its last line."""
    is_statement: bool
    inside: range
    """The lines that begin inside."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """New text, ready for its place; LF alone. The first line is without its indentation."""

    lines: tuple[bytes, ...]
    indent: bytes
    """Of the first line."""
    is_moved: bool
    """Lines got another indentation."""
    is_converted: bool
    """Tabs became spaces, or the reverse."""

    @property
    def text(self) -> bytes:
        """The text."""
        return b"\n".join(self.lines)


def lines_of(new: bytes) -> list[bytes]:
    """The lines of new text, without blank ones at its start and its end."""
    lines = unified(new).split(b"\n")
    while lines and is_blank(lines[0]):
        del lines[0]
    while lines and is_blank(lines[-1]):
        del lines[-1]
    return lines


def fit(new: bytes, place: Place, source: bytes, literals: Iterable[Literal] = ()) -> Fitted:
    """`new` as it goes to `place` in `source`; `literals` as found in the first fit of it."""
    given, found = lines_of(new), list(literals)
    inside = {line for one in found for line in one.inside}
    converted = _converted(given, place, source, inside)
    if place.indent is None:
        shifted = [converted[0].lstrip(b" \t"), *converted[1:]]
        indent = b""
    else:
        shifted = _shifted(converted, place.indent, place.blocks, inside)
        indent = indent_of(shifted[0]) if indent_of(shifted[0]) == place.indent else b""
    for one in found:
        if not _moves(one, given, shifted, place):
            for line in one.inside:
                shifted[line] = given[line]
    return Fitted(
        lines=(shifted[0][len(indent) :], *shifted[1:]),
        indent=indent,
        is_moved=shifted != converted,
        is_converted=converted != given,
    )


def _shifted(lines: list[bytes], indent: bytes, blocks: Blocks, inside: set[int]) -> list[bytes]:
    first = indent_of(lines[0])
    if first == indent:
        return lines[:]
    if first:
        return [indent + line[len(first) :] if line.startswith(first) else line for line in lines]
    if _only_first_stripped(lines, indent, blocks, inside):
        return [indent + lines[0], *lines[1:]]
    return [line if is_blank(line) else indent + line for line in lines]


def _only_first_stripped(
    lines: list[bytes], indent: bytes, blocks: Blocks, inside: set[int]
) -> bool:
    """Whether the other lines kept their indentation and only the first one lost it."""
    others = [
        line for at, line in enumerate(lines) if at and at not in inside and not is_blank(line)
    ]
    if not others or not all(line.startswith(indent) for line in others):
        return False
    if blocks is not Blocks.INDENT:
        return indent_of(others[-1]) == indent
    if min(len(indent_of(line)) for line in others) > len(indent):
        return True
    if lines[0].startswith((b"@", b"#")) and indent_of(others[0]) == indent:
        return True
    opens = _is_open(lines[0])
    return opens and any(
        indent_of(line) == indent and line.lstrip(b" \t")[:1] in _CLOSING for line in others
    )


def _is_open(line: bytes) -> bool:
    """Whether a bracket that opens on a line is not closed there."""
    return sum(line.count(bytes([one])) for one in _OPENING) > sum(
        line.count(bytes([one])) for one in _CLOSING
    )


def _converted(lines: list[bytes], place: Place, source: bytes, inside: set[int]) -> list[bytes]:
    """Lines indented the way the file is: by tabs, or by spaces."""
    indents = [
        indent_of(line) for at, line in enumerate(lines) if at not in inside and not is_blank(line)
    ]
    own = {indent_of(line) for line in place.old.split(b"\n")}
    theirs = uses_tabs(indents)
    if theirs is None or own.issuperset(indents):
        return lines[:]
    ours = file_uses_tabs(source)
    if ours is None or ours == theirs:
        return lines[:]
    unit = unit_of([one for one in (indents if ours else file_indents(source)) if one])
    return [
        line if at in inside else _in_units(line, unit=unit, tabs=ours)
        for at, line in enumerate(lines)
    ]


def _in_units(line: bytes, *, unit: int, tabs: bool) -> bytes:
    indent = indent_of(line)
    if not tabs:
        return indent.replace(b"\t", b" " * unit) + line[len(indent) :]
    steps, rest = divmod(len(indent), unit)
    return b"\t" * steps + b" " * rest + line[len(indent) :]


def _moves(one: Literal, given: list[bytes], shifted: list[bytes], place: Place) -> bool:
    """Whether the lines of a string move with the rest."""
    after = _literal_text(one, shifted, shifted)
    if after in place.strings:
        return True
    return one.is_statement and _literal_text(one, given, shifted) not in place.strings


def _literal_text(one: Literal, lines: list[bytes], placed: list[bytes]) -> bytes:
    """The text of a string with its inner lines from `lines`; `placed` is how it was parsed."""
    if not len(one.inside):
        return b""
    head = [placed[one.first][one.column :]] if one.first not in one.inside else []
    inner = [lines[line] for line in one.inside]
    beyond = len(placed[one.last]) - one.end
    inner[-1] = inner[-1][: max(0, len(inner[-1]) - beyond)]
    return b"\n".join([*head, *inner])


def literals(
    roots: Iterable[Node], types: frozenset[str], region: Span, source: bytes
) -> list[Literal]:
    """The strings of several lines in new text at `region` of a parsed source."""
    base = source.count(b"\n", 0, region.start)
    begins = region.start - line_start(source, region.start)
    if indent_before(source, region.start) is not None:
        begins = 0
    found = []
    for node in string_nodes(roots, types, region):
        first, last = node.start_point[0] - base, node.end_point[0] - base
        own_line = node.type in _LINE_TYPES and node.start_point[1] == 0
        last -= node.end_point[1] == 0
        inside = range(first if own_line else first + 1, last + 1)
        column = node.start_point[1] - (begins if first == 0 else 0)
        end = node.end_point[1] if node.end_point[1] else _width(source, node.end_byte)
        parent = node.parent
        is_statement = parent is not None and parent.type in _STATEMENTS
        if len(inside) and first >= 0:
            found.append(Literal(first, column, last, end, is_statement, inside))
    return found


def string_nodes(roots: Iterable[Node], types: frozenset[str], region: Span) -> Iterable[Node]:
    """The strings over several lines inside a region, none inside another."""
    waiting = list(roots)
    while waiting:
        node = waiting.pop()
        if node.end_byte <= region.start or node.start_byte >= region.end:
            continue
        if node.start_point[0] == node.end_point[0]:
            continue
        if node.type in types and node.start_byte >= region.start:
            if node.end_byte <= region.end:
                yield node
            continue
        waiting.extend(node.children)


def string_texts(
    roots: Iterable[Node], types: frozenset[str], region: Span, source: bytes
) -> frozenset[bytes]:
    """The texts of `string_nodes`, LF alone."""
    return frozenset(
        unified(source[node.start_byte : node.end_byte]).removesuffix(b"\n")
        for node in string_nodes(roots, types, region)
    )


def _width(source: bytes, end: int) -> int:
    """The length of the line that ends with the line end before `end`."""
    start = source.rfind(b"\n", 0, max(0, end - 1)) + 1
    return end - start
