"""JSON: members and elements. A comma goes with what is deleted, and stays with what is not.

JSON with comments is read the same way; comments and commas before a closing bracket are allowed
there.
"""

import re

import orjson
import tree_sitter_json
from tree_sitter import Language as Grammar
from tree_sitter import Node, Parser

from humfs.core.edits.lines import is_blank, line_end, line_start, next_line
from humfs.core.scopes.members import Member, innermost, resolve
from humfs.core.scopes.unit import Unit
from humfs.core.text import Span, Text

_GRAMMAR = Grammar(tree_sitter_json.language())
_CONTAINERS = frozenset({"object", "array"})
_COMMENT_OR_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"|//[^\n]*|/\*.*?\*/', re.DOTALL)
_LAST_COMMA = re.compile(rb'("(?:[^"\\]|\\.)*")|,(\s*[}\]])', re.DOTALL)


class JsonScopes:
    """See `unit.Scopes`. `with_comments`: the file may hold them."""

    with_comments = False

    def __init__(self, text: Text) -> None:
        self._source = text.source
        root = Parser(_GRAMMAR).parse(text.source).root_node
        values = [one for one in root.named_children if one.type != "comment"]
        self._tops = [_top(one, text.source) for one in values]

    def phrases(self, wanted: str) -> list[Unit]:
        """Values by the path of their keys."""
        return [self._value(one) for one in resolve(self._tops, wanted) if one.value is not None]

    def sentence(self, found: Span) -> Unit | None:
        """The innermost member or element."""
        member = innermost(self._tops, found)
        return self._member(member) if member is not None else None

    def paragraph(self, found: Span) -> Unit | None:
        """The innermost object or array that is not the root, else a member of the root."""
        member = innermost(self._tops, found)
        while member is not None and not (_is_container(member) and _holds(member.value, found)):
            if member.parent is not None and member.parent.parent is None:
                break
            member = member.parent
        if member is None:
            return None
        return self._value(member) if _is_container(member) else self._member(member)

    def fault(self) -> str:
        """What a JSON parser says of it."""
        source = _plain(self._source) if self.with_comments else self._source
        try:
            orjson.loads(source)
        except orjson.JSONDecodeError as error:
            return str(error)
        return ""

    def _value(self, member: Member) -> Unit:
        span = member.value or member.span
        is_text = self._source[span.start : span.start + 1] == b'"'

        def fit(new: bytes) -> tuple[Span, bytes]:
            stripped = new.strip()
            if is_text and not _is_value(stripped):
                return span, orjson.dumps(new.decode())
            return span, stripped

        return Unit(span, "value", fit, self._cuts(member))

    def _member(self, member: Member) -> Unit:
        noun = "member" if member.key is not None else "element"

        def fit(new: bytes) -> tuple[Span, bytes]:
            return member.span, new.strip().removesuffix(b",").rstrip()

        return Unit(member.span, noun, fit, self._cuts(member))

    def _cuts(self, member: Member) -> tuple[Span, ...]:
        """What goes with a member: one comma, and its lines when nothing else is on them."""
        source, span = self._source, member.span
        before, after = _commas(member)
        if after is not None and is_blank(source[span.end : after.start_byte]):
            return (_lines_if_alone(source, Span(span.start, after.end_byte)),)
        if after is None and before is not None:
            if is_blank(source[before.end_byte : span.start]):
                return (Span(before.start_byte, span.end),)
            return (Span(before.start_byte, before.end_byte), _lines_if_alone(source, span))
        return (_lines_if_alone(source, span),)


class JsoncScopes(JsonScopes):
    """JSON with comments."""

    with_comments = True


def _top(node: Node, source: bytes) -> Member:
    span = Span(node.start_byte, node.end_byte)
    top = Member(span, span, node, None, is_list=node.type == "array")
    waiting = [top]
    while waiting:
        holder = waiting.pop()
        value = _value_node(holder)
        for inner in value.named_children if value is not None else ():
            member = _inner(inner, source, holder)
            if member is not None:
                holder.children.append(member)
                waiting.append(member)
    return top


def _value_node(member: Member) -> Node | None:
    """The object or array that a member holds."""
    node = member.node
    if node.type == "pair":
        inner = node.child_by_field_name("value")
        return inner if inner is not None and inner.type in _CONTAINERS else None
    return node if node.type in _CONTAINERS else None


def _inner(node: Node, source: bytes, holder: Member) -> Member | None:
    span = Span(node.start_byte, node.end_byte)
    if node.type == "pair":
        key, value = node.child_by_field_name("key"), node.child_by_field_name("value")
        if key is None:
            return None
        return Member(
            span,
            Span(value.start_byte, value.end_byte) if value is not None else None,
            node,
            _key(source[key.start_byte : key.end_byte]),
            Span(key.start_byte, key.end_byte),
            holder,
            is_list=value is not None and value.type == "array",
        )
    if node.type in ("comment", "ERROR") or not holder.is_list:
        return None
    return Member(span, span, node, None, None, holder, is_list=node.type == "array")


def _key(written: bytes) -> str:
    try:
        key = orjson.loads(written)
    except orjson.JSONDecodeError:
        return written.decode("utf-8", "replace").strip('"')
    return key if isinstance(key, str) else ""


def _is_container(member: Member) -> bool:
    return _value_node(member) is not None


def _holds(value: Span | None, found: Span) -> bool:
    return value is not None and value.start <= found.start and value.end >= found.end


def _is_value(text: bytes) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


def _commas(member: Member) -> tuple[Node | None, Node | None]:
    before, after = member.node.prev_sibling, member.node.next_sibling
    while before is not None and before.type == "comment":
        before = before.prev_sibling
    while after is not None and after.type == "comment":
        after = after.next_sibling
    return (
        before if before is not None and before.type == "," else None,
        after if after is not None and after.type == "," else None,
    )


def _lines_if_alone(source: bytes, span: Span) -> Span:
    """The lines of a span when nothing else is on them; else itself and the blanks behind it."""
    start, end = line_start(source, span.start), line_end(source, span.end)
    if is_blank(source[start : span.start]) and is_blank(source[span.end : end]):
        return Span(start, next_line(source, span.end))
    after = span.end
    while source[after : after + 1] in (b" ", b"\t"):
        after += 1
    return Span(span.start, after if after < end else span.end)


def _plain(source: bytes) -> bytes:
    """JSON without the comments and the last commas that JSON with comments allows."""
    kept = _COMMENT_OR_STRING.sub(lambda one: one[0] if one[0].startswith(b'"') else b" ", source)
    return _LAST_COMMA.sub(lambda one: one[1] or one[2], kept)
