"""PHP: functions, classes, interfaces, traits, enums and their members, constants."""

import tree_sitter_php
from tree_sitter import Language as Grammar
from tree_sitter import Node

from humfs.core.languages.language import TreeLanguage
from humfs.core.languages.walk import Rule, Table, Walk, declares, span_of
from humfs.core.syntax import Blocks, Syntax, Walks, types

SYNTAX = Syntax(
    name="php",
    blocks=Blocks.BRACES,
    imports=types("namespace_use_declaration"),
    strings=types("string encapsed_string heredoc nowdoc"),
    walks=Walks(
        when=types("if_statement"),
        loop=types("for_statement foreach_statement while_statement do_statement"),
        try_=types("try_statement"),
        return_=types("return_statement"),
        call=types("""
            function_call_expression member_call_expression nullsafe_member_call_expression
            scoped_call_expression
        """),
        otherwise=types("else_if_clause else_clause catch_clause finally_clause"),
        blocks=types("compound_statement colon_block"),
        holders={"assignment_expression": "right"},
    ),
)


def _elements(kind: str, element: str) -> Rule:
    """Each element of a statement; the only one takes the statement with it."""

    def rule(walk: Walk, node: Node) -> None:
        found = [one for one in node.named_children if one.type == element]
        for one in found:
            name = one.child_by_field_name("name") or one.named_child(0)
            if name is not None:
                span = walk.around(node) if len(found) == 1 else span_of(one)
                walk.add(kind, walk.text(name).removeprefix("$"), one, span=span)

    return rule


LANGUAGE = TreeLanguage(
    SYNTAX,
    Table(
        rules={
            "namespace_definition": declares("mod", needs_body=True),
            "function_definition": declares("fn"),
            "class_declaration": declares("class"),
            "interface_declaration": declares("interface"),
            "trait_declaration": declares("trait"),
            "enum_declaration": declares("enum"),
            "enum_case": declares("variant"),
            "method_declaration": declares("method"),
            "const_declaration": _elements("const", "const_element"),
            "property_declaration": _elements("prop", "property_element"),
        },
        inside=types("""
            ERROR compound_statement if_statement else_clause else_if_clause colon_block
        """),
        local=types("""
            anonymous_class anonymous_function argument arguments arrow_function
            assignment_expression case_statement catch_clause declaration_list default_statement
            do_statement expression_statement finally_clause for_statement foreach_statement
            function_call_expression member_call_expression object_creation_expression
            return_statement scoped_call_expression switch_block switch_statement try_statement
            while_statement parenthesized_expression array_creation_expression
            array_element_initializer
        """),
        results=(("return_type", ": "),),
    ),
    Grammar(tree_sitter_php.language_php()),
)
