"""Python: functions and classes at any depth, bindings of modules and classes, `type` statements.

Only statements are visited, never expressions.
"""

from collections.abc import Iterator
from functools import partial

import tree_sitter_python
from tree_sitter import Language as Grammar
from tree_sitter import Node

from humfs.core.languages.language import TreeLanguage
from humfs.core.languages.walk import Level, Table, Walk, span_of
from humfs.core.syntax import Blocks, Syntax, Walks, types
from humfs.core.text import Span

_PATTERNS = types("pattern_list tuple_pattern list_pattern list_splat_pattern")
_OVERLOADS = frozenset({"overload", "typing.overload", "t.overload", "typing_extensions.overload"})

SYNTAX = Syntax(
    name="python",
    blocks=Blocks.INDENT,
    imports=types("import_statement import_from_statement future_import_statement"),
    strings=types("string"),
    walks=Walks(
        when=types("if_statement"),
        loop=types("for_statement while_statement"),
        try_=types("try_statement"),
        return_=types("return_statement"),
        call=types("call"),
        otherwise=types("""
            elif_clause else_clause except_clause except_group_clause finally_clause
        """),
        blocks=types("block"),
        holders={"decorated_definition": "definition", "assignment": "right"},
    ),
)


def _definition(walk: Walk, node: Node) -> None:
    name, body = node.child_by_field_name("name"), node.child_by_field_name("body")
    if name is None:
        return
    if node.type == "class_definition":
        walk.members(walk.add("class", walk.text(name), node), body)
        return
    signature = partial(_signature, walk, node)
    symbol = walk.add("fn", walk.text(name), node, signature=signature)
    decorators = walk.source[symbol.declaration.start : node.start_byte]
    symbol.is_overload = any(
        line.lstrip(b"@ \t").split(b"#")[0].strip().decode("utf-8", "replace") in _OVERLOADS
        for line in decorators.splitlines()
    )
    walk.members(symbol, body)


def _signature(walk: Walk, node: Node) -> str:
    return walk.signature(node) or "()"


def _bindings(walk: Walk, statement: Node) -> None:
    """The names a statement binds; each link of a chain, each name of a tuple on its own."""
    if walk.level is not Level.DECLARES:
        return
    assignment: Node | None = statement.named_child(0)
    while assignment is not None and assignment.type == "assignment":
        left = assignment.child_by_field_name("left")
        if left is not None and left.type == "identifier":
            _binding(walk, left, assignment, span_of(assignment))
        elif left is not None:
            for name in _names(left):
                _binding(walk, name, name, span_of(name))
        assignment = assignment.child_by_field_name("right")


def _binding(walk: Walk, name: Node, node: Node, span: Span) -> None:
    text = walk.text(name)
    walk.add("const" if text.isupper() else "var", text, node, span=span)


def _names(pattern: Node) -> Iterator[Node]:
    waiting = [pattern]
    while waiting:
        node = waiting.pop()
        if node.type == "identifier":
            yield node
        elif node.type in _PATTERNS:
            waiting.extend(reversed(node.named_children))


def _type_alias(walk: Walk, node: Node) -> None:
    waiting = node.named_children[:1]
    while waiting and waiting[0].type != "identifier":
        waiting = waiting[0].named_children[:1]
    if waiting and walk.level is Level.DECLARES:
        walk.add("type", walk.text(waiting[0]), node)


LANGUAGE = TreeLanguage(
    SYNTAX,
    Table(
        rules={
            "function_definition": _definition,
            "class_definition": _definition,
            "expression_statement": _bindings,
            "type_alias_statement": _type_alias,
        },
        inside=types("""
            block if_statement elif_clause else_clause for_statement while_statement
            try_statement except_clause except_group_clause finally_clause with_statement
            match_statement case_clause ERROR
        """),
        wrappers=types("decorated_definition"),
        local_words=(b"def", b"class"),
        results=(("return_type", " -> "),),
    ),
    Grammar(tree_sitter_python.language()),
)
