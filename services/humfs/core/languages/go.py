"""Go: functions, methods under their receiver, every name of a type, const or var group."""

import tree_sitter_go
from tree_sitter import Language as Grammar
from tree_sitter import Node

from humfs.core.languages.language import TreeLanguage
from humfs.core.languages.walk import Table, Walk, declares, descend, span_of
from humfs.core.syntax import Blocks, Syntax, Walks, types

_TYPES = {"struct_type": "struct", "interface_type": "interface"}

SYNTAX = Syntax(
    name="go",
    blocks=Blocks.BRACES,
    imports=types("import_declaration"),
    strings=types("raw_string_literal"),
    walks=Walks(
        when=types("if_statement"),
        loop=types("for_statement"),
        return_=types("return_statement"),
        call=types("call_expression"),
        blocks=types("block field_declaration_list"),
        holders={"type_spec": "type", "var_spec": "value"},
    ),
)


def _method(walk: Walk, node: Node) -> None:
    """`Receiver.Name`, whatever the receiver's type parameters are and whether it is a pointer."""
    named, receiver = node.child_by_field_name("name"), node.child_by_field_name("receiver")
    if named is None or receiver is None:
        return
    name = walk.text(named)
    owner = next((walk.text(one) for one in descend(receiver) if one.type == "type_identifier"), "")
    full = f"{owner}.{name}" if owner else name
    symbol = walk.add("method", full, node, signature=walk.signature(node))
    symbol.owner, symbol.member = owner, name if owner else ""


def _type(walk: Walk, node: Node) -> None:
    name, value = node.child_by_field_name("name"), node.child_by_field_name("type")
    if name is None or value is None:
        return
    symbol = walk.add(_TYPES.get(value.type, "type"), walk.text(name), node)
    walk.members(symbol, *_bodies(value))


def _bodies(value: Node) -> list[Node]:
    """Where the members of a struct or an interface are."""
    if value.type == "interface_type":
        return [value]
    if value.type != "struct_type":
        return []
    return [one for one in value.named_children if one.type == "field_declaration_list"]


def _spec(walk: Walk, node: Node) -> None:
    """Each name of a const or var spec; a spec with several names is none of theirs."""
    kind = "const" if node.type == "const_spec" else "var"
    names = [one for one in node.children_by_field_name("name") if one.is_named]
    for name in names:
        if walk.text(name) != "_":
            alone = len(names) == 1
            target = node if alone else name
            walk.add(kind, walk.text(name), target, span=None if alone else span_of(name))


def _field(walk: Walk, node: Node) -> None:
    """Each name of a field; an embedded type is the field of its own name."""
    typed, names = node.child_by_field_name("type"), node.children_by_field_name("name")
    names = [one for one in names if one.is_named]
    if typed is None:
        return
    if not names:
        walk.add("field", walk.text(typed).split("[")[0].rpartition(".")[2], node)
        return
    for name in names:
        alone = len(names) == 1
        target = node if alone else name
        symbol = walk.add("field", walk.text(name), target, span=span_of(target))
        if alone:
            walk.members(symbol, *_bodies(typed))


LANGUAGE = TreeLanguage(
    SYNTAX,
    Table(
        rules={
            "function_declaration": declares("fn"),
            "method_declaration": _method,
            "method_elem": declares("method"),
            "type_spec": _type,
            "type_alias": _type,
            "const_spec": _spec,
            "var_spec": _spec,
            "field_declaration": _field,
        },
        inside=types("ERROR var_spec_list"),
        statements={
            "const_declaration": "const_spec",
            "var_declaration": "var_spec",
            "type_declaration": "type_spec",
        },
        results=(("result", " "),),
    ),
    Grammar(tree_sitter_go.language()),
)
