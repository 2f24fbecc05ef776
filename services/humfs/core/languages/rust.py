"""Rust: items at any depth; what an `impl` block adds is found through its type as well."""

import tree_sitter_rust
from tree_sitter import Language as Grammar
from tree_sitter import Node

from humfs.core.languages.language import TreeLanguage
from humfs.core.languages.walk import Table, Walk, binds, declares
from humfs.core.syntax import Blocks, Syntax, Walks, types

SYNTAX = Syntax(
    name="rust",
    blocks=Blocks.BRACES,
    comments=types("line_comment block_comment"),
    attributes=types("attribute_item"),
    imports=types("use_declaration extern_crate_declaration"),
    strings=types("string_literal raw_string_literal"),
    walks=Walks(
        when=types("if_expression"),
        loop=types("for_expression while_expression loop_expression"),
        return_=types("return_expression"),
        call=types("call_expression macro_invocation"),
        otherwise=types("else_clause"),
        blocks=types("block"),
        holders={
            "let_declaration": "value",
            "const_item": "value",
            "static_item": "value",
        },
    ),
)


def _impl(walk: Walk, node: Node) -> None:
    """`Type` or `Trait for Type`; its members belong to the type without its parameters."""
    typed, trait = node.child_by_field_name("type"), node.child_by_field_name("trait")
    if typed is None:
        return
    name = walk.written(typed)
    symbol = walk.add("impl", f"{walk.written(trait)} for {name}" if trait else name, node)
    symbol.owner = _bare(walk, typed)
    walk.members(symbol, node.child_by_field_name("body"))


def _bare(walk: Walk, typed: Node) -> str:
    """A type without references, paths and parameters."""
    inner: Node | None = typed
    while inner is not None and inner.type not in ("type_identifier", "primitive_type"):
        typed = inner
        inner = typed.child_by_field_name("name") or typed.child_by_field_name("type")
    return walk.text(inner or typed)


LANGUAGE = TreeLanguage(
    SYNTAX,
    Table(
        rules={
            "function_item": declares("fn"),
            "function_signature_item": declares("fn"),
            "struct_item": declares("struct"),
            "union_item": declares("union"),
            "enum_item": declares("enum"),
            "enum_variant": declares("variant"),
            "field_declaration": declares("field"),
            "trait_item": declares("trait"),
            "impl_item": _impl,
            "mod_item": declares("mod"),
            "const_item": binds("const"),
            "static_item": binds("var"),
            "type_item": binds("type"),
            "associated_type": binds("type"),
            "macro_definition": declares("macro"),
        },
        inside=types("ERROR foreign_mod_item declaration_list"),
        local=types("""
            block expression_statement let_declaration if_expression else_clause
            match_expression match_block match_arm for_expression while_expression
            loop_expression unsafe_block async_block const_block closure_expression
            call_expression arguments return_expression try_expression parenthesized_expression
            await_expression labeled_block gen_block field_expression reference_expression
            assignment_expression let_chain
        """),
        results=(("return_type", " -> "),),
    ),
    Grammar(tree_sitter_rust.language()),
)
