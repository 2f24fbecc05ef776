"""What is known of a language's syntax trees: node types and fields, as data.

Everything that walks a tree by meaning reads it here: outlines, the alias words, edits. The node
types are facts about the public tree-sitter grammars.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


def types(names: str) -> frozenset[str]:
    """Node types, written as words."""
    return frozenset(names.split())


class Blocks(StrEnum):
    """How a language writes blocks."""

    BRACES = "braces"
    INDENT = "indent"
    """By indentation alone."""
    END = "end"
    """Up to a closing word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Walks:
    """Which nodes the alias words select in one language (see `core.aliases`)."""

    when: frozenset[str] = frozenset()
    loop: frozenset[str] = frozenset()
    try_: frozenset[str] = frozenset()
    return_: frozenset[str] = frozenset()
    call: frozenset[str] = frozenset()
    otherwise: frozenset[str] = frozenset()
    """Alternative clauses that are nodes of their own below the construct. An `alternative` that is
    none of these stands behind its keyword, which belongs to the clause."""
    blocks: frozenset[str] = frozenset()
    """The body of a construct without a field `body` or `consequence` is its last child of one of
    these types."""
    lists: frozenset[str] = frozenset()
    """Blocks with words around them; what is meant is the statements inside."""
    openers: Mapping[str, str] = field(default_factory=dict)
    """Construct -> the keyword behind which its body stands, up to the next clause or the closing
    word: for grammars without a node for that block."""
    holders: Mapping[str, str] = field(default_factory=dict)
    """Nodes that only hold a construct (a binding, a wrapper) -> the field it is in; empty for the
    only one in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Syntax:
    """One language."""

    name: str
    """As shown: `python`."""
    blocks: Blocks
    walks: Walks = Walks()
    comments: frozenset[str] = types("comment")
    attributes: frozenset[str] = frozenset()
    """Nodes on lines of their own above a declaration that belong to it."""
    imports: frozenset[str] = frozenset()
    """Top-level declarations that make up the import block."""
    strings: frozenset[str] = frozenset()
    """Literals whose lines are content: their indentation means something."""
    is_markup: bool = False
    """Symbols are elements: a name may be meant at any depth below another."""
