"""TypeScript: JavaScript with interfaces, aliases, enumerations, namespaces and overloads."""

from dataclasses import replace

import tree_sitter_typescript
from tree_sitter import Language as Grammar
from tree_sitter import Node

from humfs.core.languages import javascript
from humfs.core.languages.language import TreeLanguage
from humfs.core.languages.walk import Table, Walk, declares
from humfs.core.syntax import types


def _overload(walk: Walk, node: Node) -> None:
    name = node.child_by_field_name("name")
    if name is not None:
        symbol = walk.add("fn", walk.text(name), node, signature=walk.signature(node))
        symbol.is_overload = True


def _property(walk: Walk, node: Node) -> None:
    name = javascript.key(walk, node.child_by_field_name("name"))
    if name:
        typed = node.child_by_field_name("type")
        symbol = walk.add("prop", name, node)
        if typed is not None:
            walk.members(symbol, typed)


def _construct(walk: Walk, node: Node) -> None:
    walk.add("method", "new", node, signature=walk.signature(node))


def _index(walk: Walk, node: Node) -> None:
    text = walk.written(node)
    walk.add("prop", text[text.index("[") : text.rindex("]") + 1] if "]" in text else text, node)


def _alias(walk: Walk, node: Node) -> None:
    name, value = node.child_by_field_name("name"), node.child_by_field_name("value")
    if name is not None:
        symbol = walk.add("type", walk.text(name), node)
        if value is not None and value.type == "object_type":
            walk.members(symbol, value)


def _enum(walk: Walk, node: Node) -> None:
    name, body = node.child_by_field_name("name"), node.child_by_field_name("body")
    if name is None or body is None:
        return
    symbol = walk.add("enum", walk.text(name), node)
    for one in body.named_children:
        named = one.child_by_field_name("name") or one
        if one.type not in walk.syntax.comments:
            text = javascript.key(walk, named) or walk.text(named)
            walk.add("variant", text, one, parent=symbol)


def _module(walk: Walk, node: Node) -> None:
    name, body = node.child_by_field_name("name"), node.child_by_field_name("body")
    if name is not None:
        symbol = walk.add("mod", javascript.key(walk, name), node)
        walk.members(symbol, body)


def _statement(walk: Walk, node: Node) -> None:
    """A namespace is written as an expression; any other is an assignment, or a place to look."""
    first = node.named_child(0)
    is_whole = first is not None and first.type in ("internal_module", "assignment_expression")
    walk.enter(node, span=walk.around(node) if is_whole else None)


def _ambient(walk: Walk, node: Node) -> None:
    """What `declare` stands before, or the block of `declare global`."""
    block = next((one for one in node.named_children if one.type == "statement_block"), None)
    if block is not None:
        walk.enter(block)
    else:
        walk.enter(node, span=walk.around(node))


SYNTAX = replace(javascript.SYNTAX, name="typescript")
TABLE = Table(
    rules={
        **javascript.RULES,
        "abstract_class_declaration": declares("class"),
        "interface_declaration": declares("interface"),
        "function_signature": _overload,
        "method_signature": javascript.RULES["method_definition"],
        "abstract_method_signature": javascript.RULES["method_definition"],
        "public_field_definition": javascript.RULES["field_definition"],
        "property_signature": _property,
        "index_signature": _index,
        "construct_signature": _construct,
        "type_alias_declaration": _alias,
        "enum_declaration": _enum,
        "module": _module,
        "internal_module": _module,
        "expression_statement": _statement,
        "ambient_declaration": _ambient,
    },
    inside=javascript.INSIDE | {"object_type", "interface_body", "type_annotation"},
    local=javascript.LOCAL,
    statements=javascript.STATEMENTS,
    leading=types("decorator"),
    closed=types("""
        public_field_definition property_signature method_signature abstract_method_signature
        index_signature construct_signature
    """),
)
LANGUAGE = TreeLanguage(SYNTAX, TABLE, Grammar(tree_sitter_typescript.language_typescript()))
