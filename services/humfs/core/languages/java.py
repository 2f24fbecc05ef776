"""Java: types at any depth, their methods, constructors, fields and constants."""

import tree_sitter_java
from tree_sitter import Language as Grammar
from tree_sitter import Node

from humfs.core.languages.language import TreeLanguage
from humfs.core.languages.walk import Table, Walk, declares, span_of
from humfs.core.syntax import Blocks, Syntax, Walks, types

SYNTAX = Syntax(
    name="java",
    blocks=Blocks.BRACES,
    comments=types("line_comment block_comment"),
    imports=types("import_declaration"),
    strings=types("string_literal"),
    walks=Walks(
        when=types("if_statement"),
        loop=types("for_statement enhanced_for_statement while_statement do_statement"),
        try_=types("try_statement try_with_resources_statement"),
        return_=types("return_statement"),
        call=types("method_invocation"),
        otherwise=types("catch_clause finally_clause"),
        blocks=types("block constructor_body"),
        holders={"field_declaration": "declarator", "variable_declarator": "value"},
    ),
)


def _fields(walk: Walk, node: Node) -> None:
    """Each declarator of a field; the only one takes the statement with it."""
    declarators = node.children_by_field_name("declarator")
    for one in declarators:
        name = one.child_by_field_name("name")
        if name is not None:
            alone = len(declarators) == 1
            symbol = walk.add("field", walk.text(name), one, span=span_of(node if alone else one))
            value = one.child_by_field_name("value")
            if value is not None:
                walk.visit(value, parent=symbol)


LANGUAGE = TreeLanguage(
    SYNTAX,
    Table(
        rules={
            "class_declaration": declares("class"),
            "record_declaration": declares("class"),
            "interface_declaration": declares("interface"),
            "annotation_type_declaration": declares("interface"),
            "enum_declaration": declares("enum"),
            "enum_constant": declares("variant"),
            "method_declaration": declares("method"),
            "annotation_type_element_declaration": declares("method", bare="()"),
            "constructor_declaration": declares("ctor"),
            "compact_constructor_declaration": declares("ctor"),
            "field_declaration": _fields,
            "constant_declaration": _fields,
            "module_declaration": declares("mod"),
        },
        inside=types("ERROR enum_body_declarations"),
        local=types("""
            argument_list array_initializer assignment_expression block catch_clause class_body
            constructor_body do_statement enhanced_for_statement explicit_constructor_invocation
            expression_statement finally_clause for_statement if_statement labeled_statement
            lambda_expression local_variable_declaration method_invocation
            object_creation_expression parenthesized_expression return_statement
            static_initializer switch_block switch_block_statement_group switch_expression
            switch_rule synchronized_statement ternary_expression throw_statement try_statement
            try_with_resources_statement variable_declarator while_statement cast_expression
            yield_statement field_access
        """),
        results=(),
    ),
    Grammar(tree_sitter_java.language()),
)
