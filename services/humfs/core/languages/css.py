"""CSS: rules and at-rules, nested as they are written. The rules are shared with SCSS.

A rule is named by its class or classes without the first dot, by its id with the number sign, else
by its selector as written; an at-rule by everything before its block.
"""

import re

import tree_sitter_css
from tree_sitter import Language as Grammar
from tree_sitter import Node

from humfs.core.languages.language import TreeLanguage
from humfs.core.languages.walk import Table, Walk
from humfs.core.syntax import Blocks, Syntax, types

_CLASSES = re.compile(r"\.(?:\\.|[\w-]|[^\x00-\x7f])+(?:\.(?:\\.|[\w-]|[^\x00-\x7f])+)*")


def _rule(walk: Walk, node: Node) -> None:
    header, body = _header(walk, node)
    if header and body is not None:
        name = header[1:] if _CLASSES.fullmatch(header) else header
        walk.members(walk.add("rule", name, node), body)


def _at_rule(walk: Walk, node: Node) -> None:
    header, body = _header(walk, node)
    if header and body is not None:
        walk.members(walk.add("atrule", header, node), body)


def _header(walk: Walk, node: Node) -> tuple[str, Node | None]:
    """What stands before the block, on one line, and the block."""
    body = next((one for one in node.named_children if one.type in _BLOCKS), None)
    if body is None:
        return "", None
    text = walk.source[node.start_byte : body.start_byte].decode("utf-8", "replace")
    return " ".join(text.split()), body


_BLOCKS = types("block keyframe_block_list")
TABLE = Table(
    rules={
        "rule_set": _rule,
        "keyframe_block": _rule,
        **dict.fromkeys(
            types("""
                at_rule media_statement supports_statement keyframes_statement namespace_statement
                scope_statement mixin_statement include_statement function_statement if_statement
                else_clause each_statement for_statement while_statement
            """),
            _at_rule,
        ),
    },
    inside=types("ERROR"),
)
SYNTAX = Syntax(name="css", blocks=Blocks.BRACES, imports=types("import_statement"))
LANGUAGE = TreeLanguage(SYNTAX, TABLE, Grammar(tree_sitter_css.language()))
