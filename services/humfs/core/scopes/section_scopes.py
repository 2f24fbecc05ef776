"""TOML and INI: sections, and entries with values."""

import re
import tomllib
from abc import ABC, abstractmethod

import tree_sitter_toml
from tree_sitter import Language as Grammar
from tree_sitter import Node, Parser

from humfs.core import anchors
from humfs.core.anchors import Anchor
from humfs.core.edits.lines import is_blank, line_end, line_start, next_line
from humfs.core.scopes.unit import Unit, block_between_blanks, lines_unit, whole_lines
from humfs.core.text import Span, Text

_GRAMMAR = Grammar(tree_sitter_toml.language())
_TOML_TEXTS = frozenset({"string"})
_INI_ENTRY = re.compile(rb"[ \t]*([^\s#;!=:\[][^=:\n]*?)[ \t]*[=:][ \t]*")
_INI_VALUE = re.compile(rb"[^\n]*?(?=[ \t]+[;#]|[ \t]*\r?(?:\n|\Z))")
_INI_SECTION = re.compile(rb"[ \t]*\[[^\]\n]*\][ \t]*(?:[;#][^\n]*)?\r?\n?")
_INI_COMMENT = re.compile(rb"[ \t]*[#;!]")
_SPACES = b" \t"


class _Sections(ABC):
    """What both formats share."""

    name = ""

    def __init__(self, text: Text) -> None:
        self._text, self._source = text, text.source
        self._anchors = anchors.anchors_of(self.name, text)
        self._blocks = [one for one in self._anchors if one.is_block]

    def phrases(self, wanted: str) -> list[Unit]:
        """The lines of a section, or the value of an entry."""
        found = anchors.find(self._anchors, wanted)
        if not found:
            return []
        units = [self._section(one) if one.is_block else self._value(one) for one in found]
        return [unit for unit in units if unit is not None]

    def sentence(self, found: Span) -> Unit | None:
        """The entry, all its lines; a header or a comment is its line."""
        entry = self._entry_around(found)
        span = whole_lines(self._source, entry if entry is not None else found)
        return lines_unit(self._source, span, noun="entry", is_block=False)

    def paragraph(self, found: Span) -> Unit | None:
        """The section with its header; before the first one, the block between blank lines."""
        holding = [one for one in self._blocks if one.span.start <= found.start]
        if not holding:
            span = block_between_blanks(self._source, found)
        else:
            span = whole_lines(self._source, holding[-1].span)
            span = Span(span.start, max(self._body(holding[-1]).end, found.end))
            span = whole_lines(self._source, span)
        return lines_unit(self._source, span, noun="section", is_block=True)

    def _entry_around(self, found: Span) -> Span | None:
        for one in self._anchors:
            if not one.is_block and one.span.start <= found.start < max(one.span.end, 1):
                return one.span
        return None

    def _section(self, anchor: Anchor) -> Unit:
        span = self._body(anchor)

        def fit(new: bytes) -> tuple[Span, bytes]:
            text = new.strip(b"\n")
            if not self._source.endswith(b"\n", 0, span.start):
                return span, b"\n" + text
            ends = span.start == span.end or self._source.endswith(b"\n", span.start, span.end)
            return span, text + (b"\n" if text and ends else b"")

        return Unit(span, "section", fit)

    def _body(self, anchor: Anchor) -> Span:
        """The lines below a header, without blank ones at the end and comments of the next one."""
        start = next_line(self._source, anchor.span.start)
        end = next_line(self._source, max(anchor.span.start, anchor.span.end - 1))
        end = max(start, end)
        if end < len(self._source):
            end = self._without_comments_of_next(start, end)
        return Span(start, end)

    def _without_comments_of_next(self, start: int, end: int) -> int:
        """Without comments that stand directly above the next header and apart from the body."""
        if is_blank(self._source[end : next_line(self._source, end)]):
            return end
        at = end
        while at > start:
            above = line_start(self._source, at - 1)
            line = self._source[above:at]
            if not line.lstrip(_SPACES).startswith((b"#", b";")):
                break
            at = above
        if at == end or (
            at > start and not is_blank(self._source[line_start(self._source, at - 1) : at])
        ):
            return end
        while at > start and is_blank(self._source[line_start(self._source, at - 1) : at]):
            at = line_start(self._source, at - 1)
        return at

    @abstractmethod
    def _value(self, anchor: Anchor) -> Unit | None:
        """The value of an entry; None when there is none."""


class TomlScopes(_Sections):
    """See `unit.Scopes`."""

    name = "x.toml"

    def fault(self) -> str:
        """What a TOML parser says of it."""
        try:
            tomllib.loads(self._source.decode())
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
            return str(error)
        return ""

    def _value(self, anchor: Anchor) -> Unit | None:
        node = _toml_value(self._source[anchor.span.start : anchor.span.end])
        if node is None:
            return None
        base = anchor.span.start
        span = Span(base + node.start_byte, base + node.end_byte)
        is_text = node.type in _TOML_TEXTS

        def fit(new: bytes) -> tuple[Span, bytes]:
            text = new.strip()
            if is_text and not _is_toml_value(text):
                return span, _toml_text(new.decode())
            return span, text

        return Unit(span, "value", fit, (whole_lines(self._source, anchor.span),))


class IniScopes(_Sections):
    """See `unit.Scopes`."""

    name = "x.ini"

    def fault(self) -> str:
        """The first line that is no section, entry, comment or continuation."""
        at, line, may_go_on = 0, 0, False
        while at < len(self._source):
            after, line = next_line(self._source, at), line + 1
            content = self._source[at:after]
            if is_blank(content) or _INI_COMMENT.match(content):
                pass
            elif _INI_SECTION.fullmatch(content):
                may_go_on = False
            elif _INI_ENTRY.match(content):
                may_go_on = True
            elif not (may_go_on and content[:1] in (b" ", b"\t")):
                return f"line {line} is neither a section nor an entry"
            at = after
        return ""

    def _value(self, anchor: Anchor) -> Unit | None:
        entry = anchor.span
        name = _INI_ENTRY.match(self._source, entry.start)
        if name is None:
            return None
        value = _INI_VALUE.match(self._source, name.end())
        end = value.end() if value is not None else name.end()
        if entry.end > line_end(self._source, name.end()):
            end = entry.end
        span = Span(name.end(), end)
        blank = len(name[0]) - len(name[0].rstrip(_SPACES))
        is_last = end >= line_end(self._source, end)
        cut = Span(name.end() - blank, end) if is_last else span
        return Unit(span, "value", lambda new: (span, new.strip(b"\n")), (cut,))


def _toml_value(entry: bytes) -> Node | None:
    """The value of one entry."""
    root = Parser(_GRAMMAR).parse(entry).root_node
    pair = next((one for one in root.named_children if one.type == "pair"), None)
    if pair is None:
        return None
    values = [one for one in pair.named_children if one.type != "comment"]
    return values[-1] if len(values) > 1 else None


def _is_toml_value(text: bytes) -> bool:
    try:
        return set(tomllib.loads(f"x = {text.decode()}")) == {"x"}
    except (tomllib.TOMLDecodeError, RecursionError):
        return False


def _toml_text(text: str) -> bytes:
    """A text as a basic string of one line."""
    escapes = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}
    written = "".join(
        escapes.get(one) or (one if one.isprintable() else f"\\u{ord(one):04x}")
        if ord(one) < 0x10000 or one.isprintable()
        else f"\\U{ord(one):08x}"
        for one in text
    )
    return f'"{written}"'.encode()
