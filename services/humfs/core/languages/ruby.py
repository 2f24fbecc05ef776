"""Ruby: modules, classes, methods and singleton methods, constants."""

import tree_sitter_ruby
from tree_sitter import Language as Grammar
from tree_sitter import Node

from humfs.core.languages.language import TreeLanguage
from humfs.core.languages.walk import Level, Table, Walk, declares, span_of
from humfs.core.syntax import Blocks, Syntax, Walks, types

_MODIFIERS = types("""
    private public protected private_class_method public_class_method module_function memoize
    private_constant ruby2_keywords
""")
_SCOPES = types("class mod const")

SYNTAX = Syntax(
    name="ruby",
    blocks=Blocks.END,
    strings=types("string heredoc_body"),
    walks=Walks(
        when=types("if unless if_modifier unless_modifier"),
        loop=types("for while until while_modifier until_modifier"),
        try_=types("begin"),
        return_=types("return"),
        call=types("call"),
        otherwise=types("elsif else rescue ensure"),
        blocks=types("then do body_statement"),
        lists=types("then do body_statement"),
        openers={"begin": "begin", "else": "else", "ensure": "ensure"},
        holders={"assignment": "right"},
    ),
)


def _method(walk: Walk, node: Node) -> None:
    name, parameters = node.child_by_field_name("name"), node.child_by_field_name("parameters")
    if name is None:
        return
    is_inside = walk.parent is not None and walk.parent.kind in _SCOPES
    text = walk.signature(node, parameters)
    signature = f"({text})" if text and not text.startswith("(") else text
    kind = "method" if is_inside else "fn"
    symbol = walk.add(kind, walk.text(name), node, signature=signature)
    walk.members(symbol, node.child_by_field_name("body"))


def _constant(walk: Walk, node: Node) -> None:
    """Constants that are assigned to; what is defined in a block of the value is inside."""
    left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
    symbol = None
    if left is not None and walk.level is Level.DECLARES:
        if left.type == "constant":
            symbol = walk.add("const", walk.text(left), node)
        elif left.type == "left_assignment_list":
            for one in left.named_children:
                if one.type == "constant":
                    walk.add("const", walk.text(one), one, span=span_of(one))
    if right is not None:
        walk.visit(right, parent=symbol)


def _call(walk: Walk, node: Node) -> None:
    """A visibility word in front of a definition belongs to it."""
    method, arguments = node.child_by_field_name("method"), node.child_by_field_name("arguments")
    if method is not None and arguments is not None and walk.text(method) in _MODIFIERS:
        alone = arguments.named_child_count == 1
        walk.enter(arguments, span=walk.around(node) if alone else None)
    else:
        walk.enter(node)


LANGUAGE = TreeLanguage(
    SYNTAX,
    Table(
        rules={
            "module": declares("mod"),
            "class": declares("class"),
            "method": _method,
            "singleton_method": _method,
            "assignment": _constant,
            "call": _call,
        },
        inside=types("""
            ERROR singleton_class body_statement argument_list do_block block block_body begin
            if unless then else elsif rescue ensure if_modifier unless_modifier case when while
            until for do begin_block parenthesized_statements
        """),
        results=(),
    ),
    Grammar(tree_sitter_ruby.language()),
)
