"""C++: C with classes, namespaces, templates, aliases and concepts."""

from dataclasses import replace

import tree_sitter_cpp
from tree_sitter import Language as Grammar
from tree_sitter import Node

from humfs.core.languages import c
from humfs.core.languages.language import TreeLanguage
from humfs.core.languages.macros import blanked
from humfs.core.languages.walk import Table, Walk, declares
from humfs.core.syntax import types


def _namespace(walk: Walk, node: Node) -> None:
    """A namespace; what is in one without a name stands where it stands."""
    name, body = node.child_by_field_name("name"), node.child_by_field_name("body")
    if body is None:
        return
    if name is None:
        walk.enter(body)
        return
    walk.members(walk.add("mod", walk.written(name).replace("::", "."), node), body)


SYNTAX = replace(
    c.SYNTAX,
    name="cpp",
    strings=types("raw_string_literal"),
    walks=replace(
        c.WALKS,
        try_=types("try_statement"),
        otherwise=c.WALKS.otherwise | {"catch_clause"},
    ),
)
LANGUAGE = TreeLanguage(
    SYNTAX,
    Table(
        rules={
            **c.RULES,
            "namespace_definition": _namespace,
            "alias_declaration": declares("type"),
            "concept_definition": declares("type"),
        },
        inside=c.INSIDE | {"friend_declaration"},
        local=c.LOCAL | {"try_statement", "catch_clause"},
        wrappers=types("template_declaration"),
        closed=types("struct_specifier class_specifier union_specifier enum_specifier"),
        results=(),
    ),
    Grammar(tree_sitter_cpp.language()),
    prepare=blanked,
)
