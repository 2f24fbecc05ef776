"""YAML: keys with a scalar on their line or a block below them; lines by their indentation."""

import re

import tree_sitter_yaml
from tree_sitter import Language as Grammar
from tree_sitter import Node, Parser

from humfs.core.edits.lines import indent_of, is_blank, line_end, line_start, next_line
from humfs.core.scopes.members import Member, resolve
from humfs.core.scopes.unit import Fit, Unit, lines_unit
from humfs.core.text import Span, Text

UNIT_SPACES = 2
"""How much deeper than its key a new block goes."""

_GRAMMAR = Grammar(tree_sitter_yaml.language())
_WRAPPERS = frozenset({"block_node", "flow_node", "document", "stream"})
_MAPPINGS = frozenset({"block_mapping", "flow_mapping"})
_LISTS = frozenset({"block_sequence", "flow_sequence"})
_PAIRS = frozenset({"block_mapping_pair", "flow_pair"})
_BLOCKS = frozenset({"block_mapping", "block_sequence", "block_scalar"})
_ENTRY = re.compile(rb"""[ \t]*(?:-(?:[ \t]|$)|(?:"[^"]*"|'[^']*'|[^\s#{\[][^#]*?):(?:[ \t]|$))""")


class YamlScopes:
    """See `unit.Scopes`."""

    def __init__(self, text: Text) -> None:
        self._source = text.source
        self._root = Parser(_GRAMMAR).parse(text.source).root_node
        documents = [one for one in self._root.named_children if one.type == "document"]
        self._tops = [_top(one, text.source) for one in documents]

    def phrases(self, wanted: str) -> list[Unit]:
        """Values by the path of their keys, or by a bare key at any depth."""
        return [self._value(one) for one in resolve(self._tops, wanted) if one.key is not None]

    def sentence(self, found: Span) -> Unit | None:
        """The line with everything indented below it."""
        span = self._with_below(line_start(self._source, found.start))
        last = next_line(self._source, max(found.start, found.end - 1))
        span = Span(span.start, max(span.end, last))
        return lines_unit(self._source, span, noun="line", is_block=False)

    def paragraph(self, found: Span) -> Unit | None:
        """The key with its block: that of the line, else that of the line's parent."""
        start = line_start(self._source, found.start)
        span = self._with_below(start)
        if span.end <= next_line(self._source, start):
            parent = self._parent(start)
            span = self._with_below(parent) if parent is not None else span
        return lines_unit(self._source, span, noun="block", is_block=True)

    def fault(self) -> str:
        """Where the parser stumbles, or an alias that stands for nothing."""
        if not self._root.has_error:
            return self._lost_alias()
        waiting = [self._root]
        while waiting:
            node = waiting.pop()
            if node.is_error or node.is_missing:
                return f"line {node.start_point[0] + 1} makes no sense as YAML"
            waiting.extend(reversed([one for one in node.children if one.has_error]))
        return "it makes no sense as YAML"

    def _lost_alias(self) -> str:
        """An alias without an anchor of its name before it in the same document."""
        if b"*" not in self._source:
            return ""
        anchors: set[bytes] = set()
        waiting = [self._root]
        while waiting:
            node = waiting.pop()
            name = self._source[node.start_byte + 1 : node.end_byte]
            if node.type == "document":
                anchors = set()
            elif node.type == "anchor":
                anchors.add(name)
            elif node.type == "alias" and name not in anchors:
                shown = name.decode("utf-8", "replace")
                return f"line {node.start_point[0] + 1} uses *{shown}, and no &{shown} is before it"
            waiting.extend(reversed(node.children))
        return ""

    def _value(self, member: Member) -> Unit:
        block = _block_of(member.node)
        if block is None:
            return self._scalar(member)
        span = self._block_lines(member, block)
        fit = self._block_fit(member, block, span)
        return Unit(span, "block", fit, (self._block_cut(member, block, span),))

    def _scalar(self, member: Member) -> Unit:
        """A value on the line of its key, or none."""
        assert member.key_span is not None
        colon = self._source.index(b":", member.key_span.end) + 1
        span = member.value or Span(colon, colon)
        end = span.end if member.value is not None else colon

        def fit(new: bytes) -> tuple[Span, bytes]:
            text = new.strip(b"\n")
            if b"\n" in text:
                indent = b" " * (self._column(member) + UNIT_SPACES)
                if is_blank(self._source[end : line_end(self._source, end)]):
                    return Span(colon, end), b"\n" + _indented(text, indent)
                return self._below_comment(colon, end, _indented(text, indent))
            return Span(colon, end), b" " + text.strip()

        start = colon if member.value is not None else span.start
        return Unit(span, "value", fit, (Span(start, end),))

    def _below_comment(self, colon: int, end: int, block: bytes) -> tuple[Span, bytes]:
        """A block in the place of a scalar with a comment behind it, which stays on its line."""
        stop = line_end(self._source, end)
        return Span(colon, stop), self._source[end:stop] + b"\n" + block

    def _block_fit(self, member: Member, block: Node, span: Span) -> Fit:
        source = self._source
        colon = source.index(b":", member.key_span.end if member.key_span else span.start) + 1

        def fit(new: bytes) -> tuple[Span, bytes]:
            text = new.strip(b"\n")
            if b"\n" not in text and not _ENTRY.match(text):
                return self._to_scalar(colon, block, span, text.strip())
            depth = self._depth(member, span)
            if block.type == "block_scalar" and text.lstrip()[:1] in (b"|", b">"):
                return Span(colon, span.end), b" " + text.lstrip() + self._newline(span)
            return span, _indented(text, b" " * depth) + self._newline(span)

        return fit

    def _to_scalar(self, colon: int, block: Node, span: Span, text: bytes) -> tuple[Span, bytes]:
        """A scalar in the place of a block; a comment behind the key stays there."""
        end = line_end(self._source, colon)
        rest = b"" if block.type == "block_scalar" else self._source[colon:end]
        rest = b"" if is_blank(rest) else rest
        return Span(colon, span.end), b" " + text + rest + self._newline(span)

    def _newline(self, span: Span) -> bytes:
        return b"\n" if self._source.endswith(b"\n", span.start, span.end) else b""

    def _block_lines(self, member: Member, block: Node) -> Span:
        """The lines of a block, below the line of its key."""
        start = next_line(
            self._source, member.key_span.end if member.key_span else block.start_byte
        )
        end = self._deeper_end(start, self._column(member), lists=block.type == "block_sequence")
        return Span(start, max(start, end))

    def _block_cut(self, member: Member, block: Node, span: Span) -> Span:
        """What goes when a block is deleted; the mark of a text in lines goes with it."""
        if block.type != "block_scalar":
            return span if self._newline(span) else Span(span.start - 1, span.end)
        colon = self._source.index(b":", member.key_span.end if member.key_span else 0) + 1
        return Span(colon, span.end - len(self._newline(span)))

    def _column(self, member: Member) -> int:
        assert member.key_span is not None
        return member.key_span.start - line_start(self._source, member.key_span.start)

    def _depth(self, member: Member, span: Span) -> int:
        """The indentation of the first line of a block."""
        at = span.start
        while at < span.end:
            after = next_line(self._source, at)
            if not is_blank(self._source[at:after]):
                return len(indent_of(self._source[at:after]))
            at = after
        return self._column(member) + UNIT_SPACES

    def _with_below(self, start: int) -> Span:
        """A line with everything indented below it."""
        first = self._source[start : next_line(self._source, start)]
        end = self._deeper_end(next_line(self._source, start), len(indent_of(first)), lists=False)
        is_key = first.split(b"#")[0].rstrip().endswith(b":")
        if is_key and not first.lstrip().startswith(b"-"):
            end = max(
                end,
                self._deeper_end(next_line(self._source, start), len(indent_of(first)), lists=True),
            )
        return Span(start, max(end, next_line(self._source, start)))

    def _deeper_end(self, start: int, column: int, *, lists: bool) -> int:
        """Where the lines deeper than a column end, without blank ones; `lists`: and its items."""
        at = end = start
        while at < len(self._source):
            after = next_line(self._source, at)
            line = self._source[at:after]
            at = after
            if is_blank(line):
                continue
            depth = len(indent_of(line))
            is_item = lists and depth == column and line[depth : depth + 2].strip() == b"-"
            if depth <= column and not is_item:
                break
            end = after
        return end

    def _parent(self, start: int) -> int | None:
        """The line that the line at `start` lies below."""
        line = self._source[start : next_line(self._source, start)]
        depth = len(indent_of(line))
        is_item = line.lstrip().startswith(b"-")
        at = start
        while at > 0:
            at = line_start(self._source, at - 1)
            above = self._source[at : next_line(self._source, at)]
            if is_blank(above) or above.lstrip().startswith(b"#"):
                continue
            outer = len(indent_of(above))
            if outer < depth or (
                is_item and outer == depth and not above.lstrip().startswith(b"-")
            ):
                return None if above.startswith((b"---", b"...")) else at
        return None


def _top(document: Node, source: bytes) -> Member:
    span = Span(document.start_byte, document.end_byte)
    top = Member(span, span, document, None)
    waiting = [top]
    while waiting:
        holder = waiting.pop()
        value = _content(holder.node)
        if value is None:
            continue
        holder.is_list = value.type in _LISTS
        for inner in value.named_children:
            member = _inner(inner, source, holder)
            if member is not None:
                holder.children.append(member)
                waiting.append(member)
    return top


def _content(node: Node) -> Node | None:
    """The mapping or list that a document, a pair or an item holds."""
    value: Node | None = node
    if node.type in _PAIRS:
        value = node.child_by_field_name("value")
    elif node.type == "block_sequence_item":
        value = next((one for one in node.named_children if one.type != "comment"), None)
    while value is not None and value.type in _WRAPPERS:
        kinds = _MAPPINGS | _LISTS | _WRAPPERS | {"block_scalar"}
        value = next((one for one in value.named_children if one.type in kinds), None)
    return value if value is not None and value.type in _MAPPINGS | _LISTS else None


def _inner(node: Node, source: bytes, holder: Member) -> Member | None:
    span = Span(node.start_byte, node.end_byte)
    if node.type in _PAIRS:
        key, value = node.child_by_field_name("key"), node.child_by_field_name("value")
        if key is None or source.find(b":", key.end_byte, node.end_byte) < 0:
            return None
        written = source[key.start_byte : key.end_byte].decode("utf-8", "replace")
        return Member(
            span,
            Span(value.start_byte, value.end_byte) if value is not None else None,
            node,
            written.strip("\"'"),
            Span(key.start_byte, key.end_byte),
            holder,
        )
    if holder.is_list and node.type not in ("comment", "ERROR"):
        return Member(span, span, node, None, None, holder)
    return None


def _block_of(pair: Node) -> Node | None:
    """The block below the line of a key, when its value is one."""
    value = pair.child_by_field_name("value")
    if value is None or value.type != "block_node":
        return None
    return next((one for one in value.named_children if one.type in _BLOCKS), None)


def _indented(text: bytes, indent: bytes) -> bytes:
    """Lines moved so that the least indented one has `indent`."""
    lines = text.split(b"\n")
    own = min((len(indent_of(line)) for line in lines if not is_blank(line)), default=0)
    return b"\n".join(b"" if is_blank(line) else indent + line[own:] for line in lines)
