"""Python: functions and classes at any depth, bindings of modules and classes, `type` statements.

Only statements are visited, never expressions, so a big file costs little more than its parse.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import tree_sitter_python
from tree_sitter import Language as Grammar
from tree_sitter import Node, Parser, Tree

from humfs.core.languages.language import (
    ParseStopped,
    ShouldStop,
    Walks,
    cut,
    span_of,
    text_of,
    with_comments,
    written,
)
from humfs.core.symbols import TYPE_KINDS, Outline, Symbol
from humfs.core.text import Span

CHUNK_BYTES = 64 * 1024
"""Bytes handed to the parser at a time; between two it asks whether to stop."""

_IMPORTS = frozenset({"import_statement", "import_from_statement", "future_import_statement"})
# fmt: off
_PASSED_THROUGH = frozenset({
    "block", "if_statement", "elif_clause", "else_clause", "for_statement", "while_statement",
    "try_statement", "except_clause", "except_group_clause", "finally_clause", "with_statement",
    "match_statement", "case_clause", "ERROR", "module",
})
# fmt: on
_PATTERNS = frozenset({"pattern_list", "tuple_pattern", "list_pattern", "list_splat_pattern"})
_OVERLOADS = frozenset({"overload", "typing.overload", "t.overload", "typing_extensions.overload"})
_COMMENTS = frozenset({"comment"})
_FILE_LINES = 2
"""Only so many first lines can be `#!` or encoding lines."""
_ENCODING_LINE = re.compile(rb"#.*?coding[:=][ \t]*[-\w.]+")

_WALKS = Walks(
    when=frozenset({"if_statement"}),
    loop=frozenset({"for_statement", "while_statement"}),
    try_=frozenset({"try_statement"}),
    return_=frozenset({"return_statement"}),
    call=frozenset({"call"}),
    otherwise=frozenset(
        {"elif_clause", "else_clause", "except_clause", "except_group_clause", "finally_clause"}
    ),
    bodies={
        "function_definition": "body",
        "class_definition": "body",
        "lambda": "body",
        "if_statement": "consequence",
        "elif_clause": "consequence",
        "else_clause": "body",
        "for_statement": "body",
        "while_statement": "body",
        "with_statement": "body",
        "try_statement": "body",
        "case_clause": "consequence",
    },
    blocks=frozenset({"block"}),
    wrappers={"decorated_definition": "definition", "assignment": "right"},
)


@dataclass(frozen=True, slots=True)
class Python:
    """See `core.languages.language.Language`."""

    grammar: Grammar
    name: str = "python"
    walks: Walks = _WALKS

    def outline(self, source: bytes, should_stop: ShouldStop = lambda: False) -> Outline:
        """Parse and outline a module."""
        root = self._parse(source, should_stop).root_node
        outline = Outline(self.name, imports=_import_block(root))
        waiting: list[tuple[Node, Symbol | None]] = [(root, None)]
        while waiting:
            node, parent = waiting.pop()
            for symbol, inner in _declared(root, source, node, parent):
                (parent.children if parent else outline.symbols).append(symbol)
                if inner is not None:
                    waiting.append((inner, symbol))
        outline.number()
        return outline

    def _parse(self, source: bytes, should_stop: ShouldStop) -> Tree:
        stopped = False

        def chunk(at: int, _: object) -> bytes:
            return source[at : at + CHUNK_BYTES]

        def progress(_: int, __: bool) -> bool:
            nonlocal stopped
            stopped = stopped or should_stop()
            return stopped

        try:
            return Parser(self.grammar).parse(chunk, progress_callback=progress)
        except ValueError:
            if stopped:
                raise ParseStopped from None
            raise


LANGUAGE = Python(Grammar(tree_sitter_python.language()))


def _declared(
    root: Node, source: bytes, scope: Node, parent: Symbol | None
) -> Iterator[tuple[Symbol, Node | None]]:
    """The symbols of one scope in file order, each with the block its own members are in."""
    has_bindings = parent is None or parent.kind == "class"
    waiting = scope.named_children[::-1]
    while waiting:
        node = waiting.pop()
        if node.type in _PASSED_THROUGH:
            waiting.extend(reversed(node.named_children))
        elif node.type in ("function_definition", "class_definition", "decorated_definition"):
            defined = _definition(root, source, node, parent)
            if defined is not None:
                yield defined
        elif has_bindings and node.type == "expression_statement":
            for binding in _bindings(root, source, node):
                yield binding, None
        elif has_bindings and node.type == "type_alias_statement":
            alias = _type_alias(root, source, node)
            if alias is not None:
                yield alias, None


def _definition(
    root: Node, source: bytes, node: Node, parent: Symbol | None
) -> tuple[Symbol, Node | None] | None:
    inner = node.child_by_field_name("definition") if node.type == "decorated_definition" else node
    name = inner.child_by_field_name("name") if inner is not None else None
    if inner is None or name is None:
        return None
    is_class = inner.type == "class_definition"
    in_type = parent is not None and parent.kind in TYPE_KINDS
    symbol = Symbol(
        kind="class" if is_class else "method" if in_type else "fn",
        name=text_of(name, source),
        declaration=span_of(node),
        full=_full(root, source, span_of(node)),
        node=inner,
        signature="" if is_class else _signature(inner, source),
        is_overload=any(
            text_of(one, source).lstrip("@").strip() in _OVERLOADS for one in _decorators(node)
        ),
    )
    return symbol, inner.child_by_field_name("body")


def _decorators(node: Node) -> list[Node]:
    return [child for child in node.named_children if child.type == "decorator"]


def _signature(function: Node, source: bytes) -> str:
    parameters = function.child_by_field_name("parameters")
    returned = function.child_by_field_name("return_type")
    arrow = f" -> {written(returned, source)}" if returned is not None else ""
    return cut((written(parameters, source) if parameters is not None else "()") + arrow)


def _bindings(root: Node, source: bytes, statement: Node) -> Iterator[Symbol]:
    """The names a statement binds; each link of a chain, each name of a tuple on its own."""
    assignment: Node | None = statement.named_child(0) if statement.named_child_count else None
    while assignment is not None and assignment.type == "assignment":
        left = assignment.child_by_field_name("left")
        if left is not None and left.type == "identifier":
            yield _binding(root, source, left, assignment)
        elif left is not None:
            for name in _names(left):
                yield _binding(root, source, name, name)
        assignment = assignment.child_by_field_name("right")


def _binding(root: Node, source: bytes, name: Node, node: Node) -> Symbol:
    text = text_of(name, source)
    kind = "const" if text.isupper() else "var"
    span = span_of(node)
    full = span if name is node else _full(root, source, span)
    return Symbol(kind=kind, name=text, declaration=span, full=full, node=node)


def _names(pattern: Node) -> Iterator[Node]:
    waiting = [pattern]
    while waiting:
        node = waiting.pop()
        if node.type == "identifier":
            yield node
        elif node.type in _PATTERNS:
            waiting.extend(reversed(node.named_children))


def _type_alias(root: Node, source: bytes, node: Node) -> Symbol | None:
    waiting = node.named_children[:1]
    while waiting and waiting[0].type != "identifier":
        waiting = waiting[0].named_children[:1]
    if not waiting:
        return None
    span = span_of(node)
    return Symbol(
        kind="type",
        name=text_of(waiting[0], source),
        declaration=span,
        full=_full(root, source, span),
        node=node,
    )


def _full(root: Node, source: bytes, span: Span) -> Span:
    """`span` with its comments; a `#!` or encoding line never belongs to a symbol."""
    full = with_comments(root, source, span, kinds=_COMMENTS)
    start, line = 0, 1
    while full.start < span.start and line <= _FILE_LINES and start <= full.start:
        end = source.index(b"\n", start) + 1
        if start == full.start and _is_file_line(source[start:end], line):
            full = Span(end, full.end)
        start, line = end, line + 1
    return full


def _is_file_line(line: bytes, number: int) -> bool:
    return (number == 1 and line.startswith(b"#!")) or bool(_ENCODING_LINE.match(line))


def _import_block(root: Node) -> Span | None:
    start, end = -1, -1
    for node in root.named_children:
        if node.type in _IMPORTS:
            start = node.start_byte if start < 0 else start
            end = node.end_byte
        elif start >= 0 and node.type != "comment":
            break
    return Span(start, end) if start >= 0 else None
