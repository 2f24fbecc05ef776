"""Shell: functions in both spellings, at any depth, and variables at the top level."""

import re

import tree_sitter_bash
from tree_sitter import Language as Grammar
from tree_sitter import Node

from humfs.core.languages.language import TreeLanguage
from humfs.core.languages.walk import Level, Table, Walk, declares
from humfs.core.syntax import Blocks, Syntax, Walks, types

_NOT_ASCII = re.compile(rb"[\x80-\xff]")

SYNTAX = Syntax(
    name="bash",
    blocks=Blocks.END,
    strings=types("string raw_string heredoc_body"),
    walks=Walks(
        when=types("if_statement"),
        loop=types("for_statement c_style_for_statement while_statement"),
        call=types("command"),
        otherwise=types("elif_clause else_clause"),
        blocks=types("compound_statement do_group subshell"),
        lists=types("do_group"),
        openers={"if_statement": "then", "elif_clause": "then", "else_clause": "else"},
        holders={"redirected_statement": "body"},
    ),
)


def plain(source: bytes) -> bytes:
    """A copy without a character that the grammar looks up in a table of 256: it would crash.

    None of them is anything but part of a word.
    """
    return _NOT_ASCII.sub(b"x", source)


def _variable(walk: Walk, node: Node) -> None:
    name = node.child_by_field_name("name")
    is_plain = name is not None and name.type == "variable_name"
    if name is not None and is_plain and walk.level is Level.DECLARES:
        walk.add("var", walk.text(name), node)


def _command(walk: Walk, node: Node) -> None:
    """The grammar reads assignments on the line before a command as part of it."""
    name = node.child_by_field_name("name")
    above = [one for one in node.named_children if one.type == "variable_assignment"]
    if name is not None and above:
        walk.visit(*(one for one in above if one.end_point[0] < name.start_point[0]))


LANGUAGE = TreeLanguage(
    SYNTAX,
    Table(
        rules={
            "function_definition": declares("fn"),
            "variable_assignment": _variable,
            "command": _command,
        },
        inside=types("ERROR variable_assignments"),
        local=types("""
            case_item case_statement compound_statement do_group elif_clause else_clause
            for_statement c_style_for_statement if_statement list pipeline redirected_statement
            subshell while_statement negated_command
        """),
        statements={"declaration_command": "variable_assignment"},
        results=(),
    ),
    Grammar(tree_sitter_bash.language()),
    prepare=plain,
)
