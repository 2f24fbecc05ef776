"""C: functions, prototypes, types with a body, global variables, macros; also in conditionals.

The rules are shared with C++. A declarator hides its name below pointers, arrays and brackets.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import tree_sitter_c
from tree_sitter import Language as Grammar
from tree_sitter import Node

from humfs.core.languages.language import TreeLanguage
from humfs.core.languages.macros import blanked
from humfs.core.languages.walk import Level, Rule, Table, Walk, cut, descend, span_of
from humfs.core.symbols import TYPE_KINDS, Symbol
from humfs.core.syntax import Blocks, Syntax, Walks, types
from humfs.core.text import Span

_HOLDERS = TYPE_KINDS | {"field"}
"""What is bound directly inside one of these is its member."""
_DEFINE = re.compile(rb"#[ \t]*define[ \t]+(\w+)(\([^()]*\))?")
DECLARATOR_DEPTH_MAX = 64
"""A name below more pointers and brackets is not looked for."""

_KINDS = {
    "struct_specifier": "struct",
    "class_specifier": "class",
    "union_specifier": "union",
    "enum_specifier": "enum",
}
_NAMES = types("""
    identifier field_identifier type_identifier destructor_name operator_name operator_cast
    qualified_identifier template_function template_method primitive_type
""")

WALKS = Walks(
    when=types("if_statement"),
    loop=types("for_statement for_range_loop while_statement do_statement"),
    return_=types("return_statement"),
    call=types("call_expression"),
    otherwise=types("else_clause"),
    blocks=types("compound_statement"),
    holders={"init_declarator": "value"},
)


@dataclass(frozen=True, slots=True)
class Declared:
    """What a declarator names."""

    name: Node
    function: Node | None
    """The function declarator the name stands directly in."""
    is_pointer: bool
    """Whether it is a variable that points to a function."""


def declared(node: Node | None) -> Declared | None:
    """The name in a declarator; None when there is none, as in broken code."""
    function: Node | None = None
    is_pointer = False
    for _ in range(DECLARATOR_DEPTH_MAX):
        if node is None:
            return None
        if node.type in _NAMES:
            return Declared(node, function, is_pointer)
        if node.type == "function_declarator":
            function, is_pointer = node, False
        elif node.type in ("pointer_declarator", "array_declarator", "reference_declarator"):
            is_pointer = function is not None
        inner = node.child_by_field_name("declarator")
        if inner is None:
            inner = next((one for one in node.named_children if _may_name(one)), None)
        node = inner
    return None


def _may_name(node: Node) -> bool:
    return node.type in _NAMES or node.type.endswith("_declarator")


def parts(walk: Walk, name: Node) -> list[str]:
    """A name's segments, without template arguments: `Class::name` is two."""
    if name.type == "qualified_identifier":
        scope, inner = name.child_by_field_name("scope"), name.child_by_field_name("name")
        before = parts(walk, scope) if scope is not None else []
        return before + (parts(walk, inner) if inner is not None else [])
    if name.type in ("template_type", "template_function", "template_method"):
        inner = name.child_by_field_name("name")
        return parts(walk, inner) if inner is not None else []
    if name.type == "operator_cast":
        typed = name.child_by_field_name("type")
        return [f"operator {walk.written(typed)}" if typed is not None else "operator"]
    text = walk.written(name)
    return [text.replace("operator ", "operator") if name.type == "operator_name" else text]


def _function(walk: Walk, node: Node) -> None:
    found = declared(node.child_by_field_name("declarator"))
    body = node.child_by_field_name("body")
    if found is None:
        walk.enter(node, level=Level.LOCAL)
        return
    symbol = _callable(walk, "fn", node, found, walk.around(node))
    walk.members(symbol, body)


def _callable(walk: Walk, kind: str, node: Node, found: Declared, span: Span) -> Symbol:
    """A function; one with a qualified name is a member of a type that is declared elsewhere."""
    *owner, member = parts(walk, found.name) or ["?"]
    holder = found.function or found.name
    parameters = holder.child_by_field_name("parameters")
    if parameters is None:
        parameters = next((one for one in descend(holder) if one.type == "parameter_list"), None)
    symbol = walk.add(
        "method" if owner else kind,
        ".".join([*owner, member]),
        node,
        span=span,
        signature=walk.signature(node, parameters),
    )
    if owner:
        symbol.owner, symbol.member = ".".join(owner), member
    return symbol


def _declaration(walk: Walk, node: Node) -> None:
    """Prototypes, variables and members; a type with a body that stands in it comes first."""
    typed, declarators = node.child_by_field_name("type"), _declarators(node)
    if typed is not None and _has_body(typed):
        if declarators and typed.child_by_field_name("name") is None:
            _anonymous(walk, node, typed, declarators)
            return
        _type(walk, typed, span=None if declarators else walk.around(node))
    if walk.level is Level.DECLARES:
        alone = len(declarators) == 1 and not _has_body(typed)
        for one in declarators:
            _bound(walk, node, one, alone=alone)


def _declarators(node: Node) -> list[Node]:
    return [one for one in node.children_by_field_name("declarator") if one.is_named]


def _has_body(typed: Node | None) -> bool:
    return typed is not None and typed.child_by_field_name("body") is not None


def _bound(walk: Walk, statement: Node, declarator: Node, *, alone: bool) -> None:
    """What one declarator of a statement binds; when it is alone, the statement is its own."""
    found = declared(declarator)
    if found is None:
        return
    span = walk.around(statement) if alone else span_of(declarator)
    node = statement if alone else declarator
    kind = _kind(walk, statement)
    if (found.function is not None and not found.is_pointer) or found.name.type == "operator_cast":
        _callable(walk, "method" if kind == "field" else "proto", node, found, span)
    else:
        walk.add(kind, ".".join(parts(walk, found.name)), node, span=span)


def _kind(walk: Walk, statement: Node) -> str:
    """What a statement binds where it stands: types, fields, constants or variables."""
    if statement.type == "type_definition":
        return "type"
    if walk.parent is not None and walk.parent.kind in _HOLDERS:
        return "field"
    words = [walk.text(one) for one in statement.named_children if one.type == "type_qualifier"]
    return "const" if "const" in words or "constexpr" in words else "var"


def _anonymous(walk: Walk, node: Node, typed: Node, declarators: list[Node]) -> None:
    """A type without a name: what is declared first with it holds its members."""
    found, kind = declared(declarators[0]), _kind(walk, node)
    if found is None or (walk.level is not Level.DECLARES and kind != "type"):
        return
    last = node if len(declarators) == 1 else declarators[0]
    symbol = walk.add(
        _KINDS[typed.type] if kind == "type" else kind,
        walk.text(found.name),
        node,
        span=Span(walk.around(node).start, last.end_byte),
    )
    for one in declarators[1:]:
        _bound(walk, node, one, alone=False)
    walk.members(symbol, typed.child_by_field_name("body"))


def _type(walk: Walk, node: Node, span: Span | None = None) -> None:
    """A struct, class, union or enum with a body; without a name, its members are the parent's."""
    body, name = node.child_by_field_name("body"), node.child_by_field_name("name")
    if body is None:
        return
    if name is None:
        walk.enter(body, level=Level.DECLARES)
        return
    symbol = walk.add(_KINDS[node.type], ".".join(parts(walk, name)), node, span=span)
    walk.members(symbol, body)


def _enumerator(walk: Walk, node: Node) -> None:
    name = node.child_by_field_name("name")
    if name is not None:
        kind = "variant" if walk.parent is not None and walk.parent.kind in TYPE_KINDS else "const"
        walk.add(kind, walk.text(name), node)


def _typedef(walk: Walk, node: Node) -> None:
    typed, declarators = node.child_by_field_name("type"), _declarators(node)
    if typed is not None and _has_body(typed) and typed.child_by_field_name("name") is None:
        if declarators:
            _anonymous(walk, node, typed, declarators)
        return
    alone = len(declarators) == 1
    for one in declarators:
        _bound(walk, node, one, alone=alone)
    if typed is not None and _has_body(typed):
        walk.visit(typed, parent=walk.last if alone else None)


def _macro(walk: Walk, node: Node) -> None:
    """A macro by its text: the grammar loses its name to comments inside."""
    text = walk.source[node.start_byte : node.end_byte]
    named = _DEFINE.match(text)
    if named is not None:
        # The node ends behind the line's end.
        span = Span(node.start_byte, node.start_byte + len(text.rstrip()))
        name, sign = (part.decode("utf-8", "replace") for part in named.groups(b""))
        walk.add("macro", name, node, span=span, signature=cut(" ".join(sign.split())))


RULES: Mapping[str, Rule] = {
    "function_definition": _function,
    "declaration": _declaration,
    "field_declaration": _declaration,
    "type_definition": _typedef,
    "enumerator": _enumerator,
    "preproc_def": _macro,
    "preproc_function_def": _macro,
    **dict.fromkeys(_KINDS, _type),
}
INSIDE = types("""
    ERROR preproc_if preproc_ifdef preproc_else preproc_elif preproc_elifdef
    linkage_specification declaration_list enumerator_list field_declaration_list
""")
LOCAL = types("""
    compound_statement if_statement else_clause for_statement for_range_loop while_statement
    do_statement switch_statement case_statement labeled_statement
""")
SYNTAX = Syntax(
    name="c",
    blocks=Blocks.BRACES,
    imports=types("preproc_include"),
    walks=WALKS,
)
LANGUAGE = TreeLanguage(
    SYNTAX,
    Table(rules=RULES, inside=INSIDE, local=LOCAL, closed=frozenset(_KINDS), results=()),
    Grammar(tree_sitter_c.language()),
    prepare=blanked,
)
