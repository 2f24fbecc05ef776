"""C#: types at any depth, their methods, constructors, operators, properties and fields."""

import tree_sitter_c_sharp
from tree_sitter import Language as Grammar
from tree_sitter import Node

from humfs.core.languages.language import TreeLanguage
from humfs.core.languages.walk import Table, Walk, declares, span_of
from humfs.core.syntax import Blocks, Syntax, Walks, types

SYNTAX = Syntax(
    name="c-sharp",
    blocks=Blocks.BRACES,
    imports=types("using_directive extern_alias_directive"),
    strings=types("verbatim_string_literal raw_string_literal interpolated_string_expression"),
    walks=Walks(
        when=types("if_statement"),
        loop=types("for_statement foreach_statement while_statement do_statement"),
        try_=types("try_statement"),
        return_=types("return_statement"),
        call=types("invocation_expression"),
        otherwise=types("catch_clause finally_clause"),
        blocks=types("block"),
        holders={"arrow_expression_clause": ""},
    ),
)


def _fields(walk: Walk, node: Node) -> None:
    """Each declarator of a field or an event; the only one takes the statement with it."""
    inner = next((one for one in node.named_children if one.type == "variable_declaration"), None)
    declarators = (
        [one for one in inner.named_children if one.type == "variable_declarator"] if inner else []
    )
    for one in declarators:
        name = one.child_by_field_name("name")
        if name is not None:
            alone = len(declarators) == 1
            walk.add("field", walk.text(name), one, span=span_of(node if alone else one))


def _operator(walk: Walk, node: Node) -> None:
    """`operator +`, `operator int`, `~Name`, `this`: named by more than an identifier."""
    parameters, body = node.child_by_field_name("parameters"), node.child_by_field_name("body")
    signature = walk.signature(node, parameters)
    if node.type == "indexer_declaration":
        walk.members(walk.add("prop", "this", node, signature=signature), None)
        return
    named = node.child_by_field_name("name")
    if node.type == "destructor_declaration":
        name = f"~{walk.text(named)}" if named else "~"
    else:
        field = "operator" if node.type == "operator_declaration" else "type"
        sign = node.child_by_field_name(field)
        name = f"operator {walk.text(sign)}" if sign else "operator"
    walk.members(walk.add("method", name, node, signature=signature), body)


LANGUAGE = TreeLanguage(
    SYNTAX,
    Table(
        rules={
            "namespace_declaration": declares("mod"),
            "class_declaration": declares("class"),
            "record_declaration": declares("class"),
            "struct_declaration": declares("struct"),
            "interface_declaration": declares("interface"),
            "enum_declaration": declares("enum"),
            "enum_member_declaration": declares("variant"),
            "delegate_declaration": declares("type"),
            "method_declaration": declares("method"),
            "constructor_declaration": declares("ctor"),
            "destructor_declaration": _operator,
            "operator_declaration": _operator,
            "conversion_operator_declaration": _operator,
            "indexer_declaration": _operator,
            "property_declaration": declares("prop"),
            "event_declaration": declares("prop"),
            "event_field_declaration": _fields,
            "field_declaration": _fields,
            "local_function_statement": declares("fn"),
        },
        inside=types("""
            ERROR declaration_list preproc_if preproc_else preproc_elif preproc_region
            preproc_if_in_attribute_list global_statement
        """),
        local=types("""
            argument argument_list arrow_expression_clause assignment_expression
            await_expression block catch_clause do_statement expression_statement finally_clause
            for_statement foreach_statement if_statement invocation_expression lambda_expression
            local_declaration_statement lock_statement return_statement switch_body
            switch_section switch_statement try_statement unsafe_statement using_statement
            variable_declaration variable_declarator while_statement checked_statement
            fixed_statement labeled_statement
        """),
        results=(),
    ),
    Grammar(tree_sitter_c_sharp.language()),
)
