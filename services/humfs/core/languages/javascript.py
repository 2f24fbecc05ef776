"""JavaScript, with JSX. The rules are shared with TypeScript.

Functions and classes at any depth, bindings at the top, and what is a function or a class by its
value: a binding, a field, a member that is assigned to, a property of an object that has a name or
is exported.
"""

from collections.abc import Iterator, Mapping

import tree_sitter_javascript
from tree_sitter import Language as Grammar
from tree_sitter import Node

from humfs.core.languages.language import TreeLanguage
from humfs.core.languages.walk import Level, Rule, Table, Walk, declares, span_of
from humfs.core.symbols import Symbol
from humfs.core.syntax import Blocks, Syntax, Walks, types

_FUNCTIONS = types("arrow_function function_expression generator_function function")
_VALUES = types("""
    array as_expression arguments call_expression new_expression object parenthesized_expression
    satisfies_expression sequence_expression spread_element ternary_expression
    non_null_expression binary_expression await_expression
""")
"""Expressions that leave what is in them part of a named value."""
_PATTERNS = types("object_pattern array_pattern rest_pattern")
_LITERALS = types("string number")

WALKS = Walks(
    when=types("if_statement"),
    loop=types("for_statement for_in_statement while_statement do_statement"),
    try_=types("try_statement"),
    return_=types("return_statement"),
    call=types("call_expression"),
    otherwise=types("else_clause catch_clause finally_clause"),
    blocks=types("statement_block class_body"),
    holders={
        "variable_declarator": "value",
        "assignment_expression": "right",
        "pair": "value",
        "field_definition": "value",
        "public_field_definition": "value",
        "export_statement": "value",
    },
)


def callable_value(node: Node | None) -> str:
    """`fn` or `class` for an expression that is one; empty for any other."""
    kind = _bare(node).type if node is not None else ""
    return "fn" if kind in _FUNCTIONS else "class" if kind == "class" else ""


def _bare(value: Node) -> Node:
    """An expression without the brackets around it."""
    while value.type == "parenthesized_expression" and value.named_child_count:
        value = value.named_children[0]
    return value


def signature(walk: Walk, function: Node) -> str:
    """The parameters of a function; a single one may stand without brackets."""
    function = _bare(function)
    single = function.child_by_field_name("parameter")
    if single is None:
        return walk.signature(function)
    return f"({walk.signature(function, single)})"


def valued(walk: Walk, name: str, node: Node, value: Node) -> bool:
    """Add a name whose value is a function or a class; False when it is neither."""
    kind = callable_value(value)
    if kind:
        sign = signature(walk, value) if kind == "fn" else ""
        _into(walk, walk.add(kind, name, node, signature=sign), value)
    return bool(kind)


def _into(walk: Walk, symbol: Symbol, value: Node) -> None:
    value = _bare(value)
    walk.members(symbol, value.child_by_field_name("parameters"), value.child_by_field_name("body"))


def key(walk: Walk, node: Node | None) -> str:
    """The name of a member as it is asked for: without quotes; empty for a computed one."""
    if node is None:
        return ""
    text = walk.text(node)
    if node.type in _LITERALS:
        return text.strip("\"'`")
    return "" if node.type == "computed_property_name" else text


def _declarator(walk: Walk, node: Node) -> None:
    name, value = node.child_by_field_name("name"), node.child_by_field_name("value")
    if name is None:
        return
    if (
        value is not None
        and name.type == "identifier"
        and valued(walk, walk.text(name), node, value)
    ):
        return
    symbol = None
    if walk.level is Level.DECLARES:
        kind = "const" if _is_const(walk, node) else "var"
        if name.type == "identifier":
            symbol = walk.add(kind, walk.text(name), node)
        else:
            for one in _names(name):
                walk.add(kind, walk.text(one), one, span=span_of(one))
    if value is not None:
        walk.visit(value, parent=symbol, level=Level.BOUND)


def _is_const(walk: Walk, node: Node) -> bool:
    statement = node.parent
    return statement is not None and walk.source.startswith(b"const", statement.start_byte)


def _names(pattern: Node) -> Iterator[Node]:
    """What a destructuring pattern binds."""
    waiting = [pattern]
    while waiting:
        node = waiting.pop()
        if node.type in ("identifier", "shorthand_property_identifier_pattern"):
            yield node
        elif node.type in _PATTERNS:
            waiting.extend(reversed(node.named_children))
        else:
            field = "value" if node.type == "pair_pattern" else "left"
            inner = node.child_by_field_name(field)
            waiting.extend([inner] if inner is not None else [])


def _assignment(walk: Walk, node: Node) -> None:
    """A function or class that is assigned to something is named as that is written."""
    left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
    if left is None or right is None:
        return
    is_named = left.type in ("member_expression", "identifier")
    name = walk.written(left).replace(" ", "") if is_named else ""
    if name and valued(walk, name, node, right):
        if walk.last is not None:
            walk.last.owner, _, walk.last.member = name.rpartition(".")
    else:
        walk.visit(right, level=Level.BOUND if is_named else Level.LOCAL)


def _pair(walk: Walk, node: Node) -> None:
    value, name = node.child_by_field_name("value"), key(walk, node.child_by_field_name("key"))
    if value is None:
        return
    kind = callable_value(value)
    if name and kind == "fn" and walk.level is Level.BOUND:
        _into(walk, walk.add("method", name, node, signature=signature(walk, value)), value)
    elif not (name and walk.level is Level.BOUND and valued(walk, name, node, value)):
        walk.visit(value)


def _method(walk: Walk, node: Node) -> None:
    """A method of a class, or of an object that has a name."""
    named, body = node.child_by_field_name("name"), node.child_by_field_name("body")
    if named is None or walk.level is Level.LOCAL:
        walk.enter(*[body] if body else [], level=Level.LOCAL)
        return
    name = key(walk, named) or walk.written(named)
    symbol = walk.add("method", name, node, signature=walk.signature(node))
    symbol.is_overload = node.type == "method_signature"
    walk.members(symbol, body)


def _field(walk: Walk, node: Node) -> None:
    named = node.child_by_field_name("name") or node.child_by_field_name("property")
    value, name = node.child_by_field_name("value"), key(walk, named)
    if not name:
        name = walk.written(named) if named is not None else ""
    if not name:
        return
    if callable_value(value) == "fn" and value is not None:
        _into(walk, walk.add("method", name, node, signature=signature(walk, value)), value)
        return
    symbol = walk.add("prop", name, node)
    if value is not None:
        walk.visit(value, parent=symbol, level=Level.BOUND)


def _expression(walk: Walk, node: Node) -> None:
    """A function or class expression: a symbol when it has a name, else only a place to look."""
    name = node.child_by_field_name("name")
    if name is None:
        walk.enter(node, level=Level.LOCAL if node.type in _FUNCTIONS else Level.DECLARES)
        return
    kind = "fn" if node.type in _FUNCTIONS else "class"
    sign = signature(walk, node) if kind == "fn" else ""
    _into(walk, walk.add(kind, walk.text(name), node, signature=sign), node)


def _export(walk: Walk, node: Node) -> None:
    """A declaration with `export` belongs together; a default value without a name is `default`."""
    value = node.child_by_field_name("value")
    if value is None:
        walk.enter(node, span=span_of(node))
    elif value.type == "identifier":
        return
    elif not (value.child_by_field_name("name") and callable_value(value)):
        if not valued(walk, "default", node, value):
            walk.visit(value, parent=walk.add("const", "default", node), level=Level.BOUND)
    else:
        walk.enter(node, span=span_of(node))


def _value(walk: Walk, node: Node) -> None:
    walk.enter(node, level=Level.BOUND if walk.level is Level.BOUND else Level.LOCAL)


RULES: Mapping[str, Rule] = {
    "function_declaration": declares("fn"),
    "generator_function_declaration": declares("fn"),
    "class_declaration": declares("class"),
    "method_definition": _method,
    "field_definition": _field,
    "variable_declarator": _declarator,
    "assignment_expression": _assignment,
    "pair": _pair,
    "export_statement": _export,
    **dict.fromkeys((*_FUNCTIONS, "class"), _expression),
    **dict.fromkeys(_VALUES, _value),
    "statement_block": lambda walk, node: walk.enter(node, level=Level.LOCAL),
}
INSIDE = types("ERROR labeled_statement class_body")
LOCAL = types("""
    if_statement else_clause for_statement for_in_statement while_statement do_statement
    try_statement catch_clause finally_clause switch_statement switch_body switch_case
    switch_default return_statement throw_statement with_statement class_static_block
    member_expression subscript_expression unary_expression yield_expression update_expression
    augmented_assignment_expression assignment_pattern formal_parameters required_parameter
    optional_parameter template_string template_substitution jsx_element
    jsx_self_closing_element jsx_opening_element jsx_attribute jsx_expression jsx_fragment
    object_assignment_pattern
""")
STATEMENTS = {
    "lexical_declaration": "variable_declarator",
    "variable_declaration": "variable_declarator",
    "expression_statement": "assignment_expression",
}
SYNTAX = Syntax(
    name="javascript",
    blocks=Blocks.BRACES,
    imports=types("import_statement"),
    strings=types("template_string"),
    walks=WALKS,
)
LANGUAGE = TreeLanguage(
    SYNTAX,
    Table(
        rules=RULES,
        inside=INSIDE,
        local=LOCAL,
        statements=STATEMENTS,
        leading=types("decorator"),
        closed=types("field_definition"),
    ),
    Grammar(tree_sitter_javascript.language()),
)
