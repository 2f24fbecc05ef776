"""Looking at the syntax trees around a place."""

from collections.abc import Iterable

from tree_sitter import Node

from humfs.core.symbols import Outline
from humfs.core.text import Span


def roots(outline: Outline) -> list[Node]:
    """The tops of the trees of a file."""
    return [tree.root_node for tree in outline.trees]


def outermost(node: Node, span: Span) -> Node:
    """The largest node around `node` that does not leave `span`: a declaration with wrappers."""
    while (
        (parent := node.parent) is not None
        and parent.parent is not None
        and parent.start_byte >= span.start
        and parent.end_byte <= span.end
    ):
        node = parent
    return node


def is_comment_at(tops: Iterable[Node], offset: int, *, comments: frozenset[str]) -> bool:
    """Whether a comment begins at a byte."""
    for top in tops:
        node = top.descendant_for_byte_range(offset, offset + 1)
        while node is not None and node.start_byte == offset:
            if node.type in comments:
                return True
            node = node.parent
    return False


def comma_beside(node: Node) -> tuple[Node | None, Node | None]:
    """The commas directly before and after a node in a list."""
    before, after = node.prev_sibling, node.next_sibling
    while before is not None and before.is_extra:
        before = before.prev_sibling
    while after is not None and after.is_extra:
        after = after.next_sibling
    return (
        before if before is not None and before.type == "," else None,
        after if after is not None and after.type == "," else None,
    )


def is_emptied(node: Node) -> Node | None:
    """The group in brackets that holds nothing but `node`, which goes with its last member."""
    parent = node.parent
    if parent is None or any(
        child.is_named and child.id != node.id and not child.is_extra for child in parent.children
    ):
        return None
    if any(child.type == "(" for child in parent.children):
        outer = parent.parent
        if outer is not None and outer.type.endswith("_declaration"):
            return outer
        return parent if parent.type.endswith("_declaration") else None
    return None
